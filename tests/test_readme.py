"""The README's own words, run."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from tiny import picture, tiny_params

import jnst
from jnst.cli.main import cli
from jnst.image import save_image
from jnst.losses import STYLE_LOSSES
from jnst.recipes import RECIPES
from jnst.weights import save_weights

pytestmark = pytest.mark.usefixtures("quicker_compile")
README = (Path(__file__).parent.parent / "README.md").read_text()


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_image("photo.jpg", picture(40, 48, seed=1))
    save_image("painting.jpg", picture(44, 40, seed=2))
    save_weights(tiny_params(), tmp_path / "tiny.safetensors")
    monkeypatch.setenv("JNST_WEIGHTS", str(tmp_path / "tiny.safetensors"))


def marked_blocks():
    marked = r"<!-- tests/test_readme.py runs this block as it stands -->\n```python\n"
    return re.findall(marked + r"(.*?)```", README, re.DOTALL)


def block_with(word):
    [found] = [block for block in marked_blocks() if word in block]
    return found


def own_loss_text():
    return block_with("channel_means")


@pytest.mark.slow
def test_the_functional_section_runs_as_written(pictures, capsys):
    namespace = {}
    exec(block_with("value_and_grad"), namespace)
    assert len(capsys.readouterr().out.splitlines()) >= 2
    assert namespace["losses"]["loss"].shape == (3,)
    assert namespace["event"].image.shape == namespace["image"].shape == (27, 32, 3)


def test_the_features_of_the_readme_run_as_written(pictures):
    namespace = {}
    exec(block_with("class Filters"), namespace)
    history = namespace["result"].history
    assert set(history) == {"loss", "content", "style", "histogram", "bright"}
    assert np.isfinite(history["loss"]).all()


def test_every_marked_block_is_run():
    assert len(marked_blocks()) == 3


def test_the_own_style_loss_of_the_readme_runs_as_written(pictures, monkeypatch):
    monkeypatch.setattr(jnst.losses, "STYLE_LOSSES", STYLE_LOSSES)
    namespace = {}
    try:
        exec(own_loss_text(), namespace)
    finally:
        STYLE_LOSSES.pop("channel_means", None)
    losses = namespace["result"].history["style"]
    assert losses.shape == (5,)
    assert losses[-1] < losses[0]
    assert np.isfinite(namespace["result"].image).all()


def test_the_own_style_loss_takes_less_than_15_lines():
    lines = [line for line in own_loss_text().splitlines() if line.strip()]
    assert len(lines) < 15


def test_every_recipe_has_its_line():
    for name in RECIPES:
        assert f"| `{name}` |" in README


@pytest.fixture
def own_file(tmp_path, monkeypatch):
    """my_losses.py in the current folder: the block without its last statement."""
    monkeypatch.chdir(tmp_path)
    text = own_loss_text()
    (tmp_path / "my_losses.py").write_text(text[: text.index("result =")])
    yield
    STYLE_LOSSES.pop("channel_means", None)


def test_every_command_of_the_readme_parses(own_file):
    """Each `jnst ...` line is one that click accepts, options and all."""
    blocks = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    commands = [shlex.split(line, comments=True) for line in lines]
    commands = [words[1:] for words in commands if words[:1] == ["jnst"]]
    assert len(commands) >= 6
    for words in commands:
        context = cli.make_context("jnst", list(words), resilient_parsing=False)
        name, command, rest = cli.resolve_command(context, list(words))
        if hasattr(command, "resolve_command"):  # a group such as `weights`
            name, command, rest = command.resolve_command(context, rest)
        command.make_context(name, rest)
    assert "channel_means" in STYLE_LOSSES  # by --losses-from
