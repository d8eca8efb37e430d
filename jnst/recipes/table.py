"""Published methods as recipes, equal to their source step by step.

Each says where it is from, where it departs, and what a run gave. `jnst`, the first,
is our own and the default. To add a recipe, add a row to `RECIPES`.
"""

import math

from jnst.recipes.recipe import Recipe

KERAS_LOSSES = {
    "style_options": (("scale", "image"),),
    "content_loss": "sum",
    "tv_loss": "tv_beta",
    "tv_options": (("beta", 2.5), ("mode", "crop")),
    "pixel_scale": 255.0,
    "clip": False,
    "style_fit": True,
    "resize": "nearest",
}
NOTEBOOK = {
    "style_layer_weights": (1.0,) * 5,
    "optimizer": "adam_tf",
    "beta1": 0.99,
    "epsilon": 0.1,
    "style_aspect": (1, 1),
    "style_size_px": 224,
    "resize": "bilinear_point",
    "size_rounding": "down",
}

CAFFE_SCALES = (450.0, 13500.0, 15600.0, 255000.0, 2000.0)
"""Mean squares of the original VGG19's relu1_1 .. relu5_1 over those of the normalised
one, on a photograph and a painting: what brings losses of degree 2 to one scale."""
RELU4_2_SCALE = 106000.0

JNST = {
    "style_loss": "wasserstein2",
    "style_options": (("form", "factored"),),
    "style_layer_weights": tuple(
        share / 341 / scale
        for share, scale in zip((256, 64, 16, 4, 1), CAFFE_SCALES, strict=True)
    ),
    "style_blend": "statistics",
    "content_weight": 0.03 / RELU4_2_SCALE,
    "tv_loss": "tv_nine_point",
    "tv_weight": 2.0,
    "padding": "replicate",
    "padding_layers": "first",
}
"""crowsonkb's losses brought to the scale of the original VGG19."""

