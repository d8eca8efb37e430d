"""The shape of the code: who imports whom, names, lengths, docstrings, signatures."""

import ast
import inspect
import pydoc
import re
from pathlib import Path

import pytest

import jnst
from jnst import losses

ROOT = Path(jnst.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))
IDS = [str(path.relative_to(ROOT)) for path in MODULES]
TREES = {path: ast.parse(path.read_text()) for path in MODULES}
every_module = pytest.mark.parametrize("path", MODULES, ids=IDS)

# design.md, section 2: a room may import what is above it, and itself. Rooms of one
# row never import each other; "the rest" may, and only `cli` comes after it.
ORDER = (
    ("guesses",),
    ("base",),
    ("bounds", "files", "memory", "linear", "splitting", "processor"),
    ("fitting",),
    ("program",),
    ("image", "losses", "network"),
    ("weights", "objective", "data"),
    ("scale",),
    ("loop", "metrics"),
    ("recipes",),
    ("drivers",),
)
RANKS = {room: rank for rank, rooms in enumerate(ORDER) for room in rooms}
REST, CLI, MAIN = (len(ORDER) + later for later in range(3))
# Contract functions (design.md, section 4) take defaults by position too.
POSITIONAL_DEFAULTS = {"stylize", "features", "load_weights", "compute"}
POSITIONAL_DEFAULTS |= {"make_objective", "coarse_to_fine", "init", "iterate", "sweep"}
POSITIONAL_DEFAULTS |= {"__call__", "terms"}  # of an objective
# An entry point, and those of `weights` that take names as `load_weights` does.
POSITIONAL_DEFAULTS |= {"main", "find_weights", "fetch_weights", "load_described"}
POSITIONAL_DEFAULTS |= {"is_ours"}
LONGEST_FILE, LONGEST_FUNCTION = 280, 60


def room_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[0]


def rank_of(room):
    return RANKS.get(room, {"cli": CLI, "__main__": MAIN}.get(room, REST))


