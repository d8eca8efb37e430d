"""Coverage-guided fuzzing of all that reads files: `python tests/fuzzing.py all`.

A reader may return, or raise `ValueError` or `OSError` with one line, as the command
line shows it. Anything else is a finding: another exception, a line that could change a
terminal, more than `LIMIT_MIB` of memory, more than `LIMIT_S` seconds. atheris (extra
`fuzz`) looks for inputs; each finding is written to the corpus, which
`test_fuzz_corpus.py` replays without atheris.

To fuzz another reader, add a row to `TARGETS`.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CORPUS = Path(__file__).parent / "data" / "fuzz"
LIMIT_MIB, LIMIT_S = 2048, 10
"""Memory of the process, and processor time of one input."""
MOST_PIXELS = 2**20
"""Of a picture: larger ones are right to take longer."""


def read_picture(path):
    from jnst.image import is_image_array, load_alpha, load_image

    assert is_image_array(load_image(path))
    load_alpha(path)


def read_weights(path):
    from jnst.weights import read_network

    read_network(path)


def read_arrays(path):
    """Every array of a file, which a network that is none would leave unread."""
    from jnst.weights.readers import READERS

    for load in READERS[path.suffix](path).values():
        load()


def read_recipe(path):
    from jnst.recipes.recipe import Recipe

    Recipe.from_png(path)


def read_metadata(path):
    """A recipe whose JSON is fuzzed itself, in a PNG made around it."""
    import zlib

    from bad_pictures import chunk, png

    rows = zlib.compress(bytes(13))
    text = chunk(b"tEXt", b"jnst\0" + path.read_bytes())
    path.write_bytes(png(1, 4, data=rows, more=text))
    read_recipe(path)


def read_setting(path):
    """What `--set` and `--term` are given."""
    from jnst.recipes.recipe import Recipe
    from jnst.recipes.settings import parse_setting, parse_term

    text = path.read_bytes().decode("utf-8", "surrogateescape")
    if text.startswith("@"):
        Recipe(terms=(parse_term(text[1:]),))
    else:
        Recipe(**dict([parse_setting(text)]))


def read_run(path):
    """A checkpoint whose SHA-256 is right whatever is in it."""
    from unittest import mock

    from jnst.keep import storage
    from jnst.keep.runs import check_document

    with mock.patch.object(storage, "_digest", return_value=mock.ANY):
        _, document = storage.read_checkpoint(path)
    check_document(document)


TARGETS = {
    # Name: (ending of the file, what reads it).
    "pictures": (".png", read_picture),
    "recipes": (".png", read_recipe),
    "metadata": (".png", read_metadata),
    "settings": (".txt", read_setting),
    "torch": (".pth", read_arrays),
    "safetensors": (".safetensors", read_arrays),
    "h5": (".h5", read_arrays),
    "keras": (".keras", read_arrays),
    "mat": (".mat", read_arrays),
    "npz": (".npz", read_arrays),
    "weights": (".safetensors", read_weights),
    "checkpoints": (".safetensors", read_run),
}


def check(name, data, folder):
    """Give a target its bytes; raises for what it may not do."""
    ending, read = TARGETS[name]
    path = Path(folder) / f"input{ending}"
    path.write_bytes(data)
    began = time.process_time()
    try:
        read(path)
    except (ValueError, OSError) as error:
        from jnst.cli.main import printable

        line = str(error)
        assert line and "\n" not in line, repr(error)
        assert printable(line).isprintable()
    assert time.process_time() - began < LIMIT_S, "slow"


def seeds(name):
    """The corpus of a target, and whole files to begin with."""
    folder = CORPUS / name
    return sorted(folder.iterdir()) if folder.is_dir() else []


def fuzz(name, seconds, runs):
    """Look for findings of one target, in this process; ends it."""
    import resource

    import atheris

    with atheris.instrument_imports(include=["jnst", "PIL", "safetensors", "scipy.io"]):
        import jnst.image
        import jnst.keep.runs
        import jnst.recipes.settings
        import jnst.weights.readers  # noqa: F401
    atheris.instrument_func(check)
    folder = tempfile.mkdtemp(prefix="jnst-fuzz-")
    inputs = tempfile.mkdtemp(prefix="jnst-fuzz-seeds-")
    from fuzz_seeds import write_seeds
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = MOST_PIXELS

    write_seeds(name, Path(inputs))
    arguments = [
        sys.argv[0],
        inputs,
        *map(str, [CORPUS / name] if (CORPUS / name).is_dir() else []),
        f"-max_total_time={seconds}",
        f"-runs={runs}",
        "-timeout=600",  # of a clock that runs on while a process is stopped
        f"-rss_limit_mb={LIMIT_MIB}",
        f"-artifact_prefix={folder}/found-",
        "-max_len=65536",
        "-print_final_stats=1",
        "-verbosity=1",
    ]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    atheris.Setup(arguments, lambda data: check(name, data, folder))
    atheris.Fuzz()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", choices=[*TARGETS, "all"])
    parser.add_argument("--seconds", type=int, default=120, help="For each target.")
    parser.add_argument("--runs", type=int, default=-1, help="At most, of each.")
    given = parser.parse_args()
    if given.target != "all":
        return fuzz(given.target, given.seconds, given.runs)
    codes = {}
    for name in TARGETS:
        command = [sys.executable, __file__, name, "--seconds", str(given.seconds)]
        codes[name] = subprocess.run(command, env={**os.environ}).returncode
    print({name: code for name, code in codes.items() if code} or "no findings")
    return int(any(codes.values()))


if __name__ == "__main__":
    sys.exit(main())
