"""The command line as a user meets it: results, records, errors, exit codes."""

import json
import subprocess
import sys
import time

import numpy as np
import pytest
from tiny import tiny_params

from jnst.cli.main import COMMANDS, main
from jnst.drivers import transfer
from jnst.drivers.result import Progress
from jnst.image import load_image, read_metadata, save_image
from jnst.losses import STYLE_LOSSES
from jnst.weights import save_weights

pytestmark = pytest.mark.usefixtures("quicker_compile")


@pytest.fixture(scope="module")
def tiny_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_weights(tiny_params(), path, title="tiny VGG19 for tests", licence="MIT")
    return str(path)


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """A folder with content.png (40x48) and style.png (36x40), made current."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name, shape in (("content", (40, 48, 3)), ("style", (36, 40, 3))):
        save_image(tmp_path / f"{name}.png", rng.random(shape, np.float32))
    return tmp_path


@pytest.fixture
def run(tiny_file, capsys):
    """Runs `jnst` in this process with the tiny network: code, stdout, stderr."""

    def call(*arguments, weights=True):
        extra = ["--weights", tiny_file] if weights else []
        code = main([*map(str, arguments), *extra])
        out, err = capsys.readouterr()
        return code, out, err

    return call


STYLIZE = ("stylize", "content.png", "style.png", "-o", "out.png", "--size", 48)
# Two layers of the default's six, for what does not depend on them.
FIELDS = {
    "style_layers": "relu1_1,relu2_1",
    "style_layer_weights": "1,1",
    "content_layers": "relu2_1",
}
SHALLOW = [word for pair in FIELDS.items() for word in ("--set", "=".join(pair))]


def error_line(err):
    lines = [line for line in err.splitlines() if line.strip()]
    assert len(lines) == 1, err
    assert lines[0].startswith("jnst: error: ")
    return lines[0].removeprefix("jnst: error: ")


def test_stylize_writes_picture_history_and_plot(run, pictures):
    code, out, err = run(
        *STYLIZE, "--steps", 4, "--history", "h.json", "--plot", "p.png", "--seed", 7
    )
    assert code == 0, err
    assert out.split() == ["out.png", "h.json", "p.png"]
    assert load_image("out.png").shape == (40, 48, 3)
    document = json.loads((pictures / "h.json").read_text())
    assert len(document["history"]["loss"]) == 4
    assert document["recipe"]["seed"] == 7
    assert load_image("p.png").shape[2] == 3
    assert "4/4" in err


def test_the_png_tells_how_it_was_made(run, pictures):
    assert run(*STYLIZE, "--steps", 2)[0] == 0
    about = read_metadata("out.png")
    assert about["recipe_name"] == "jnst"
    assert about["recipe"]["size_px"] == 48
    assert about["content"]["name"] == "content.png"
    assert len(about["styles"][0]["sha256"]) == 64
    assert about["weights"]["title"] == "tiny VGG19 for tests"
    assert len(about["weights"]["tensors_sha256"]) == 64
    assert set(about["versions"]) >= {"jnst", "jax", "numpy", "python"}


def test_the_same_command_gives_the_same_picture(run, pictures):
    again = (*STYLIZE, *SHALLOW, "--steps", 3, "--init", "noise")
    run(*again)
    first = load_image("out.png")
    run(*again, "--overwrite")
    np.testing.assert_array_equal(load_image("out.png"), first)


def test_texture_takes_a_shape(run, pictures):
    arguments = ("texture", "style.png", "-o", "t.jpg", "--shape", "32x48")
    code, _, err = run(*arguments, *SHALLOW, "--steps", 2)
    assert code == 0, err
    assert load_image("t.jpg").shape == (32, 48, 3)


def test_save_every_writes_numbered_pictures(run, pictures):
    every = (*SHALLOW, "--save-every", 2)
    assert run(*STYLIZE, *every, "--steps", 6)[0] == 0
    names = sorted(path.name for path in pictures.glob("out_*.png"))
    assert names == ["out_000002.png", "out_000004.png", "out_000006.png"]
    code, _, err = run(*STYLIZE[:4], "other.png", *STYLIZE[5:], *every, "--steps", 2)
    assert code == 0, err
    (pictures / "out.png").unlink()
    code, _, err = run(*STYLIZE, *every, "--steps", 6)
    assert code == 2
    assert "out_00000" in error_line(err)


def test_several_styles_blend(run, pictures):
    save_image("second.png", np.zeros((40, 40, 3), np.float32))
    arguments = ("stylize", "content.png", "style.png", "second.png", "-o", "b.png")
    blend = (*SHALLOW, "--size", 48, "--steps", 2, "--blend", "3,1")
    assert run(*arguments, *blend)[0] == 0
    assert read_metadata("b.png")["blend"] == [3.0, 1.0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("stylize", "content.png", "none.png", "-o", "x.png"), "none.png"),
        ((*STYLIZE, "--recipe", "gaty"), "Did you mean 'gatys'?"),
        ((*STYLIZE, "--set", "style_weigth=1"), "Did you mean 'style_weight'?"),
        ((*STYLIZE, "--set", "style_loss=grams"), "Did you mean 'gram'?"),
        ((*STYLIZE, "--set", "learning_rate=fast"), "must be a number, got 'fast'"),
        ((*STYLIZE, "--set", "clip"), "FIELD=VALUE"),
        ((*STYLIZE, "--set", "style_layers=relu9_9"), "relu9_9"),
        ((*STYLIZE, "--steps", 0), "at least 1, got 0"),
        ((*STYLIZE, "--steps", "many"), "many"),
        ((*STYLIZE, "--init", "nois"), "Did you mean 'noise'?"),
        ((*STYLIZE, "--blend", "1,2"), "blend has 2 weights for 1 styles"),
        ((*STYLIZE, "--blend", "a"), "--blend"),
        ((*STYLIZE, "--history", "h.txt"), ".json"),
        ((*STYLIZE, "--plot", "out.png"), "different files"),
        ((*STYLIZE[:4], "out.xyz"), ".png"),
        ((*STYLIZE[:4], "no/folder/out.png"), "no existing folder"),
        ((*STYLIZE[:5], "--size", 12), "needs at least 16 pixels a side"),
        (("texture", "style.png", "-o", "t.png", "--shape", "3by4"), "256x384"),
        (("features", "content.png", "-o", "d", "--layers", "relu1_9"), "relu1_9"),
    ],
)
def test_bad_input_gets_one_line_and_exit_code_2(run, pictures, arguments, message):
    before = sorted(pictures.iterdir())
    code, out, err = run(*arguments)
    assert code == 2
    assert message in error_line(err)
    assert out == ""
    assert sorted(pictures.iterdir()) == before


def test_a_picture_that_exists_is_refused_and_kept(run, pictures):
    (pictures / "out.png").write_bytes(b"mine")
    code, _, err = run(*STYLIZE, "--steps", 2)
    assert code == 2
    assert "--overwrite" in error_line(err)
    assert (pictures / "out.png").read_bytes() == b"mine"


def test_unknown_commands_and_options_exit_with_2(run):
    for arguments in (("styliz",), ("stylize", "--colour", "red"), ("recipes", "x")):
        code, _, err = run(*arguments, weights=False)
        assert code == 2
        error_line(err)


def test_a_loss_that_is_not_finite_exits_with_1_and_keeps_the_image(run, pictures):
    code, _, err = run(
        *STYLIZE, *SHALLOW, "--steps", 9,
        "--set", "optimizer=sgd", "--set", "clip=false",
        "--set", "learning_rate=1e30", "--history", "h.json",
    )  # fmt: skip
    assert code == 1
    assert "at step" in err and "learning_rate" in err
    assert np.isfinite(load_image("out.png")).all()
    assert json.loads((pictures / "h.json").read_text())["error"]


def test_an_interrupt_exits_with_130_and_keeps_the_image(run, pictures, monkeypatch):
    def stopped(*arguments, on_progress, on_start, **options):
        image = np.full((4, 4, 3), 0.5, np.float32)
        on_progress(Progress(1, 2, (4, 4), {"loss": 1.0}, image, 0.1, {}))
        raise KeyboardInterrupt

    monkeypatch.setattr(transfer, "stylize", stopped)
    assert run(*STYLIZE)[0] == 130
    np.testing.assert_allclose(load_image("out.png"), 128 / 255, atol=1e-6)


def test_recipes_and_losses_are_listed_as_tables_and_json(run):
    code, out, err = run("recipes", weights=False)
    assert code == 0 and err == "" and "crowsonkb" in out
    _, out, _ = run("recipes", "gatys", "--json", weights=False)
    assert json.loads(out)["optimizer"] == "lbfgs_torch"
    _, out, _ = run("losses", "--json", weights=False)
    assert {row["name"] for row in json.loads(out)} >= {"gram", "tv_beta", "half_sum"}
    _, out, _ = run("losses", "gram", weights=False)
    assert "style_options=scale=hw" in out


def test_features_draws_two_pictures(run, pictures):
    code, out, err = run("features", "content.png", "-o", "maps")
    assert code == 0, err
    for name in ("features.png", "gram.png"):
        assert load_image(pictures / "maps" / name).std() > 0.01
    assert run("features", "content.png", "-o", "maps")[0] == 2


def test_compare_draws_a_sheet_and_measures_every_loss_alike(run, pictures):
    arguments = ("compare", "content.png", "style.png", "-o", "cmp", "--size", 48)
    metrics = ("--metrics", "ssim,histogram")
    both = (*SHALLOW, "--steps", 2, "--losses", "gram,bn_statistics", *metrics)
    code, out, err = run(*arguments, *both)
    assert code == 0, err
    names = sorted(path.name for path in (pictures / "cmp").iterdir())
    assert names == ["bn_statistics.png", "compare.json", "gram.png", "sheet.png"]
    document = json.loads((pictures / "cmp" / "compare.json").read_text())
    assert [row["method"] for row in document["records"]] == ["gram", "bn_statistics"]
    for row in document["records"]:
        assert 0 < row["ssim"] < document["baseline"][0]["ssim"]
        assert row["style_first"] > 0 and row["error"] == ""
    assert "bn_statistics" in out and "content as it was" in out
    assert run(*arguments, "--losses", "gram")[0] == 2  # the folder has a sheet


OWN_LOSSES = """
import jax.numpy as jnp
from jnst.losses import STYLE_LOSSES, StyleLoss