def imports_of(path):
    """(module, imported names) of every import statement, wherever it stands."""
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Import):
            yield from ((alias.name, ()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module, tuple(alias.name for alias in node.names)


def rooms_imported(path):
    for module, names in imports_of(path):
        if module == "jnst":
            yield from (n for n in names if (ROOT / n).exists() or _is_module(n))
        elif module.startswith("jnst."):
            yield module.split(".")[1]


def _is_module(name):
    return (ROOT / f"{name}.py").exists()


def functions_of(path):
    """Every function of a module with its depth in classes and functions."""

    def visit(node, inside_function):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                yield child, inside_function
                yield from visit(child, True)
            else:
                yield from visit(child, inside_function)

    return list(visit(TREES[path], False))


@every_module
def test_imports_follow_the_order_of_the_rooms(path):
    room = room_of(path)
    if room == "__init__":
        return
    for other in rooms_imported(path):
        if other == room:
            continue
        if rank_of(room) == REST and rank_of(other) == REST:
            continue
        assert rank_of(other) < rank_of(room), f"{room} imports {other}"


@pytest.mark.parametrize(
    ("package", "rooms"),
    [
        ("flax", {"network"}),
        ("PIL", {"image"}),
        ("optax", {"loop"}),
        ("click", {"cli"}),
        ("tqdm", {"cli", "weights"}),
        ("matplotlib", {"plots", "cli"}),
        ("h5py", {"weights"}),
        ("torch", {"bench"}),  # a peer
        ("imageio_ffmpeg", {"image"}),
        ("tensorboardX", {"watching"}),
        ("IPython", {"watching"}),
        ("gradio", {"app"}),
        ("uvicorn", {"app"}),
        ("tensorflow", set()),
        ("pickle", {"weights"}),
        ("beartype", set()),
    ],
)
def test_a_package_is_confined_to_its_room(package, rooms):
    users = {
        room_of(path)
        for path in MODULES
        for module, _ in imports_of(path)
        if module.split(".")[0] == package
    }
    assert users <= rooms


def calls_of(path, *names):
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in names:
            yield node


@every_module
def test_only_the_command_line_prints(path):
    if room_of(path) in ("cli", "__main__") or path.match("data/paint.py"):
        return
    assert not list(calls_of(path, "print", "click.echo", "sys.stdout.write"))


@every_module
def test_there_are_no_assertions_and_no_hidden_randomness(path):
    assert not [n for n in ast.walk(TREES[path]) if isinstance(n, ast.Assert)]
    hidden = ("np.random.seed", "random.random", "np.random.rand", "np.random.randn")
    assert not list(calls_of(path, *hidden, "jax.random.PRNGKey"))


def test_no_module_shares_a_name_with_a_public_function():
    modules = {room_of(path) for path in MODULES}
    public = {
        name
        for name in dir(jnst)
        if not name.startswith("_") and not inspect.ismodule(getattr(jnst, name))
    }
    assert not public & modules - {"losses"}


@every_module
def test_every_public_name_has_a_docstring(path):
    tree = TREES[path]
    assert ast.get_docstring(tree) or not tree.body, "the module"
    for node in tree.body:
        kinds = ast.FunctionDef | ast.ClassDef
        if isinstance(node, kinds) and not node.name.startswith("_"):
            assert ast.get_docstring(node), node.name
            line = ast.get_docstring(node).splitlines()[0]
            assert re.search(r"[.:]$", line), f"{node.name}: {line}"


@every_module
def test_every_public_parameter_and_result_is_typed(path):
    for node in TREES[path].body:
        if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
            continue
        arguments = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
        untyped = [a.arg for a in arguments if a.annotation is None]
        assert not untyped and node.returns is not None, (node.name, untyped)


@every_module
def test_the_key_comes_first(path):
    if room_of(path) == "cli":
        return
    for node, _ in functions_of(path):
        names = [a.arg for a in node.args.args]
        if "key" not in names or node.name in POSITIONAL_DEFAULTS:
            continue
        annotation = node.args.args[names.index("key")].annotation
        if annotation is None or "Array" not in ast.unparse(annotation):
            continue  # a dictionary's key
        draws = "jax.random." in ast.unparse(ast.Module(node.body, []))
        assert names[0] == "key" or not draws or node.name in ("init", "step"), (
            node.name
        )


@every_module
def test_defaults_are_keyword_only(path):
    for node, inner in functions_of(path):
        if node.name in POSITIONAL_DEFAULTS or not node.args.defaults or inner:
            continue  # inner functions obey the protocol of whoever calls them
        if node.name.startswith("_") or room_of(path) in ("cli", "__main__"):
            continue
        defaults = [ast.unparse(d) for d in node.args.defaults]
        raise AssertionError(f"{node.name} has positional defaults {defaults}")


@every_module
def test_files_and_functions_are_short(path):
    assert len(path.read_text().splitlines()) <= LONGEST_FILE
    for node, _ in functions_of(path):
        body = node.body[1:] if ast.get_docstring(node) else node.body
        if body:
            length = body[-1].end_lineno - body[0].lineno + 1
            assert length <= LONGEST_FUNCTION, node.name


def test_flax_is_confined_to_the_network_itself():
    users = [p for p in MODULES if any(m.startswith("flax") for m, _ in imports_of(p))]
    assert [str(path.relative_to(ROOT)) for path in users] == ["network/vgg.py"]


PUBLIC = """
BACKBONES Event Method NonFiniteLossError OPTIMIZERS Objective Progress RECIPES Recipe
Result State Term coarse_to_fine disagree examine features init iterate keep_programs
load load_weights losses make_objective metrics save show_progress shown step study
stylize sweep
""".split()


def test_the_public_names_are_those_of_the_contract():
    # design.md, section 4; `dir` and `help` show these and no others.
    assert dir(jnst) == sorted(jnst.__all__) == PUBLIC
    assert all(hasattr(jnst, name) for name in PUBLIC)
    text = pydoc.plain(pydoc.render_doc(jnst))
    for name in PUBLIC:
        assert re.search(rf"^    (class )?{name}\b", text, re.MULTILINE), name
    for table in ("STYLE_LOSSES", "CONTENT_LOSSES", "IMAGE_LOSSES"):
        assert getattr(losses, table)


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (
            "stylize",
            "content style recipe steps init seed size_px weights on_progress",
        ),
        ("make_objective", "content style recipe size_px weights extract"),
        ("init", "objective image optimizer seed"),
        ("step", "objective state"),
        ("shown", "objective state"),
        ("iterate", "objective state"),
        ("features", "image layers weights pooling"),
    ],
)
def test_arguments_are_those_of_the_contract(function, names):
    found = list(inspect.signature(getattr(jnst, function)).parameters)
    assert found[: len(names.split())] == names.split()


def test_arguments_of_compute_are_those_of_the_contract():
    parameters = inspect.signature(losses.compute).parameters
    assert list(parameters)[:4] == ["name", "generated", "target", "key"]


def test_the_package_is_typed():
    assert (ROOT / "py.typed").exists()
