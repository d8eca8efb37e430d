"""Write `traces.json`: the first losses of three sources' own loops, in TensorFlow.

Needs an environment of its own (pip install tensorflow safetensors) and the original
VGG19 (jnst weights convert vgg19 -o vgg19.safetensors). From the repository's root:

    python tests/data/make_traces.py vgg19.safetensors
"""

import json
import platform
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
from safetensors.numpy import load_file

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from clipped import clipped  # noqa: E402

STEPS = 12
STYLE_LAYERS = [f"block{n}_conv1" for n in range(1, 6)]
KERAS_RATE = 0.1
MEANS = np.array([103.939, 116.779, 123.68])  # blue, green, red


def load_vgg(path):
    """Keras' own network with its original weights."""
    arrays = load_file(path)
    vgg = tf.keras.applications.VGG19(include_top=False, weights=None)
    for layer in vgg.layers:
        if layer.name.startswith("block") and "conv" in layer.name:
            name = layer.name.removeprefix("block").replace("_conv", "_")
            layer.set_weights([arrays[f"conv{name}.{k}"] for k in ("kernel", "bias")])
    vgg.trainable = False
    return vgg


def layers_of(vgg, names):
    return tf.keras.Model(vgg.inputs, [vgg.get_layer(name).output for name in names])


def preprocess(levels):
    return tf.keras.applications.vgg19.preprocess_input(levels)


def gram_matrix(maps):
    vectors = tf.reshape(maps, [-1, int(maps.shape[-1])])
    count = tf.cast(tf.shape(vectors)[0], tf.float32)
    return tf.matmul(vectors, vectors, transpose_a=True) / count


def mean_squares(ours, theirs):
    return [tf.reduce_mean((o - t) ** 2) for o, t in zip(ours, theirs, strict=True)]


def source_000(vgg, content, style):
    """Part 2, sections 2 to 5: the transfer."""
    content_model = layers_of(vgg, ["block5_conv2"])
    style_model = layers_of(vgg, STYLE_LAYERS)

    def level(image):
        [maps] = tf.nest.flatten(content_model(preprocess(image[None] * 255.0)))
        return maps

    def grams(image):
        return [gram_matrix(x) for x in style_model(preprocess(image[None] * 255.0))]

    held, wanted = level(tf.constant(content)), grams(tf.constant(style))
    optimizer = tf.optimizers.Adam(learning_rate=0.001, beta_1=0.99, epsilon=1e-1)
    image = tf.Variable(content)

    def loss_of():
        across, down = image[:, 1:] - image[:, :-1], image[1:] - image[:-1]
        variation = tf.reduce_mean(across**2) + tf.reduce_mean(down**2)
        loss = 1e-2 * tf.reduce_sum(mean_squares(grams(image), wanted))
        return loss + 1e9 * variation + 1e4 * tf.reduce_mean(level(image) - held) ** 2

    return run(image, loss_of, optimizer, lambda x: tf.clip_by_value(x, 0.0, 1.0))


def source_001(vgg, content, style):
    """Its `compute_loss` on three pictures at once, under SGD with a decay.

    A rate of 100 belongs to 400 x 600 pixels, whose gradients are as much smaller as
    they are more: here it would end in infinity at the second step.
    """
    height, width, _ = content.shape
    extract = layers_of(vgg, [*STYLE_LAYERS, "block5_conv2"])
    base, reference = (preprocess(255.0 * x[None]) for x in (content, style))
    image = tf.Variable(base)

    def gram(maps):
        rows = tf.reshape(tf.transpose(maps, (2, 0, 1)), (tf.shape(maps)[-1], -1))
        return tf.matmul(rows, tf.transpose(rows))

    def loss_of():
        *styles, deep = extract(tf.concat([base, reference, image], axis=0))
        loss = 2.5e-8 * tf.reduce_sum(tf.square(deep[2] - deep[0]))
        for maps in styles:
            squares = tf.reduce_sum(tf.square(gram(maps[1]) - gram(maps[2])))
            loss += 1e-6 / 5 * squares / (4.0 * 3**2 * (height * width) ** 2)
        inner = image[:, :-1, :-1]
        a = tf.square(inner - image[:, 1:, :-1])
        b = tf.square(inner - image[:, :-1, 1:])
        return loss + 1e-6 * tf.reduce_sum(tf.pow(a + b, 1.25))

    decay = tf.keras.optimizers.schedules.ExponentialDecay
    rate = decay(initial_learning_rate=KERAS_RATE, decay_steps=100, decay_rate=0.90)
    return run(image, loss_of, tf.keras.optimizers.SGD(rate), lambda x: x)


def source_004(vgg, content, style):
    """Its `run_style_transfer`; TensorFlow 1's Adam is in `compat`."""
    model = layers_of(vgg, [*STYLE_LAYERS, "block5_conv2"])
    base, reference = (preprocess(255.0 * x[None]) for x in (content, style))
    wanted = [gram_matrix(x) for x in model(reference)[:5]]
    held = model(base)[5]
    image = tf.Variable(base)

    def loss_of():
        *styles, deep = model(image)
        style_loss = sum(mean_squares(map(gram_matrix, styles), wanted)) / 5
        return 1e-2 * style_loss + 1e3 * tf.reduce_mean(tf.square(deep - held))

    low, high = np.float32(-MEANS), np.float32(255 - MEANS)
    optimizer = tf.compat.v1.train.AdamOptimizer(learning_rate=10.0)
    return run(image, loss_of, optimizer, lambda x: tf.clip_by_value(x, low, high))


def run(image, loss_of, optimizer, clip):
    """Losses before each step."""
    losses = []
    for _ in range(STEPS):
        with tf.GradientTape() as tape:
            loss = loss_of()
        optimizer.apply_gradients([(tape.gradient(loss, image), image)])
        image.assign(clip(image))
        losses.append(float(loss))
    return losses


LOOPS = {"notebook-transfer": source_000, "keras": source_001, "tf-eager": source_004}


def main():
    vgg = load_vgg(sys.argv[1])
    content, style = clipped(64, 96, seed=0), clipped(64, 96, seed=1)
    found = {
        "made_by": f"tests/data/make_traces.py, TensorFlow {tf.__version__}, Keras "
        f"{tf.keras.__version__}, CPU ({platform.machine()})",
        "losses": {name: loop(vgg, content, style) for name, loop in LOOPS.items()},
    }
    (HERE / "traces.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
