"""Slow, obvious NumPy float64 twins of losses on distributions of feature vectors.

Written from the formulas of losses.md (B6 to B12, B19), pair by pair and position by
position. Features are [H, W, C], without a batch axis. Nothing here imports jnst.
"""

import itertools

import numpy as np
from references import unrolled


def vectors(features):
    """The feature vectors of all positions, a row each."""
    return [features[i, j] for i, j in np.ndindex(features.shape[:2])]


def mmd(generated, target, kernel):
    """Mean over all pairs: k(x, x') + k(y, y') - 2 k(x, y) (B6)."""
    xs, ys = vectors(generated), vectors(target)
    mean = lambda a, b: np.mean([kernel(p, q) for p in a for q in b])  # noqa: E731
    return mean(xs, xs) + mean(ys, ys) - 2 * mean(xs, ys)


def mmd_linear(generated, target):
    return mmd(generated, target, lambda x, y: x @ y)


def mmd_polynomial(generated, target, c=0.0):
    return mmd(generated, target, lambda x, y: (x @ y + c) ** 2)


def mean_squared_distance(generated, target):
    """Over all pairs of four kinds: xx', yy', xy', yx'."""
    xs, ys = vectors(generated), vectors(target)
    kinds = (xs, xs), (ys, ys), (xs, ys), (ys, xs)
    mean = lambda a, b: np.mean([np.sum((p - q) ** 2) for p in a for q in b])  # noqa: E731
    return np.mean([mean(a, b) for a, b in kinds])


def mmd_gaussian(generated, target, sigma2=None, multiplier=1.0):
    if sigma2 is None:
        gamma = multiplier / mean_squared_distance(generated, target)
    else:
        gamma = 1 / (2 * sigma2)
    return mmd(generated, target, lambda x, y: np.exp(-gamma * np.sum((x - y) ** 2)))


def mmd_gaussian_unbiased(generated, target, sigma2):
    """The same without pairs of a vector with itself, as disjoint pairs estimate it."""
    kernel = lambda x, y: np.exp(-np.sum((x - y) ** 2) / (2 * sigma2))  # noqa: E731
    xs, ys = vectors(generated), vectors(target)
    within = sum(
        np.mean([kernel(p, q) for p, q in itertools.permutations(rows, 2)])
        for rows in (xs, ys)
    )
    return within - 2 * np.mean([kernel(p, q) for p in xs for q in ys])


