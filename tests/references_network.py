"""Slow NumPy float64 twins of the network and of every recipe's objective.

Written from VGG's table 1, the sources and the peers' code; nothing here imports jnst.
Images are [H, W, 3] in RGB, 0 to 1; features [H, W, C].
"""

import functools
import itertools

import numpy as np
import references

# Table 1 of Simonyan & Zisserman, columns D and E: convolutions in each block.
BLOCKS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
PAD_MODES = {"zeros": "constant", "replicate": "edge", "reflect": "reflect"}
RESCALES = {"max": 1.0, "average": 2.0, "l2": 0.78}  # crowsonkb, pooling_scales
FIRST = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")


def convolve(x, kernel, bias, padding="zeros"):
    """3x3 cross-correlation, one kernel position at a time."""
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)), PAD_MODES[padding])
    height, width, _ = x.shape
    out = np.zeros((height, width, kernel.shape[3])) + bias
    for i, j in itertools.product(range(3), range(3)):
        out += padded[i : i + height, j : j + width] @ kernel[i, j]
    return out


def windows(height, width, ceil=False):
    """Rows and columns of every 2x2 window; with `ceil` a last half one has fewer."""
    rows, columns = ((n + 1) // 2 if ceil else n // 2 for n in (height, width))
    for i, j in itertools.product(range(rows), range(columns)):
        yield i, j, slice(2 * i, 2 * i + 2), slice(2 * j, 2 * j + 2)


def pool(x, kind="max", rescale=False, ceil=False):
    """2x2 windows, stride 2; with `ceil` a last half window counts what it has."""
    if kind == "max":
        return at_first_largest(x, x, ceil) * (RESCALES[kind] if rescale else 1)
    height, width, channels = x.shape
    found = {}
    for i, j, rows, columns in windows(height, width, ceil):
        window = x[rows, columns].reshape(-1, channels)
        if kind == "average":
            found[i, j] = window.mean(axis=0)
        else:
            # torch.nn.LPPool2d(2, 2): the mean of the squares there are, times 4.
            found[i, j] = np.sqrt(4 * (window**2).mean(axis=0))
    out = np.array(list(found.values())).reshape(i + 1, j + 1, channels)
    return out * RESCALES[kind] if rescale else out


def first_largest(window):
    """Place of a channel's maximum [h, w] in a window, as the frameworks search it.

    TensorFlow's `SpatialMaxPoolWithArgMaxHelper`, PyTorch's `max_pool2d` and Caffe's
    `PoolingLayer` go through a window row by row and take what is above the largest so
    far. Rounding of this twin's own sums does not count as above.
    """
    best = (0, 0)
    for i, j in itertools.product(*map(range, window.shape)):
        if window[i, j] > window[best] + 1e-12 * abs(window[best]):
            best = i, j
    return best


def at_first_largest(values, x, ceil=False):
    """What `values` are at the first largest of every window of x: forward mode."""
    height, width, channels = x.shape
    found = {}
    for i, j, rows, columns in windows(height, width, ceil):
        for c in range(channels):
            place = first_largest(x[rows, columns, c])
            found[i, j, c] = values[rows, columns, c][place]
    return np.array(list(found.values())).reshape(i + 1, j + 1, channels)


def to_first_largest(cotangent, x, ceil=False):
    """The derivative of max pooling at x, given that of its result: reverse mode."""
    out = np.zeros(x.shape)
    for i, j, rows, columns in windows(*x.shape[:2], ceil):
        for c in range(x.shape[2]):
            place = first_largest(x[rows, columns, c])
            out[rows, columns, c][place] += cotangent[i, j, c]
    return out


def pool_change(change, x, kind, rescale, ceil):
    """The derivative of a pooling along `change`."""
    factor = RESCALES[kind] if rescale else 1
    if kind == "max":
        return at_first_largest(change, x, ceil) * factor
    mean = pool(change, "average", False, ceil)
    if kind == "average":
        return mean * factor
    norm = pool(x, kind, False, ceil)
    product = 4 * pool(x * change, "average", False, ceil)
    return product / np.where(norm > 0, norm, np.inf) * factor


def network(
    params,
    image,
    *,
    along=None,
    backbone="vgg19",
    pooling="max",
    pooling_rescale=False,
    pooling_ceil=False,
    padding="zeros",
    padding_layers="all",
    until="pool5",
):
    """All layers by name, up to the first one called `until`.

    With `along`, a change of the image, each layer's derivative along it is added, so
    that what is no more than piecewise smooth, ReLUs and maxima, is so no longer.
    """
    kernel, bias = (params["preprocess"][k] for k in ("kernel", "bias"))
    x, found = image @ kernel + bias, {}
    change = None if along is None else along @ kernel

    def keep(name):
        found[name] = x if change is None else x + change

    for block, count in enumerate(BLOCKS[backbone], start=1):
        for index in range(1, count + 1):
            layer = f"{block}_{index}"
            first = layer == "1_1"
            mode = padding if padding_layers == "all" or first else "zeros"
            weights = params[f"conv{layer}"]
            x = convolve(x, weights["kernel"], weights["bias"], mode)
            if change is not None:
                change = convolve(change, weights["kernel"], 0, mode)
            keep(f"conv{layer}")
            if change is not None:
                change = np.where(x > 0, change, 0)
            x = np.maximum(x, 0)
            keep(f"relu{layer}")
            if until in found:
                return found
        if change is not None:
            change = pool_change(change, x, pooling, pooling_rescale, pooling_ceil)
        x = pool(x, pooling, pooling_rescale, pooling_ceil)
        keep(f"pool{block}")
    return found


def _style(ours, theirs, loss, weights, layers=FIRST, **options):
    pairs = [loss(ours[k], theirs[k], **options) for k in layers]
    return sum(w * pair for w, pair in zip(weights, pairs, strict=True))


def recipe_terms(name, params, image, content, style, along):
    """Weighted terms of a recipe at one image, all in [0, 1], as its source adds them.

    Every line says what the source does; numbers are typed from the source, not taken
    from our table of recipes. Features move with `along` as they do at the image.
    """
    gram, squares = references.gram_loss, references.content_loss
    tv, size = references.image_loss, image.shape[:2]
    options = {
        # MatConvNet's VGG19 with average pooling; its sizes round up.
        "course": {"pooling": "average", "pooling_ceil": True},
        "neural-style": {"pooling_ceil": True},  # nn.SpatialMaxPooling():ceil()
        "crowsonkb": {"padding": "replicate", "padding_layers": "first"},
    }.get(name, {})
    white = 256 / 255 if name == "neural-style" else 1.0  # Lua multiplies by 256
    options["until"] = "relu5_2"
    x = network(params, white * image, along=white * along, **options)
    c, s = (network(params, white * pixels, **options) for pixels in (content, style))
    image = image + along
    fifth = [1 / 5] * 5
    if name == "notebook-texture":
        return {"style": _style(x, s, gram, [1.0] * 5)}
    if name == "notebook-texture-tv":
        return {
            "style": 1e-1 * _style(x, s, gram, [1.0] * 5),
            "tv": 1e9 * tv(image, "tv_mean_l2"),
        }
    if name == "notebook-transfer":
        level = np.mean(x["relu5_2"] - c["relu5_2"]) ** 2
        return {
            "content": 1e4 * level,
            "style": 1e-2 * _style(x, s, gram, [1.0] * 5),
            "tv": 1e9 * tv(image, "tv_mean_l2"),
        }
    if name in ("keras", "keras-lbfgs"):
        layer = "relu5_2" if name == "keras" else "relu4_2"
        content_weight, style_weight, tv_weight = {
            "keras": (2.5e-8, 1e-6, 1e-6),
            "keras-lbfgs": (0.025, 1.0, 1e-4),
        }[name]
        form = {"scale": "image", "image_size": size}
        return {
            "content": content_weight * np.sum((x[layer] - c[layer]) ** 2),
            "style": style_weight * _style(x, s, gram, fifth, **form),
            "tv": tv_weight * tv(255 * image, "tv_beta", beta=2.5, mode="crop"),
        }
    if name == "course":
        return {
            "content": 10 * squares(x["relu4_2"], c["relu4_2"], "quarter_mean"),
            "style": 40 * _style(x, s, gram, [0.2] * 5, scale="gatys"),
        }
    if name in ("tf-eager", "tf-tutorial"):
        content_weight = 1e3 if name == "tf-eager" else 1e4
        terms = {
            "content": content_weight * np.mean((x["relu5_2"] - c["relu5_2"]) ** 2),
            "style": 1e-2 * _style(x, s, gram, fifth),
        }
        if name == "tf-tutorial":
            terms["tv"] = 30 * tv(image, "tv_sum_l1")
        return terms
    if name == "gatys":
        weights = [1e3 / channels**2 for channels in (64, 128, 256, 512, 512)]
        return {
            "content": np.mean((x["relu4_2"] - c["relu4_2"]) ** 2),
            "style": _style(x, s, gram, weights),
        }
    if name == "neural-style":
        return {
            "content": 5 * np.mean((x["relu4_2"] - c["relu4_2"]) ** 2),
            "style": 1e2 * _style(x, s, gram, [1.0] * 5, scale="chw"),
            "tv": 1e-3 * tv(256 * image, "tv_johnson"),
        }
    if name == "crowsonkb":
        weights = [w / (256 + 64 + 16 + 4 + 1) for w in (256, 64, 16, 4, 1)]
        loss = references.wasserstein2_loss
        return {
            "content": 0.015 * np.mean((x["relu4_2"] - c["relu4_2"]) ** 2),
            "style": _style(x, s, loss, weights, form="mean"),
            "tv": 2.0 * tv(image, "tv_nine_point"),
        }
    raise KeyError(name)


STYLE_TWINS = {
    "gram": references.gram_loss,
    "scaled_gram": references.scaled_gram_loss,
    "covariance": references.covariance_loss,
    "wasserstein2": references.wasserstein2_loss,
}


def terms_by_fields(recipe, params, image, content, style, along):
    """Weighted terms as a recipe's fields say, for our own, which has no source."""
    names = ("pooling", "pooling_rescale", "pooling_ceil", "padding", "padding_layers")
    options = {name: getattr(recipe, name) for name in names}
    white = recipe.white / 255
    x = network(params, white * image, along=white * along, **options)
    c, s = (network(params, white * pixels, **options) for pixels in (content, style))
    image = image + along

    def weighted(kind, losses):
        weights = getattr(recipe, f"{kind}_layer_weights") or [1 / len(losses)]
        weights = weights if len(weights) == len(losses) else weights * len(losses)
        total = sum(w * loss for w, loss in zip(weights, losses, strict=True))
        return getattr(recipe, f"{kind}_weight") * total

    content_loss = functools.partial(references.content_loss, name=recipe.content_loss)
    style_loss = STYLE_TWINS[recipe.style_loss]
    form, tv_form = dict(recipe.style_options), dict(recipe.tv_options)
    tv = references.image_loss(recipe.pixel_scale * image, recipe.tv_loss, **tv_form)
    found = {
        "content": weighted(
            "content", [content_loss(x[k], c[k]) for k in recipe.content_layers]
        ),
        "style": weighted(
            "style", [style_loss(x[k], s[k], **form) for k in recipe.style_layers]
        ),
        "tv": recipe.tv_weight * tv,
    }
    return {k: v for k, v in found.items() if getattr(recipe, f"{k}_weight") > 0}
