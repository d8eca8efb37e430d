"""The benchmark's objective in PyTorch, as well as PyTorch can do it.

PyTorch with ReLUs in place and a fused Adam: eager or by `torch.compile`, in either
memory layout, and for bfloat16 by autocast or with weights cast ahead (autocast casts
those that need no gradient anew at every step); on a GPU with TF32 and cuDNN's
autotuning. Which is fastest depends on the machine: to try another way, add it to
`VARIANTS`. Nothing of jnst is imported (nor JAX with it): run as a script, this file
tells how much memory PyTorch alone needs.

    python torch_peer.py ARRAYS.npz SPEC.json OUT.json
"""
# pyright: reportMissingImports=false
# PyTorch is an extra that the type checker's environment need not have.

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

LAYOUTS = {
    "contiguous": torch.contiguous_format,
    "channels_last": torch.channels_last,
}
"""Memory layouts by PyTorch's names: NCHW and NHWC."""
MODES = {"eager": None, "compiled": "default", "autotuned": "max-autotune"}
"""What `torch.compile` calls them; None compiles nothing."""


class Variant(NamedTuple):
    """One way for PyTorch to run the same step.

    Attributes:
      layout: Key of `LAYOUTS`.
      mode: Of `torch.compile`; None for eager.
      ahead: Whether weights are in bfloat16 before the first step.
      gpu: Whether it is tried on a GPU alone; on a CPU, autotuning takes minutes.
    """

    layout: str
    mode: str | None
    ahead: bool
    gpu: bool


VARIANTS = {
    f"{how} {layout}{', cast ahead' if ahead else ''}": Variant(
        layout, mode, ahead, how == "autotuned"
    )
    for ahead in (False, True)
    for how, mode in MODES.items()
    for layout in LAYOUTS
}
"""What is tried, by the name that a row gives it."""

Layers = dict[str, tuple[torch.Tensor, torch.Tensor]]
Terms = dict[str, torch.Tensor]
Network = Callable[[torch.Tensor], dict[str, torch.Tensor]]


def use_threads() -> int:
    """Let PyTorch compute on the cores this process may use, as JAX does."""
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    return torch.get_num_threads()


