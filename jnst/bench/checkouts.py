"""Other versions of jnst, each run in a process of its own by its command line alone.

A version is the code that runs, a commit of its checkout, or a virtual environment. Of
an older version nothing is known but that `python -m jnst bench ... --json` prints a
document; a commit lies in a folder of its own while it runs (`git worktree`).
"""

import contextlib
import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jnst
from jnst.bench.schema import check_document, parse_json

Done = subprocess.CompletedProcess[str]
PYTHONS = ("bin/python", "Scripts/python.exe")
"""Where a virtual environment has its interpreter."""
LEFT_OUT = ("PYTHONPATH", "PYTHONHOME")
"""Variables that would put other packages before an environment's own."""
WHERE = "import importlib.util as u; print(getattr(u.find_spec('jnst'), 'origin', ''))"
"""Program that prints where jnst is, without importing it."""


class Version(NamedTuple):
    """A jnst that can be run.

    Attributes:
      name: What a user called it.
      python: Its interpreter.
      variables: Its environment.
    """

    name: str
    python: str
    variables: Mapping[str, str]


def own_root() -> Path:
    """Return the folder that the running package lies in."""
    return Path(jnst.__file__).resolve().parents[1]


def _first_on_path(root: Path) -> dict[str, str]:
    """Return the environment with a folder before all other packages."""
    installed = {Path(sysconfig.get_path(k)).resolve() for k in ("purelib", "platlib")}
    if root in installed:  # there without being told; and not before Python's own
        return dict(os.environ)
    paths = [str(root), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def this_version() -> Version:
    """Return the version that is running."""
    return Version("this version", sys.executable, _first_on_path(own_root()))


def _git(*arguments: str) -> Done:
    """Run git in our checkout, without the hooks that it may have."""
    root = ["git", "-C", str(own_root()), "-c", f"core.hooksPath={os.devnull}"]
    return subprocess.run([*root, *arguments], capture_output=True, text=True)


def find_python(name: str) -> str | None:
    """Return the interpreter of a virtual environment, None if it is none."""
    found = [Path(name, python) for python in PYTHONS if Path(name, python).is_file()]
    return os.path.abspath(found[0]) if found else None


def find_commit(name: str) -> str:
    """Return the full hash of a commit.

    Args:
      name: A hash, a branch, a tag or anything else that git knows a commit by.

    Raises:
      ValueError: If there is no such commit, or jnst runs from no checkout.
    """
    what = f"{name!r} is no virtual environment (with {' or '.join(PYTHONS)})"
    package = str(own_root() / "jnst" / "__init__.py")
    try:
        tracked = _git("ls-files", "--error-unmatch", package).returncode == 0
    except OSError:  # no git
        tracked = False
    if not tracked:
        raise ValueError(
            f"{what}, and no commit can be had: this jnst, in {str(own_root())!r}, is "
            "in no git checkout; give a virtual environment"
        )
    found = _git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    if found.returncode or name.startswith("-"):
        raise ValueError(f"{what} and no commit of {str(own_root())!r}")
    return found.stdout.strip()


@contextlib.contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """Yield a folder with the files of a commit; it is gone afterwards.

    Raises:
      ValueError: If git cannot make it.
    """
    with tempfile.TemporaryDirectory(prefix="jnst-ab-") as folder:
        tree = Path(folder).resolve() / "jnst"
        try:
            made = _git("worktree", "add", "--detach", "--quiet", str(tree), commit)
            if made.returncode:
                raise ValueError(f"git cannot check out {commit}: {made.stderr}")
            yield tree / _git("rev-parse", "--show-prefix").stdout.strip()
        finally:  # also after Ctrl-C, and one half made: git keeps a list of them
            _git("worktree", "remove", "--force", "--force", str(tree))


@contextlib.contextmanager
def other_version(name: str) -> Iterator[Version]:
    """Yield the version that a user named, ready to run.

    Args:
      name: Folder of a virtual environment, or a commit.

    Raises:
      ValueError: If it is neither, or there is no jnst in it.
    """
    python = find_python(name)
    if python:
        kept = {k: v for k, v in os.environ.items() if k not in LEFT_OUT}
        version = Version(name, python, kept)
        check_origin(version)
        yield version
        return
    with checked_out(find_commit(name)) as tree:
        version = Version(name, sys.executable, _first_on_path(tree))
        check_origin(version, folder=tree)
        yield version


def _run(version: Version, arguments: Sequence[str]) -> Done:
    """Run a version's interpreter, which leaves out the folder that it is run in."""
    command, variables = [version.python, "-P", *arguments], version.variables
    return subprocess.run(command, capture_output=True, text=True, env=variables)


def check_origin(version: Version, *, folder: Path | None = None) -> None:
    """Raise unless a version has a jnst.

    Args:
      version: What would be run.
      folder: Where its jnst must lie; None if anywhere will do.

    Raises:
      ValueError: If it has none, or not there, or is no Python that can be run.
    """
    try:
        found = _run(version, ["-c", WHERE])
    except OSError as error:
        raise ValueError(f"{version.python!r} cannot be run: {error}") from error
    origin = found.stdout.strip()
    if found.returncode or not origin:
        why = last_line(found.stderr) or "there is no jnst in it"
        raise ValueError(f"{version.name!r} cannot be run: {why}")
    if folder and not Path(origin).resolve().is_relative_to(folder):
        raise ValueError(f"{version.name!r} cannot be run: {origin} comes before it")


def last_line(text: str) -> str:
    """Return the last line that is not empty, without what jnst puts before errors."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].removeprefix("jnst: error: ") if lines else ""


def run_bench(version: Version, arguments: Sequence[str]) -> dict[str, Any]:
    """Run `jnst bench` in a process of its own.

    Args:
      version: Whose.
      arguments: Of the command line, without --json.

    Returns:
      The document that it prints.

    Raises:
      ValueError: If it refuses the arguments, or prints no such document.
      ChildProcessError: If it fails.
    """
    done = _run(version, ["-m", "jnst", "bench", *arguments, "--json"])
    if done.returncode not in (0, 1) or not done.stdout.strip():
        told = f"{version.name}: {last_line(done.stderr) or 'no word'}"
        if done.returncode == 2:
            raise ValueError(told)
        raise ChildProcessError(f"{told} (exit code {done.returncode})")
    where = f"--json of {version.name}"
    document = parse_json(done.stdout, where=where)
    check_document(document, where=where)
    return document
