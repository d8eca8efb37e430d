"""Slow, obvious NumPy float64 twins of losses on matches, edges and windows.

Written from losses.md, B3, B7, B13-B17 and B20, not from our code. Features are
[H, W, C], images [H, W, 3].
"""

import itertools

import numpy as np


def rows_of(features):
    return features.reshape(-1, features.shape[2])


def cosine_distance(x, y):
    return 1 - np.dot(x, y) / (np.linalg.norm(x) * np.linalg.norm(y))


def pairwise(x, y, distance=cosine_distance):
    return np.array([[distance(a, b) for b in y] for a in x])


def relaxed(matrix):
    """The larger of the mean row minimum and the mean column minimum."""
    return max(matrix.min(axis=1).mean(), matrix.min(axis=0).mean())


def remd(generated, target):
    return relaxed(pairwise(rows_of(generated), rows_of(target)))


def moment(generated, target):
    x, y = rows_of(generated), rows_of(target)
    means = np.mean(np.abs(x.mean(axis=0) - y.mean(axis=0)))
    return means + np.mean(np.abs(np.cov(x.T, ddof=0) - np.cov(y.T, ddof=0)))


def palette(generated, target):
    matrix = np.array(
        [
            [0.577350, 0.577350, 0.577350],
            [-0.577350, 0.788675, -0.211325],
            [-0.577350, -0.211325, 0.788675],
        ]
    )

    def distance(a, b):
        euclidean = np.sqrt(np.clip(np.sum((a - b) ** 2), 1e-5, 1e5) / 3)
        return cosine_distance(a, b) + euclidean

    x, y = ([matrix @ colour for colour in rows_of(f)] for f in (generated, target))
    return relaxed(pairwise(x, y, distance))


def sampled_bilinearly(features, i, j):
    """Features at fractional row i and column j, the last ones repeated."""
    height, width, _ = features.shape
    value = 0
    for a, b in itertools.product((0, 1), repeat=2):
        weight = (i % 1 if a else 1 - i % 1) * (j % 1 if b else 1 - j % 1)
        row, column = (
            min(int(i) + a, height - 1),
            min(int(j) + b, width - 1),
        )
        value = value + weight * features[row, column]
    return value


def hypercolumns(layers):
    """[H, W, all channels] at every position of the first, finest map."""
    height, width = next(iter(layers.values())).shape[:2]
    found = []
    for i, j in itertools.product(range(height), range(width)):
        column = [
            sampled_bilinearly(f, i * f.shape[0] / height, j * f.shape[1] / width)
            for f in layers.values()
        ]
        found.append(np.concatenate(column))
    return np.array(found).reshape(height, width, -1)


def self_similarity(generated, target):
    shares = []
    for features in (generated, target):
        matrix = pairwise(rows_of(features), rows_of(features))
        shares.append(matrix / matrix.sum(axis=0, keepdims=True))
    return np.sum(np.abs(shares[0] - shares[1])) / len(shares[0])


def contextual(generated, target, h=0.5, half=False, log_epsilon=0.0):
    mean = rows_of(target).mean(axis=0)
    d = pairwise(rows_of(generated) - mean, rows_of(target) - mean)
    d = d / 2 if half else d
    relative = d / (d.min(axis=1, keepdims=True) + 1e-5)
    w = np.exp((1 - relative) / h)
    cx = w / w.sum(axis=1, keepdims=True)
    return -np.log(cx.max(axis=0).mean() + log_epsilon)


def nnfm(generated, target):
    return pairwise(rows_of(generated), rows_of(target)).min(axis=1).mean()


def patches(features, size, stride):
    height, width, _ = features.shape
    rows = sorted({*range(0, height - size + 1, stride), height - size})
    columns = sorted({*range(0, width - size + 1, stride), width - size})
    return np.array(
        [
            features[i : i + size, j : j + size].ravel()
            for i, j in itertools.product(rows, columns)
        ]
    )


def mrf_matches(generated, target, size=3, stride=1):
    ours, theirs = patches(generated, size, stride), patches(target, size, stride)
    return pairwise(ours, theirs).argmin(axis=1)


def mrf(generated, target, size=3, stride=1, reduction="sum"):
    ours, theirs = patches(generated, size, stride), patches(target, size, stride)
    matches = theirs[mrf_matches(generated, target, size, stride)]
    squares = (ours - matches) ** 2
    if reduction == "mean":
        return squares.mean()
    return squares.sum() / {"sum": 1, "half_sum": 2}[reduction]


def edges(image, pool):
    height, width = image.shape[0] // pool, image.shape[1] // pool
    pooled = np.zeros((height, width))
    for i, j in itertools.product(range(height), range(width)):
        block = image[i * pool : (i + 1) * pool, j * pool : (j + 1) * pool]
        pooled[i, j] = block.mean(axis=(0, 1)).sum()
    kernel = np.array([[0, -1, 0], [-1, 4, -1], [0, -1, 0]])
    found = np.zeros((height - 2, width - 2))
    for i, j in itertools.product(range(height - 2), range(width - 2)):
        found[i, j] = np.sum(kernel * pooled[i : i + 3, j : j + 3])
    return found


def laplacian(generated, target, pool=4, reduction="sum"):
    squares = (edges(generated, pool) - edges(target, pool)) ** 2
    return squares.sum() if reduction == "sum" else squares.mean()


def adain(content, style):
    means = [f.mean(axis=(0, 1)) for f in (content, style)]
    stds = [np.sqrt(f.var(axis=(0, 1), ddof=1) + 1e-5) for f in (content, style)]
    return stds[1] * (content - means[0]) / stds[0] + means[1]


def matting_matrix(content, epsilon=1e-7):
    """Levin's matting Laplacian, [H W, H W], one window at a time."""
    height, width, _ = content.shape
    matrix = np.zeros((height * width, height * width))
    for i, j in itertools.product(range(height - 2), range(width - 2)):
        at = [(i + a) * width + j + b for a in range(3) for b in range(3)]
        colours = content.reshape(-1, 3)[at]
        centred = colours - colours.mean(axis=0)
        covariance = centred.T @ centred / 9
        inverse = np.linalg.inv(covariance + epsilon / 9 * np.eye(3))
        for p, q in itertools.product(range(9), repeat=2):
            affinity = (1 + centred[p] @ inverse @ centred[q]) / 9
            matrix[at[p], at[q]] += (p == q) - affinity
    return matrix


def matting(image, content):
    matrix, pixels = matting_matrix(content), image.reshape(-1, 3)
    return sum(pixels[:, c] @ matrix @ pixels[:, c] for c in range(3))