RECIPES: dict[str, Recipe] = {
    "jnst": Recipe(
        **JNST,  # type: ignore[arg-type]
        scale_steps=(60, 60, 110),
        scale_ratio=2.0,
        min_size_px=256,
        learning_rate=0.14,
        cooldown=1.0,
        moments="rescaled",
        beta2=0.85,
        ema=0.8,
        returns="ema",
        shift_px=8,
        source="Ours, the default: crowsonkb's losses brought to the scale of the "
        "original VGG19, and after some 90 steps as low as its 2000 end, since second "
        "moments that forget soon let steps be long. "
        "All terms are means, so that weights do not change with size. Steps see the "
        "image shifted in turn, as crowsonkb/style_transfer did, or pooling's grid "
        "shows.",
    ),
    "jnst-lbfgs": Recipe(
        **JNST,  # type: ignore[arg-type]
        scale_steps=(80, 40),
        scale_ratio=math.sqrt(2),
        optimizer="lbfgs_torch",
        learning_rate=1.0,
        source="Ours: the default's objective by L-BFGS, to compare with: at 256 px on "
        "two CPU cores after 24 s 5 % above what the default reaches in 27 "
        "(benchmarks/time_to_quality.py, JAX 0.10.2). L-BFGS wants a loss that is the "
        "same function at every step; sampled ones are not.",
    ),
    "notebook-texture": Recipe(
        **NOTEBOOK,  # type: ignore[arg-type]
        content_weight=0.0,
        learning_rate=0.2,
        init="noise",
        scale_steps=(5000,),
        size_px=224,
        aspect=(1, 1),
        source="Source 000, part 1, step 1: texture from noise by Gram matrices alone.",
    ),
    "notebook-texture-tv": Recipe(
        **NOTEBOOK,  # type: ignore[arg-type]
        content_weight=0.0,
        style_weight=0.1,
        tv_weight=1e9,
        learning_rate=0.2,
        init="noise",
        scale_steps=(5000,),
        size_px=224,
        aspect=(1, 1),
        source="Source 000, part 1, step 2: the same with total variation.",
    ),
    "notebook-transfer": Recipe(
        **NOTEBOOK,  # type: ignore[arg-type]
        content_loss="squared_mean_difference",
        content_layers=("relu5_2",),
        content_weight=1e4,
        style_weight=0.01,
        tv_weight=1e9,
        learning_rate=0.001,
        scale_steps=(2000,),
        size_px=512,
        source="Source 000, part 2: its content term squares the mean difference, so "
        "that it holds the level of activation but no content.",
    ),
    "keras": Recipe(
        **KERAS_LOSSES,  # type: ignore[arg-type]
        content_layers=("relu5_2",),
        content_weight=2.5e-8,
        style_weight=1e-6,
        tv_weight=1e-6,
        optimizer="sgd",
        learning_rate=100.0,
        decay_rate=0.9,
        scale_steps=(4000,),
        size_px=600,
        aspect=(2, 3),
        source="Source 001, after keras-io's example (whose decay is 0.96): sums, so "
        "its weights belong to 400 x 600 pixels.",
    ),
    "course": Recipe(
        style_options=(("scale", "gatys"),),
        style_weight=40.0,
        content_loss="quarter_mean",
        content_weight=10.0,
        pooling="average",
        pooling_ceil=True,
        pixel_scale=255.0,
        clip=False,
        init="noise_mix",
        optimizer="adam_tf",
        learning_rate=2.0,
        scale_steps=(200,),
        size_px=300,
        aspect=(3, 4),
        style_fit=True,
        source="Source 002 (a course's notebook). Departs: the source wants files of "
        "300 x 225 pixels, we stretch others to that.",
    ),
    "keras-lbfgs": Recipe(
        **KERAS_LOSSES,  # type: ignore[arg-type]
        content_weight=0.025,
        tv_weight=1e-4,
        optimizer="lbfgs",
        restart_every=20,
        scale_steps=(400,),
        size_px=400,
        size_side="height",
        size_rounding="down",
        source="Source 003: the losses of 001 at block4_conv2 under L-BFGS, 20 rounds "
        "of 20. Departs: optax's zoom line search for SciPy's, whose inner evaluations "
        "are not counted as steps.",
    ),
    "tf-eager": Recipe(
        style_weight=1e-2,
        content_layers=("relu5_2",),
        content_weight=1e3,
        pixel_scale=255.0,
        # A rate of 10 grey levels: one pixel whose gradient is near 0 and of the other
        # sign changes the next loss by 1e-4. Winograd's rounding is enough for that.
        convolution="xla",
        optimizer="adam_tf",
        learning_rate=10.0,
        scale_steps=(1000,),
        returns="after_best",
        resize="lanczos",
        source="Source 004 (TensorFlow's eager tutorial): returns the image one step "
        "after its lowest loss, as its loop does.",
    ),
    "tf-tutorial": Recipe(
        style_weight=1e-2,
        content_layers=("relu5_2",),
        content_weight=1e4,
        tv_loss="tv_sum_l1",
        tv_weight=30.0,
        optimizer="adam_tf",
        beta1=0.99,
        epsilon=0.1,
        scale_steps=(1000,),
        resize="bilinear_point",
        size_rounding="down",
        source='tensorflow.org, "Neural style transfer": total variation is a sum, '
        "so its weight belongs to 512 pixels.",
    ),
    "gatys": Recipe(
        style_layer_weights=tuple(1e3 / c**2 for c in (64, 128, 256, 512, 512)),
        pixel_scale=255.0,
        clip=False,
        optimizer="lbfgs_torch",
        learning_rate=1.0,
        memory=100,
        scale_steps=(500, 200),
        scale_ratio=800 / 512,
        min_size_px=512,
        size_px=800,
        size_side="shorter",
        resize="bilinear",
        source="leongatys/PytorchNeuralStyleTransfer, the first author's notebook: 512 "
        "pixels on the shorter side, then 800. Departs: between sizes a cubic resize "
        "without clipping.",
    ),
    "neural-style": Recipe(
        style_options=(("scale", "chw"),),
        style_layer_weights=(1.0,) * 5,
        style_weight=100.0,
        style_blend="statistics",
        content_weight=5.0,
        tv_loss="tv_johnson",
        tv_weight=1e-3,
        pooling_ceil=True,
        white=256.0,
        pixel_scale=256.0,
        clip=False,
        init="mean_noise",
        optimizer="lbfgs_torch",
        learning_rate=1.0,
        memory=100,
        scale_steps=(1000,),
        resize="bilinear",
        source="jcjohnson/neural-style: pixels times 256, sizes rounded up at a "
        "pooling, total variation known by its gradient.",
    ),
    "crowsonkb": Recipe(
        style_loss="wasserstein2",
        style_options=(("form", "mean"),),
        style_layer_weights=tuple(w / 341 for w in (256, 64, 16, 4, 1)),
        style_blend="statistics",
        content_weight=0.015,
        tv_loss="tv_nine_point",
        tv_weight=2.0,
        padding="replicate",
        padding_layers="first",
        beta2=0.99,
        scale_steps=(1000, 500),
        scale_ratio=math.sqrt(2),
        ema=0.99,
        returns="ema",
        style_enlarge=False,
        weights=("vgg19_torch", "vgg19_normalised", "vgg19"),
        source="crowsonkb/style-transfer-pytorch. Departs: meant for torchvision's "
        "VGG19 (weights vgg19_torch), runs on whichever VGG19 is at hand; the root's "
        "gradient comes from the coupled iteration.",
    ),
}