def pick_device() -> torch.device:
    """Return the GPU if there is one, set up for speed, else the CPU."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = False  # statistics, as ours
    return torch.device("cuda")


def variant_names(dtype: str) -> list[str]:
    """List what serves a type of activations on this device."""
    rows = VARIANTS.items()
    gpu, half = pick_device().type == "cuda", dtype == "bfloat16"
    return [k for k, v in rows if v.gpu <= gpu and v.ahead <= half]


def compiled_names(names: Iterable[str]) -> list[str]:
    """List those of some variants that need a compiler."""
    return [name for name in names if VARIANTS[name].mode]


def forget_compiled() -> None:
    """Forget what was compiled: PyTorch gives up at the ninth form of one function."""
    torch.compiler.reset()


def make_layers(
    arrays: Mapping[str, np.ndarray],
    names: Iterable[str],
    layout: str,
    dtype: torch.dtype,
) -> Layers:
    """Turn kernels HWIO and biases into tensors on the device, by name."""
    layers: Layers = {}
    for name in names:
        kernel = np.ascontiguousarray(arrays[f"{name}.kernel"].transpose(3, 2, 0, 1))
        weight = torch.from_numpy(kernel).to(pick_device(), dtype)
        bias = torch.from_numpy(np.array(arrays[f"{name}.bias"]))
        bias = bias.to(pick_device(), dtype)
        layers[name] = weight.contiguous(memory_format=LAYOUTS[layout]), bias
    return layers


def extract(
    image: torch.Tensor, layers: Layers, names: list[str], wanted: Iterable[str]
) -> dict[str, torch.Tensor]:
    """Compute features of preprocessed images [N, 3, H, W], in order of `names`."""
    found, x = {}, image
    for name in names:
        if name.startswith("conv"):
            kernel, bias = layers[name]
            x = F.conv2d(x, kernel, bias, padding=1)
        elif name.startswith("relu"):
            spare = name.replace("relu", "conv") not in wanted
            x = F.relu(x, inplace=spare)
        else:
            x = F.max_pool2d(x, 2)
        if name in wanted:
            found[name] = x
    return found


def gram(features: torch.Tensor) -> torch.Tensor:
    """Gram matrices [N, C, C] of features, means over positions."""
    vectors = features.flatten(2)
    return vectors @ vectors.mT / vectors.shape[2]


def _tensor(images: np.ndarray, layout: str) -> torch.Tensor:
    """[N, H, W, 3] as [N, 3, H, W] on the device."""
    chw = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    tensor = torch.from_numpy(chw).to(pick_device())
    return tensor.contiguous(memory_format=LAYOUTS[layout])


def make_network(
    arrays: Mapping[str, np.ndarray], spec: Mapping[str, Any], name: str
) -> Network:
    """Return a function from images in [0, 1] to float32 features by layer."""
    variant = VARIANTS[name]
    names, wanted = spec["names"], {*spec["style_layers"], *spec["content_layers"]}
    dtype = torch.bfloat16 if variant.ahead else torch.float32
    used = [n for n in names if n.startswith("conv")]
    layers = make_layers(arrays, used, variant.layout, dtype)
    mixing = torch.from_numpy(np.array(arrays["preprocess.kernel"].T[:, :, None, None]))
    mixing, device = mixing.to(pick_device()), pick_device()
    shift = torch.from_numpy(np.array(arrays["preprocess.bias"])).to(device)
    cast = spec["dtype"] == "bfloat16" and not variant.ahead
    torch.backends.cudnn.allow_tf32 = spec["precision"] != "highest"

    def network(image: torch.Tensor) -> dict[str, torch.Tensor]:
        seen = F.conv2d(image, mixing, shift).to(dtype)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=cast):
            found = extract(seen, layers, names, wanted)
        return {name: x.float() for name, x in found.items()}

    return network


def _terms(
    image: torch.Tensor,
    found: dict[str, torch.Tensor],
    grams: dict[str, torch.Tensor],
    contents: dict[str, torch.Tensor],
    spec: Mapping[str, Any],
) -> Terms:
    """Weighted terms, [N] each."""
    terms: Terms = {}
    if spec["content_weight"]:
        pairs = zip(spec["content_layers"], spec["content_factors"], strict=True)
        parts = [w * ((found[k] - contents[k]) ** 2).mean((1, 2, 3)) for k, w in pairs]
        terms["content"] = spec["content_weight"] * torch.stack(parts).sum(0)
    if spec["style_weight"]:
        pairs = zip(spec["style_layers"], spec["style_factors"], strict=True)
        parts = [w * ((gram(found[k]) - grams[k]) ** 2).mean((1, 2)) for k, w in pairs]
        terms["style"] = spec["style_weight"] * torch.stack(parts).sum(0)
    if spec["tv_weight"]:
        right = image[..., 1:] - image[..., :-1]
        down = image[..., 1:, :] - image[..., :-1, :]
        value = (right**2).mean((1, 2, 3)) + (down**2).mean((1, 2, 3))
        terms["tv"] = spec["tv_weight"] * value
    return terms


def make_step(
    arrays: Mapping[str, np.ndarray],
    spec: Mapping[str, Any],
    name: str,
    network: Network,
) -> Callable[[], list[Terms]]:
    """Set up one side of the comparison.

    Args:
      arrays: Parameters as "conv1_1.kernel" and so on; "first" and "contents"
        [N, H, W, 3] and "style" [1, H, W, 3] in [0, 1].
      spec: See `jnst.bench.torch_setup.torch_spec`.
      name: Key of `VARIANTS`.
      network: From `make_network`, of the same variant.

    Returns:
      A function that takes `spec["steps"]` steps, waits for the device and returns the
      terms before each, "loss" among them, [N] each and still on the device.
    """
    layout, mode, *_ = VARIANTS[name]
    with torch.no_grad():
        style = network(_tensor(arrays["style"], layout))
        grams = {k: gram(style[k]) for k in spec["style_layers"]}
        contents = network(_tensor(arrays["contents"], layout))
        contents = {k: contents[k] for k in spec["content_layers"]}
    del style

    def objective(image: torch.Tensor) -> tuple[torch.Tensor, Terms]:
        terms = _terms(image, network(image), grams, contents, spec)
        return torch.stack(list(terms.values())).sum(0), terms

    image = _tensor(arrays["first"], layout).requires_grad_()
    if mode:
        # A break of the graph or a size left open would be slower, and not be told.
        objective = torch.compile(objective, mode=mode, fullgraph=True, dynamic=False)
    adam = {"lr": spec["learning_rate"], "betas": tuple(spec["betas"])}
    optimizer = torch.optim.Adam([image], eps=spec["epsilon"], fused=True, **adam)

    def one() -> Terms:
        optimizer.zero_grad()
        if mode and image.is_cuda:
            torch.compiler.cudagraph_mark_step_begin()
        loss, terms = objective(image)
        loss.sum().backward()
        optimizer.step()
        with torch.no_grad():
            image.clamp_(0, 1)
        # Copies: the memory of a CUDA graph is written anew by its next run.
        return {k: v.detach().clone() for k, v in (terms | {"loss": loss}).items()}

    def step() -> list[Terms]:
        found = [one() for _ in range(spec["steps"])]
        if image.is_cuda:
            torch.cuda.synchronize()
        return found

    return step


def resident_mib() -> float | None:
    """Return this process's highest resident memory so far (Linux), in MiB."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    lines = [x for x in status.read_text().splitlines() if x.startswith("VmHWM:")]
    return int(lines[0].split()[1]) / 1024 if lines else None


def main(arrays_path: str, spec_path: str, out_path: str) -> None:
    """Run a few steps and write what memory they took."""
    found = {"import": resident_mib()}
    use_threads()
    spec = json.loads(Path(spec_path).read_text())
    with np.load(arrays_path) as arrays:
        network = make_network(arrays, spec, spec["variant"])
        found["loaded"] = resident_mib()
        step = make_step(arrays, spec, spec["variant"], network)
    for _ in range(spec["calls"]):
        step()
    found["peak"] = resident_mib()
    Path(out_path).write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
