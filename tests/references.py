"""Slow, obvious NumPy float64 twins of the losses, written from their sources.

Features are [H, W, C], images [H, W, 3], without a batch axis. Nothing here imports
jnst. The network and the recipes are in `references_network.py`.
"""

import itertools

import numpy as np


def unrolled(features):
    """Features [H, W, C] as C rows of H * W values (source 002's unrolled matrix)."""
    height, width, channels = features.shape
    rows = np.zeros((channels, height * width))
    for c in range(channels):
        for i, j in itertools.product(range(height), range(width)):
            rows[c, i * width + j] = features[i, j, c]
    return rows


def raw_gram(features):
    """G_cd, the sum over positions of F_c F_d (Gatys et al 2015, eq. 1)."""
    rows = unrolled(features)
    channels = len(rows)
    gram = np.zeros((channels, channels))
    for c, d in itertools.product(range(channels), repeat=2):
        gram[c, d] = np.sum(rows[c] * rows[d])
    return gram


def gram_loss(generated, target, scale="hw", image_size=None):
    """Squared Gram difference as each code base writes it (losses.md, section 1)."""
    channels = generated.shape[2]
    m, m_target = (f.shape[0] * f.shape[1] for f in (generated, target))
    ours, theirs = raw_gram(generated), raw_gram(target)
    if scale == "hw":  # sources 000 and 004: mean of squares of G / M
        return np.mean((ours / m - theirs / m_target) ** 2)
    if scale == "image":  # source 001: 3 channels and the image's size, whatever C, M
        height, width = image_size
        return np.sum((ours - theirs) ** 2) / (4 * 3**2 * (height * width) ** 2)
    if scale == "gatys":  # source 002; Gatys et al, CVPR 2016, eq. 4
        return np.sum((ours - theirs) ** 2) / (4 * channels**2 * m**2)
    ours_chw, theirs_chw = ours / (channels * m), theirs / (channels * m_target)
    if scale == "chw_sum":  # Johnson et al, ECCV 2016, eq. 4: Frobenius norm squared
        return np.sum((ours_chw - theirs_chw) ** 2)
    if scale == "chw":  # jcjohnson/neural-style: MSECriterion of G / (C M)
        return np.mean((ours_chw - theirs_chw) ** 2)
    if scale == "mmd":  # Li et al 2017: mean of k(x, x') + k(y, y') - 2 k(x, y)
        x, y = unrolled(generated).T, unrolled(target).T
        kernel = lambda a, b: np.mean((a @ b.T) ** 2)  # noqa: E731
        return kernel(x, x) + kernel(y, y) - 2 * kernel(x, y)
    if scale == "raw":  # Risser's co-author's repository: mean of squares of raw G
        return np.mean((ours - theirs) ** 2)
    raise KeyError(scale)


def scaled_squares(difference):
    """crowsonkb, ScaledMSELoss: squares over absolute values."""
    return np.sum(difference**2) / (np.sum(np.abs(difference)) + 1e-8)


def scaled_gram_loss(generated, target):
    ours = raw_gram(generated) / (generated.shape[0] * generated.shape[1])
    theirs = raw_gram(target) / (target.shape[0] * target.shape[1])
    return scaled_squares(ours - theirs)


def covariance(features):
    """Population covariance by its definition, one entry at a time."""
    rows = unrolled(features)
    channels = len(rows)
    cov = np.zeros((channels, channels))
    for c, d in itertools.product(range(channels), repeat=2):
        cov[c, d] = np.mean((rows[c] - rows[c].mean()) * (rows[d] - rows[d].mean()))
    return cov


def covariance_loss(generated, target):
    return np.mean((covariance(generated) - covariance(target)) ** 2)


def symmetric_root(matrix):
    values, vectors = np.linalg.eigh(matrix)
    return vectors @ np.diag(np.sqrt(np.maximum(values, 0))) @ vectors.T


def wasserstein2_loss(generated, target, form="sum"):
    """|m1 - m2|^2 + tr(S1 + S2 - 2 (S2^1/2 S1 S2^1/2)^1/2), by eigenvalues."""
    channels = generated.shape[2]
    ridge = 1e-4 * np.eye(channels) if form == "mean" else 0  # crowsonkb's epsilon
    ours, theirs = covariance(generated) + ridge, covariance(target) + ridge
    root = symmetric_root(theirs)
    cross = symmetric_root(root @ ours @ root)
    means = generated.mean(axis=(0, 1)) - target.mean(axis=(0, 1))
    loss = np.sum(means**2) + np.trace(ours + theirs) - 2 * np.trace(cross)
    return loss if form == "sum" else loss / channels


