"""Slow twins of the metrics in NumPy float64, written from their papers and sources.

`q` is the deterministic input of the reference on newer methods (modern.md, section 0),
whose worked values are NumPy float64's, and agree with the authors' own code.
"""

import itertools

import numpy as np
from PIL import Image


def q(seed, *shape):
    """Values in [0, 1), exact in float32, by no library's random numbers."""
    n = np.arange(1, np.prod(shape) + 1, dtype=np.int64)
    k = n + 31 * seed
    return (((k**3 + 7 * seed * k) % 1009) / 1024).reshape(shape)


def blocks(seed, height, width):
    """A picture of 8x8 blocks with some of `q` over them."""
    coarse = q(seed, -(-height // 8), -(-width // 8), 3)
    wide = np.repeat(np.repeat(coarse, 8, 0), 8, 1)[:height, :width]
    return 0.75 * wide + 0.25 * q(seed + 1, height, width, 3)


def _ssim_maps(x, y):
    """SSIM and its part without luminance at every window, channel by channel."""
    places = np.arange(11) - 5
    line = np.exp(-(places**2) / (2 * 1.5**2))
    window = np.outer(line, line) / line.sum() ** 2
    height, width, channels = x.shape
    shape = height - 10, width - 10, channels
    whole, structure = np.zeros(shape), np.zeros(shape)
    for i, j, c in itertools.product(*map(range, shape)):
        a, b = (z[i : i + 11, j : j + 11, c] for z in (x, y))
        mean_a, mean_b = (window * a).sum(), (window * b).sum()
        var_a = (window * (a - mean_a) ** 2).sum()
        var_b = (window * (b - mean_b) ** 2).sum()
        joint = (window * (a - mean_a) * (b - mean_b)).sum()
        cs = (2 * joint + 0.03**2) / (var_a + var_b + 0.03**2)
        lum = (2 * mean_a * mean_b + 0.01**2) / (mean_a**2 + mean_b**2 + 0.01**2)
        whole[i, j, c], structure[i, j, c] = lum * cs, cs
    return whole, structure


def ssim(x, y):
    return _ssim_maps(x, y)[0].mean()


def rgb_uv(x, bins=64):
    """Afifi et al, equations 1 to 3, pixel by pixel."""
    centres = np.linspace(-3, 3, bins)
    counts = np.zeros((3, bins, bins))
    for pixel in np.clip(x, 0, 1).reshape(-1, 3):
        light = np.sqrt((pixel**2).sum() + 1e-6)
        for c, (a, b) in enumerate(((1, 2), (0, 2), (0, 1))):
            u, v = (np.log(pixel[c] + 1e-6) - np.log(pixel[k] + 1e-6) for k in (a, b))
            near_u, near_v = (1 / (1 + ((t - centres) / 0.02) ** 2) for t in (u, v))
            counts[c] += light * np.outer(near_u, near_v)
    return counts / (counts.sum() + 1e-6)


def histogram(x, y, bins=64):
    roots = (np.sqrt(rgb_uv(z, bins)) for z in (x, y))
    return np.linalg.norm(np.subtract(*roots)) / np.sqrt(2)


def halved_by_points(x):
    """Half-pixel bilinear at half the size: the mean of 2x2 pixels."""
    return (x[::2, ::2] + x[1::2, ::2] + x[::2, 1::2] + x[1::2, 1::2]) / 4


def _quantiles(values, count):
    """Sorted values read at (i + 1/2) / count, linear; repeated where they fit."""
    m = len(values)
    if count % m == 0:
        return np.repeat(np.sort(values), count // m)
    return np.interp(
        (np.arange(count) + 0.5) / count, (np.arange(m) + 0.5) / m, np.sort(values)
    )


def sliced(x, y, directions):
    """Mean over directions and positions of squared differences of sorted values."""
    a, b = (z.reshape(-1, z.shape[-1]) for z in (x, y))
    each = []
    for w in directions:
        ours = np.sort(a @ w)
        each.append(np.mean((ours - _quantiles(b @ w, len(ours))) ** 2))
    return np.mean(each)


def cfsd(stylised, content):
    """KL of the rows of two matrices of self-similarity, all at once."""

    def rows(f):
        f = f.reshape(-1, f.shape[-1]) / f.shape[-1]
        logits = f @ f.T
        return (
            logits
            - np.log(
                np.exp(logits - logits.max(1, keepdims=True)).sum(1, keepdims=True)
            )
            - logits.max(1, keepdims=True)
        )

    theirs, ours = rows(content), rows(stylised)
    return (np.exp(theirs) * (theirs - ours)).sum()


def frechet(x, y):
    """np.cov, and the root by eigenvalues of the symmetric product."""
    a, b = (z.reshape(-1, z.shape[-1]) for z in (x, y))
    first, second = (np.cov(z, rowvar=False) for z in (a, b))
    values, vectors = np.linalg.eigh(second)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    coupled = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ first @ root), 0)).sum()
    apart = ((a.mean(0) - b.mean(0)) ** 2).sum()
    return apart + np.trace(first) + np.trace(second) - 2 * coupled