def mmd_gaussian_linear_time(generated, target, multiplier=1.0):
    """lyttonhao's estimator without a shuffle: rows 2i and 2i + 1 are a pair."""
    xs, ys = vectors(generated), vectors(target)
    squares = []
    for i in range(min(len(xs), len(ys)) // 2):
        x0, x1, y0, y1 = xs[2 * i], xs[2 * i + 1], ys[2 * i], ys[2 * i + 1]
        kinds = (x0, x1), (y0, y1), (x0, y1), (y0, x1)
        squares.append([np.sum((p - q) ** 2) for p, q in kinds])
    gamma = multiplier / np.mean(squares)
    kernels = [np.exp(-gamma * np.array(four)) for four in squares]
    return sum(k[0] + k[1] - k[2] - k[3] for k in kernels)


def bn_statistics(generated, target):
    losses = [
        (ours.mean() - theirs.mean()) ** 2 + (ours.std() - theirs.std()) ** 2
        for ours, theirs in zip(unrolled(generated), unrolled(target), strict=True)
    ]
    return np.mean(losses)


def mean_std(generated, target, form="paper"):
    ours, theirs = unrolled(generated), unrolled(target)
    means = ours.mean(axis=1) - theirs.mean(axis=1)
    if form == "pytorch":  # variance with ddof 1, 1e-5 under the root, means
        stds = [np.sqrt(rows.var(axis=1, ddof=1) + 1e-5) for rows in (ours, theirs)]
        return np.mean(means**2) + np.mean((stds[0] - stds[1]) ** 2)
    stds = ours.std(axis=1) - theirs.std(axis=1)
    if form == "lua":
        return np.sum(means**2) + np.sum(stds**2)
    return np.linalg.norm(means) + np.linalg.norm(stds)


def cmd(generated, target, moments=5, squash="sigmoid"):
    squashes = {"sigmoid": lambda x: 1 / (1 + np.exp(-x)), "none": lambda x: x}
    ours, theirs = (squashes[squash](unrolled(f)) for f in (generated, target))
    loss = np.linalg.norm(ours.mean(axis=1) - theirs.mean(axis=1))
    for k in range(2, moments + 1):
        central = [
            [np.mean((channel - channel.mean()) ** k) for channel in rows]
            for rows in (ours, theirs)
        ]
        loss += np.linalg.norm(np.subtract(*central))
    return loss


def shifted_grams(features, offset):
    """Raw Gx and Gy of an offset, and their numbers of pairs (B8)."""
    height, width, channels = features.shape
    right, down = np.zeros((2, channels, channels))
    for i, j in np.ndindex(height, width):
        if j + offset < width:
            right += np.outer(features[i, j], features[i, j + offset])
        if i + offset < height:
            down += np.outer(features[i, j], features[i + offset, j])
    return (right, height * (width - offset)), (down, (height - offset) * width)


def shifted_gram(generated, target, offsets=(1,)):
    channels = generated.shape[2]
    losses = []
    for offset in offsets:
        pairs = zip(
            shifted_grams(generated, offset), shifted_grams(target, offset), strict=True
        )
        energies = [
            np.sum((ours / m - theirs / n) ** 2) / (4 * channels**2)
            for (ours, m), (theirs, n) in pairs
        ]
        losses.append(sum(energies) / 2)
    return np.mean(losses)


def activation_shift_gram(generated, target, shift=1.0):
    channels = generated.shape[2]
    ours, theirs = (
        sum(np.outer(v - shift, v - shift) for v in vectors(f)) / len(vectors(f))
        for f in (generated, target)
    )
    return np.sum((ours - theirs) ** 2) / (4 * channels**2)


def chain_matrix(shallow, deep, shift=0.0):
    """Sum over positions of shallow and the deep vector above it (B9, item 2)."""
    height, width, _ = shallow.shape
    tall, wide = height // deep.shape[0], width // deep.shape[1]
    assert (tall * deep.shape[0], wide * deep.shape[1]) == (height, width)
    return sum(
        np.outer(shallow[i, j] - shift, deep[i // tall, j // wide] - shift)
        for i, j in np.ndindex(height, width)
    )


def chained_gram(generated, target, shift=0.0):
    """`generated` and `target` are lists of maps, from shallow to deep."""
    loss = 0.0
    for at in range(len(generated) - 1):
        pairs = generated[at : at + 2], target[at : at + 2]
        ours, theirs = (
            chain_matrix(*pair, shift) / (pair[0].shape[0] * pair[0].shape[1])
            for pair in pairs
        )
        loss += np.sum((ours - theirs) ** 2) / (4 * ours.shape[0] * ours.shape[1])
    return loss


def guided_gram(generated, target, masks, scaling="formula"):
    """Gatys et al 2017: masks [R, H, W] of both, each scaled to a square sum of 1."""
    channels, regions = generated.shape[2], len(masks[0])
    loss = 0.0
    for ours, theirs in zip(*masks, strict=True):
        if not ours.any() or not theirs.any():
            continue
        grams = []
        for features, mask in ((generated, ours), (target, theirs)):
            mask = mask / np.sqrt(np.sum(mask**2))
            guided = features * mask[:, :, None]
            grams.append(sum(np.outer(v, v) for v in vectors(guided)))
        loss += np.sum((grams[0] - grams[1]) ** 2) / regions
    return loss / ({"formula": 4, "code": 1}[scaling] * channels**2)


def histogram_match(values, style):
    """A channel's values, each replaced by the style's at the same quantile (B10)."""
    ranks = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    places = (np.arange(len(style)) + 0.5) / len(style)
    return np.interp((ranks + 0.5) / len(values), places, np.sort(style))


def histogram(generated, target, reduction="sum", bins=0):
    squares = []
    for values, style in zip(unrolled(generated), unrolled(target), strict=True):
        match = histogram_match(values, style)
        if bins:  # the left edge of the bin a matched value falls into
            edges = style.min() + np.arange(bins) / bins * (style.max() - style.min())
            match = edges[np.searchsorted(edges, match, side="right") - 1]
        squares.append((values - match) ** 2)
    return np.sum(squares) if reduction == "sum" else np.mean(squares)


def sliced_wasserstein(generated, target, directions):
    losses = []
    for direction in directions:
        ours = np.sort([v @ direction for v in vectors(generated)])
        theirs = np.sort([v @ direction for v in vectors(target)])
        if len(ours) % len(theirs) == 0:
            theirs = np.repeat(theirs, len(ours) // len(theirs))
        places = (np.arange(len(theirs)) + 0.5) / len(theirs)
        quantiles = (np.arange(len(ours)) + 0.5) / len(ours)
        losses.append(np.mean((ours - np.interp(quantiles, places, theirs)) ** 2))
    return np.mean(losses)


def sliced_wasserstein_on_every_direction(generated, target, count=3600):
    """Two channels: the mean over the circle, by a fine grid of angles."""
    angles = (np.arange(count) + 0.5) * np.pi / count
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return sliced_wasserstein(generated, target, directions)