def content_loss(generated, target, name="mean_squared", form="sqrt"):
    height, width, channels = generated.shape
    squares = 0.0
    for at in itertools.product(range(height), range(width), range(channels)):
        squares += (generated[at] - target[at]) ** 2
    m = height * width
    return {
        "mean_squared": squares / (channels * m),  # Johnson 2016, eq. 2; source 004
        "half_sum": squares / 2,  # Gatys 2016, eq. 1
        "sum": squares,  # source 001
        "quarter_mean": squares / (4 * height * width * channels),  # source 002
        # Source 000 squares after the mean.
        "squared_mean_difference": np.mean(generated - target) ** 2,
        "scaled": scaled_squares(generated - target),  # crowsonkb
        "cysmith": squares
        * {"sqrt": 1 / (2 * channels**0.5 * m**0.5), "mean": 1 / m / channels}.get(
            form, 0.5
        ),
    }[name]


def differences(image):
    """Lists of x_{i,j+1} - x_{ij} and x_{i+1,j} - x_{ij}, over all channels."""
    height, width, _ = image.shape
    positions = list(itertools.product(range(height), range(width)))
    right = [image[i, j + 1] - image[i, j] for i, j in positions if j < width - 1]
    down = [image[i + 1, j] - image[i, j] for i, j in positions if i < height - 1]
    return np.array(right), np.array(down)


def gradient_energy(image, mode):
    """Squared gradient magnitudes: "crop" keeps i < H-1, j < W-1; else 0 past edges."""
    height, width, _ = image.shape
    energies = []
    for i, j in itertools.product(range(height), range(width)):
        inside_right, inside_down = j < width - 1, i < height - 1
        if mode == "crop" and not (inside_right and inside_down):
            continue
        right = image[i, j + 1] - image[i, j] if inside_right else 0 * image[i, j]
        down = image[i + 1, j] - image[i, j] if inside_down else 0 * image[i, j]
        energies.append(right**2 + down**2)
    return np.array(energies)


def nine_point(image):
    """crowsonkb, TVLoss: four neighbour differences of the edge-padded image."""
    p = np.pad(image, ((1, 1), (1, 1), (0, 0)), "edge")
    s1 = p[1:-1, 2:] - p[1:-1, 1:-1]
    s2 = p[2:, 1:-1] - p[1:-1, 1:-1]
    s3 = p[1:, 1:] - p[:-1, :-1]
    s4 = p[1:, :-1] - p[:-1, 1:]
    straight, diagonal = (
        np.mean(s1**2) + np.mean(s2**2),
        np.mean(s3**2) + np.mean(s4**2),
    )
    return 2 * (straight / 3 + diagonal / 12)


def image_loss(image, name, beta=2.0, mode="crop", reduction="sum"):
    right, down = differences(image)
    if name == "tv_mean_l2":  # source 000
        return np.mean(right**2) + np.mean(down**2)
    if name == "tv_sum_l2":  # AdaIN-style
        return np.sum(right**2) + np.sum(down**2)
    if name == "tv_sum_l1":  # tf.image.total_variation
        return np.sum(np.abs(right)) + np.sum(np.abs(down))
    if name == "tv_half_mean_l1":  # d2l-en
        return 0.5 * (np.mean(np.abs(right)) + np.mean(np.abs(down)))
    if name == "tv_johnson":  # neural-style: half the sum, last row and column dropped
        return 0.5 * np.sum(gradient_energy(image, "crop"))
    if name == "tv_isotropic":
        return np.sum(np.sqrt(gradient_energy(image, "crop") + 1e-8))
    if name == "tv_nine_point":
        return nine_point(image)
    if name == "tv_beta":  # Mahendran & Vedaldi 2015; source 001 with beta 2.5, crop
        magnitudes = gradient_energy(image, mode) ** (beta / 2)
        return np.sum(magnitudes) if reduction == "sum" else np.mean(magnitudes)
    raise KeyError(name)
