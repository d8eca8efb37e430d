"""`jnst examine` as a user meets it: a table, a picture, JSON, one line of error."""

import json

import numpy as np
import pytest
from tiny import tiny_params

from jnst.cli.main import main
from jnst.examining.finding import VERDICTS, Finding, Report
from jnst.examining.sheet import draw
from jnst.image import load_image
from jnst.losses import STYLE_LOSSES
from jnst.weights import save_weights

pytestmark = pytest.mark.usefixtures("quick_compile")
OWN = """
import jax.numpy as jnp
from jnst.losses import STYLE_LOSSES, StyleLoss

def means(maps):
    return jnp.sum(maps, axis=(0, 1, 2))

STYLE_LOSSES["summed"] = StyleLoss(means, lambda a, b: jnp.mean((a - b) ** 2), "mine")
"""


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs `jnst examine` in a folder with my_losses.py and a tiny network."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_losses.py").write_text(OWN)
    save_weights(tiny_params(), tmp_path / "tiny.safetensors", title="tiny")

    def call(*arguments):
        code = main(["examine", *map(str, arguments), "--weights", "tiny.safetensors"])
        return code, *capsys.readouterr()

    yield call
    STYLE_LOSSES.pop("summed", None)


def test_a_loss_of_ones_own_is_examined_and_its_fault_said(run, tmp_path):
    files = ("-o", "page.png", "--json", "found.json")
    own = ("--losses-from", "my_losses.py", "--layers", "relu1_1,relu2_1")
    probes = ("--probes", "equality,invariance", "--size", 32)
    code, out, err = run("summed", *own, *files, *probes)
    assert code == 0, err
    assert "size_free says True" in out and "DISAGREES" in out
    words = [line.split() for line in out.splitlines()]
    lines = {each[0]: each[1] for each in words if len(each) > 1}
    assert lines["equality"] == "ok" and lines["invariance"] == "WRONG"
    assert out.splitlines()[-2:] == ["page.png", "found.json"]
    document = json.loads((tmp_path / "found.json").read_text())
    assert document["findings"]["invariance"]["verdict"] == "WRONG"
    assert document["findings"]["invariance"]["maps"]["tiling"] > 1
    assert document["device"] and document["versions"]["jax"]
    assert load_image(tmp_path / "page.png").shape[1] == 12 * 110


def test_json_on_standard_output_is_one_document(run):
    code, out, _ = run("gram", "--json", "-", "--probes", "equality", "--size", 32)
    assert code == 0 and json.loads(out)["findings"]["equality"]["verdict"] == "ok"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("grams",), "unknown loss 'grams'. Did you mean 'gram'?"),
        (("gram", "--probes", "sises"), "unknown probe 'sises'. Did you mean 'sizes'?"),
        (("gram", "--option", "scale"), "not of the form NAME=VALUE"),
        (("gram", "--option", "skale=1"), "skale"),
        (("gram", "-o", "page.txt"), "must end in one of .png"),
        (("gram", "--json", "my_losses.py"), "must end in one of .json"),
        (("gram", "--size", "9"), "size_px must be at least 32"),
        (("gram", "--losses-from", "nothing.py"), "no file of losses 'nothing.py'"),
        (("gram", "--content", "nothing.png"), "nothing.png"),
    ],
)
def test_a_mistake_is_one_line_and_code_2(run, arguments, message):
    code, out, err = run(*arguments)
    assert code == 2 and not out
    assert err.startswith("jnst: error: ") and message in err and err.count("\n") == 1


def test_what_the_user_had_is_not_overwritten(run, tmp_path):
    (tmp_path / "page.png").write_bytes(b"mine")
    code, _, err = run("gram", "-o", "page.png")
    assert code == 2 and "exists already" in err
    assert (tmp_path / "page.png").read_bytes() == b"mine"


def test_a_page_shows_whatever_was_asked(tmp_path):
    """Each plot and picture alone, all together, and none."""
    numbers = {
        "sizes": {
            "sizes_px": (64, 128),
            "reference": "gram",
            "gradient_norms": [1.0, 0.5],
            "reference_gradient_norms": [2.0, 1.0],
        },
        "resemblance": {
            "places": ("content", "middle", "end"),
            "cosines": {"gram": [1.0, 0.9, 0.8], "cmd": [None, 0.2, 0.1]},
        },
        "costs": {
            "reference": "gram",
            "rows": [{"size_px": 64, "ms": 2.0, "reference_ms": 1.0}],
        },
        "pictures": {},
    }
    image = np.full((8, 8, 3), 0.5, np.float32)
    all_found = {
        name: Finding(verdict, f"{name} in words", found)
        for verdict, (name, found) in zip(VERDICTS, numbers.items(), strict=True)
    }
    all_found["pictures"] = all_found["pictures"]._replace(pictures={"content": image})
    heights = []
    for names in (["sizes"], ["resemblance"], ["costs"], ["pictures"], list(numbers)):
        chosen = {name: all_found[name] for name in names}
        about = ("mine", "style", "me", "all", {}, ("relu1_1",), 0, 32)
        report = Report(*about, chosen, dict.fromkeys(chosen, 1.0))
        draw(tmp_path / "page.png", report)
        heights.append(load_image(tmp_path / "page.png").shape[0])
    assert heights[-1] == max(heights) and heights[3] < heights[0]