def gram(ours, theirs):
    ratios = []
    for layer in ours:
        a, b = (z[layer].reshape(-1, z[layer].shape[-1]) for z in (ours, theirs))
        g, h = a.T @ a / len(a), b.T @ b / len(b)
        ratios.append(((g - h) ** 2).sum() / (h**2).sum())
    return np.mean(ratios)


def lpips_layer(x, y, heads):
    units = (z / (np.linalg.norm(z, axis=-1, keepdims=True) + 1e-10) for z in (x, y))
    return ((np.subtract(*units) ** 2) @ heads).mean()


def convolve(x, kernel, bias, stride, padding):
    x = np.pad(x, ((padding, padding), (padding, padding), (0, 0)))
    size = kernel.shape[0]
    shape = [(n - size) // stride + 1 for n in x.shape[:2]]
    out = np.zeros((*shape, kernel.shape[3]))
    for i, j in itertools.product(*map(range, shape)):
        window = x[i * stride : i * stride + size, j * stride : j * stride + size]
        out[i, j] = np.tensordot(window, kernel, 3) + bias
    return out


def alexnet(params, image):
    """torchvision's `features` to its fifth ReLU."""
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    x, found = (image - mean) / deviation, []
    layers = ((4, 2, False), (1, 2, True), (1, 1, True), (1, 1, False), (1, 1, False))
    for n, (stride, padding, pooled) in enumerate(layers, start=1):
        if pooled:
            shape = [(side - 3) // 2 + 1 for side in x.shape[:2]]
            x = np.array(
                [
                    [
                        x[2 * i : 2 * i + 3, 2 * j : 2 * j + 3].max((0, 1))
                        for j in range(shape[1])
                    ]
                    for i in range(shape[0])
                ]
            )
        layer = params[f"conv{n}"]
        x = np.maximum(convolve(x, layer["kernel"], layer["bias"], stride, padding), 0)
        found.append(x)
    return found


def grey(image):
    """What Pillow makes of a picture of 8 bits, three equal channels in [0, 1]."""
    levels = np.clip(np.floor(255 * image + 0.5), 0, 255).astype(np.uint8)
    found = np.asarray(Image.fromarray(levels).convert("L"), np.float64) / 255
    return np.repeat(found[..., None], 3, axis=-1)


def hann_pool(x):
    """Zeros around, squares weighed by 1 2 1, every second place, and the root."""
    line = np.hanning(5)[1:-1]
    window = np.outer(line, line) / line.sum() ** 2
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0))) ** 2
    height, width = ((n - 1) // 2 + 1 for n in x.shape[:2])
    out = np.zeros((height, width, x.shape[2]))
    for i, j in itertools.product(range(height), range(width)):
        square = padded[2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
        out[i, j] = np.tensordot(window, square, 2)
    return np.sqrt(out + 1e-12)


def dists_similarity(ours, theirs, alpha, beta):
    """As `DISTS.forward`, channel by channel."""
    total, at, score = alpha.sum() + beta.sum(), 0, 0.0
    for x, y in zip(ours, theirs, strict=True):
        for c in range(x.shape[-1]):
            a, b = x[..., c], y[..., c]
            joint = (a * b).mean() - a.mean() * b.mean()
            s1 = (2 * a.mean() * b.mean() + 1e-6) / (
                a.mean() ** 2 + b.mean() ** 2 + 1e-6
            )
            s2 = (2 * joint + 1e-6) / (a.var() + b.var() + 1e-6)
            score += (alpha[at] * s1 + beta[at] * s2) / total
            at += 1
    return 1 - score
