"""Kills runs at random moments, lets them go on, and compares the pictures' bits.

`python -u tests/killing.py --kills 20 --seed 0` starts `jnst stylize` on tiny pictures
and a tiny network, sends SIGKILL at a moment, and runs the same command again, which
may be killed again. What comes of it in the end, picture and history, is held to a run
that nobody stopped. Every process writes down what it is at, by a `sitecustomize`. Half
of the kills come at a random time; the others where a moment begins that time alone
would hardly hit, as the process sends itself SIGKILL there.
"""

import argparse
import collections
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
RARE = {
    # Moment: how often it comes, at most, in a process.
    "writing a checkpoint": 4,
    "a checkpoint is written": 4,
    "writing the picture": 1,
    "the picture is written": 1,
    "removing checkpoints": 1,
    "between sizes": 2,
    "stepping": 5,
    "between steps": 5,
    "compiling": 3,
}
FIELDS = {
    "style_layers": "relu1_1",
    "style_layer_weights": "1",
    "content_layers": "conv1_2",
    "scale_ratio": "2",
    "min_size_px": "12",
    "shift_px": "0",
}
SITE = """
import os, sys, threading
if os.environ.get("JNST_MOMENTS"):
    sys.path.insert(0, {here!r})
    import killing
    killing.watch(os.environ["JNST_MOMENTS"], os.environ.get("JNST_KILL", ""))
"""


def watch(path, kill):
    """In the process: writes down each moment as it begins; dies in the asked one."""
    import importlib.abc
    import importlib.machinery

    name, _, count = kill.partition(":")
    left = [int(count or 0)]

    def now(moment):
        with open(path, "a") as file:
            file.write(f"{moment}\n")
        if moment == name:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def around(module, attribute, moment, after):
        function = getattr(module, attribute)

        def wrapped(*arguments, **options):
            now(moment)
            found = function(*arguments, **options)
            now(after)
            return found

        setattr(module, attribute, wrapped)

    def replace(source, target, *, move=os.replace):
        what = {".safetensors": "a checkpoint", ".png": "the picture"}
        name = what.get(Path(target).suffix)
        if name and "cache" not in str(target):
            now(f"writing {name}")
        move(source, target)
        if name and "cache" not in str(target):
            now(f"{name} is written")

    os.replace = replace
    patches = {
        "jnst.program": lambda m: around(m, "compiled", "compiling", "after that"),
        "jnst.loop.iterate": lambda m: (
            around(m, "_at_size", "between sizes", "after that"),
            around(m, "advance", "stepping", "between steps"),
        ),
        "jnst.keep.folder": lambda m: around(m, "clear", "removing checkpoints", "end"),
    }

    class Finder(importlib.abc.MetaPathFinder):
        def find_spec(self, fullname, where, target=None):
            if fullname not in patches:
                return None
            spec = importlib.machinery.PathFinder.find_spec(fullname, where)
            run, patch = spec.loader.exec_module, patches[fullname]

            def execute(module):
                run(module)
                patch(module)

            spec.loader.exec_module = execute
            return spec

    sys.meta_path.insert(0, Finder())


def command(folder, output, steps):
    """The arguments of a run."""
    fields = [w for pair in FIELDS.items() for w in ("--set", "=".join(pair))]
    files = ["content.png", "style.png", "-o", output, "--history", f"{output}.json"]
    known = ["--weights", "t.safetensors", "--size", 24, "--steps", steps]
    often = ["--checkpoint-every", 0.05]
    return ["stylize", *files, *map(str, known), *map(str, often), *fields]


def start(folder, output, steps, kill=""):
    """Starts a run in a process of its own."""
    moments = folder / "moments.txt"
    moments.unlink(missing_ok=True)
    paths = [str(folder / "site"), str(HERE.parent), os.environ.get("PYTHONPATH", "")]
    variables = {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "JNST_MOMENTS": str(moments),
        "JNST_KILL": kill,
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        "XDG_CACHE_HOME": str(folder / "cache"),
        "PYTHONUNBUFFERED": "1",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "jnst", *command(folder, output, steps)],
        cwd=folder,
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def last_moment(folder):
    """Where the process was."""
    path = folder / "moments.txt"
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return lines[-1] if lines else "starting"


def result_of(folder, output):
    """Bits of the picture, and the history."""
    from jnst.image import load_image

    history = json.loads((folder / f"{output}.json").read_text())["history"]
    return load_image(folder / output), history


def killings(kills, seed, *, steps=400, tell=print):
    """Kills so many times, and returns what was hit how often.

    Raises:
      AssertionError: If a run that went on makes another picture.
    """
    sys.path[:0] = [str(HERE.parent), str(HERE)]
    from kept import make_inputs

    rng = random.Random(seed)
    tally = collections.Counter()
    with tempfile.TemporaryDirectory(prefix="jnst-killing-") as name:
        folder = Path(name)
        make_inputs(folder)
        (folder / "site").mkdir()
        text = SITE.format(here=str(HERE))
        (folder / "site" / "sitecustomize.py").write_text(text)
        for output in ("first.png", "whole.png"):  # the first compiles for all
            begun = time.monotonic()
            process = start(folder, output, steps)
            _, said = process.communicate()
            assert process.returncode == 0, said
            span = time.monotonic() - begun
        image, history = result_of(folder, "whole.png")
        tell(f"a whole run takes {span:.1f} s")
        number = begun = 0
        while number < kills:
            begun += 1
            output = f"o{begun}.png"
            while True:
                kill, seconds = _choose(rng, span) if number < kills else ("", None)
                process = start(folder, output, steps, kill)
                if seconds is not None:
                    _kill_at(process, seconds)
                _, said = process.communicate()
                done = "exists already" in said and not _checkpoints(folder, output)
                if process.returncode == 0 or done:  # killed as it was at its end
                    break
                assert process.returncode == -signal.SIGKILL, said
                number += 1
                moment = last_moment(folder)
                tally[moment] += 1
                files = _checkpoints(folder, output)
                tell(f"kill {number}: {moment}; checkpoints of steps {files}")
            found = result_of(folder, output)
            np.testing.assert_array_equal(found[0], image)
            assert (
                found[1] == history and not (folder / f"{output}.checkpoint").exists()
            )
            tell(f"{output}: the same picture and history, bit for bit")
    return tally


def _checkpoints(folder, output):
    return [int(path.stem) for path in sorted(folder.glob(f"{output}.checkpoint/0*"))]


def _choose(rng, span):
    """A moment and its number, or seconds."""
    if rng.random() < 0.5:
        return "", rng.uniform(0.4, 1.0) * span
    moment = rng.choice(list(RARE))
    return f"{moment}:{rng.randint(1, RARE[moment])}", None


def _kill_at(process, seconds):
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    for moment, count in killings(asked.kills, asked.seed).most_common():
        print(f"{count:3d} {moment}")
