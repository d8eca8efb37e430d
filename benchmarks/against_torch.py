"""Time the user's own step beside the same objective in PyTorch, in turn.

Objective: Gram matrices (mean over C x C) at relu1_1 .. relu5_1, mean squared content
at relu4_2, total variation, Adam; float32, real VGG19. Both sides start from the same
image and their losses must agree. PyTorch runs channels-last, the faster of its layouts
on a CPU. Needs torch:

    python benchmarks/against_torch.py --sizes 128,256 --repeats 7 --json OUT.json
"""

import argparse
import datetime
import subprocess
import time

import jax
import jax.numpy as jnp
import numpy as np
import torch
import torch.nn.functional as F

import jnst
from jnst.files import write_json
from jnst.optimize import init, run_chunk
from jnst.program import compiled
from jnst.record import device, versions
from jnst.targets import (
    Targets,
    make_targets,
    network_params,
    static_part,
    weight_arrays,
)

STYLE = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
RECIPE = jnst.Recipe(tv_weight=1e6, content_weight=1e3, learning_rate=0.02)


def jax_side(params, image, content, style):
    """Return a function that takes one step, and gives the loss before it."""
    static, params = static_part(RECIPE), network_params(params, RECIPE)
    blend = jnp.ones(1)
    arguments = params, content, [style], blend
    found = compiled(make_targets, arguments, static)[0](*arguments)
    targets = Targets(*found, blend, *weight_arrays(RECIPE))
    state = init(image, RECIPE, jax.random.key(0))
    program, _ = compiled(run_chunk, (state, params, targets), static, 1)
    box = [state]

    def step():
        box[0], losses = jax.block_until_ready(program(box[0], params, targets))
        return float(losses["loss"][0])

    return step


def features(x, layers):
    """Features by name up to relu5_1, from PyTorch kernels by name."""
    found = {}
    for name, (kernel, bias) in layers.items():
        if name.endswith("_1") and name != "conv1_1":
            x = F.max_pool2d(x, 2)
        x = F.relu(F.conv2d(x, kernel, bias, padding=1))
        found[name.replace("conv", "relu")] = x
    return found


def gram(x):
    vectors = x.flatten(1) if x.dim() == 3 else x[0].flatten(1)
    return vectors @ vectors.T / vectors.shape[1]


def torch_side(params, image, content, style):
    """The same in PyTorch: channels-last, its own Adam."""
    last = {"memory_format": torch.channels_last}

    def tensor(array):
        chw = np.ascontiguousarray(np.asarray(array[0]).transpose(2, 0, 1))[None]
        return torch.from_numpy(chw).contiguous(**last)

    names = [n for n in params if n.startswith("conv") and n <= "conv5_1"]
    layers = {}
    for name in names:
        kernel = np.asarray(params[name]["kernel"]).transpose(3, 2, 0, 1).copy()
        bias = torch.from_numpy(np.array(params[name]["bias"]))
        layers[name] = torch.from_numpy(kernel).contiguous(**last), bias
    means = torch.tensor([103.939, 116.779, 123.68]).view(1, 3, 1, 1)

    def network(x):
        return features(255 * x.flip(1) - means, layers)

    with torch.no_grad():
        grams = {k: gram(v) for k, v in network(tensor(style)).items() if k in STYLE}
        target = network(tensor(content))["relu4_2"]
    x = tensor(image).requires_grad_()
    optimizer = torch.optim.Adam([x], lr=RECIPE.learning_rate)

    def step():
        optimizer.zero_grad()
        found = network(x)
        layers_loss = [((gram(found[k]) - grams[k]) ** 2).mean() for k in STYLE]
        right, down = x[..., 1:] - x[..., :-1], x[..., 1:, :] - x[..., :-1, :]
        loss = sum(layers_loss) / len(STYLE)
        loss = loss + RECIPE.content_weight * ((found["relu4_2"] - target) ** 2).mean()
        loss = loss + RECIPE.tv_weight * ((right**2).mean() + (down**2).mean())
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            x.clamp_(0, 1)
        return float(loss.detach())

    return step


def measure(size, repeats, params):
    """Time both sides in turn at size x size pixels."""
    rng = np.random.default_rng(0)
    images = [jnp.asarray(rng.random((1, size, size, 3)), jnp.float32) for _ in "abc"]
    sides = {
        "jnst": jax_side(params, *images),
        "torch": torch_side(params, *images),
    }
    losses = {name: [step() for _ in range(2)] for name, step in sides.items()}
    np.testing.assert_allclose(losses["jnst"], losses["torch"], rtol=1e-4)
    times = {name: [] for name in sides}
    for _ in range(repeats):
        for name, step in sides.items():
            start = time.perf_counter()
            step()
            times[name].append(time.perf_counter() - start)
    ratios = np.divide(times["jnst"], times["torch"])
    row = {"size_px": size, "repeats": repeats, "loss": losses["jnst"][0]}
    for name, values in times.items():
        row[f"{name}_step_ms"] = 1e3 * float(np.median(values))
        row[f"{name}_deciles_ms"] = [1e3 * v for v in np.quantile(values, [0.1, 0.9])]
    row["ratio"] = float(np.median(ratios))
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="128,256")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    params = jnst.load_weights("vgg19")
    rows = []
    for size in map(int, options.sizes.split(",")):
        rows.append(measure(size, options.repeats, params))
        print({k: v for k, v in rows[-1].items()}, flush=True)
    if options.json:
        commit = ["git", "describe", "--always", "--dirty"]
        about = {
            "date": datetime.date.today().isoformat(),
            "commit": subprocess.run(
                commit, capture_output=True, text=True
            ).stdout.strip(),
            "device": device(),
            "threads": options.threads,
            "versions": {**versions(), "torch": torch.__version__},
        }
        write_json(options.json, {**about, "rows": rows})


if __name__ == "__main__":
    main()
