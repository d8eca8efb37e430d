"""The smallest program that gets to the end of the first step, then stops at once.

    python first_step.py SIZE_PX WEIGHTS

It prints seconds by phase as JSON; the suite times the whole process.
"""

import json
import os
import sys
import time
from pathlib import Path

begin = time.perf_counter()

import jnst  # noqa: E402
from jnst.bench.cases import OBJECTIVE  # noqa: E402

stylize = jnst.stylize  # names of jnst are imported when they are first used
imported = time.perf_counter()

size_px, weights = int(sys.argv[1]), sys.argv[2]
data = Path(jnst.__file__).parent / "data"
pair = data / "demo_content.jpg", data / "demo_style.jpg"
result = stylize(*pair, OBJECTIVE, size_px=size_px, steps=1, weights=weights)
end = time.perf_counter()
phases = {
    "import_s": imported - begin,
    "compile_s": result.compile_seconds,
    "loop_s": result.seconds,
    "shape": list(result.image.shape[:2]),
}
phases["rest_s"] = end - imported - result.compile_seconds - result.seconds
print(json.dumps(phases), flush=True)
os._exit(0)  # what Python tidies up is no part of the first step