STYLE_LOSSES["mine"] = StyleLoss(
    lambda features: jnp.mean(features, axis=(0, 1, 2)),
    lambda ours, theirs: jnp.mean((ours - theirs) ** 2),
)
"""


def test_losses_of_a_users_own_file_are_used_and_listed(run, pictures):
    (pictures / "my_losses.py").write_text(OWN_LOSSES)
    own = ("--losses-from", "my_losses.py")
    try:
        mine = (*own, *SHALLOW, "--set", "style_loss=mine")
        code, _, err = run(*STYLIZE, "--steps", 2, *mine)
        assert code == 0, err
        assert "balanced mine" in err
        assert "mine" in run("losses", *own, weights=False)[1]
        compared = ("compare", "content.png", "style.png", "-o", "cmp", "--size", 48)
        own = (*own, *SHALLOW, "--losses", "mine", "--metrics", "ssim")
        code, out, err = run(*compared, "--steps", 1, *own)
        assert code == 0, err
    finally:
        STYLE_LOSSES.pop("mine", None)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("absent.py", None, "no file of losses 'absent.py'"),
        ("bad.py", "1 / 0", "ZeroDivisionError"),
        ("bad.txt", "", "must end in .py"),
    ],
)
def test_a_file_of_losses_that_fails_is_named(run, pictures, name, text, message):
    if text is not None:
        (pictures / name).write_text(text)
    code, _, err = run(*STYLIZE, "--losses-from", name)
    assert code == 2
    assert message in error_line(err)


def test_demo_makes_a_folder_and_never_writes_into_one_that_exists(run, pictures):
    for folder in ("jnst-demo", "jnst-demo-2"):
        assert run("demo", "--size", 32, "--steps", 2)[0] == 0
        names = sorted(path.name for path in (pictures / folder).iterdir())
        assert names == ["history.json", "loss.png", "picture.png"]


def test_help_names_every_command_without_importing_jax():
    code = (
        "import sys; from jnst.cli.main import main; assert main(['--help']) == 0; "
        "assert not {'jax', 'numpy', 'PIL'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert all(name in done.stdout for name in COMMANDS)


def test_python_m_jnst_is_the_same_command(pictures):
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "jnst", "stylize", "content.png"],
        capture_output=True,
        text=True,
    )
    print(f"{time.perf_counter() - start:.2f} s")
    assert done.returncode == 2
    error_line(done.stderr)
