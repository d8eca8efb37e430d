"""The demo pair that is shipped."""

from pathlib import Path

import numpy as np
import pytest

import jnst.base
from jnst.data import paint
from jnst.files import sha256_of
from jnst.image import load_image

DATA = Path(jnst.base.__file__).parent / "data"
PAIR = (DATA / "demo_content.jpg", DATA / "demo_style.jpg")


def test_the_demo_pair_is_small():
    assert sum(path.stat().st_size for path in PAIR) <= 380_000


@pytest.mark.parametrize("path", PAIR, ids=lambda path: path.stem)
def test_a_demo_picture_loads_and_is_not_dull(path):
    image = load_image(path)
    assert 400 <= max(image.shape) <= 640
    assert image.std() > 0.1


@pytest.mark.parametrize("path", PAIR, ids=lambda path: path.stem)
def test_the_readme_states_the_checksum(path):
    assert sha256_of(path) in (DATA / "README.md").read_text()


def test_painting_is_deterministic_and_follows_its_seed():
    first = paint.paint(seed=1, height=64, width=80)
    assert first.shape == (64, 80, 3) and first.dtype == np.float32
    assert 0 <= first.min() and first.max() <= 1
    np.testing.assert_array_equal(first, paint.paint(seed=1, height=64, width=80))
    assert np.abs(first - paint.paint(seed=2, height=64, width=80)).mean() > 0.02


def test_the_script_writes_a_file_and_does_not_overwrite_it(tmp_path, capsys):
    small = [str(tmp_path / "out.png"), "--height", "32", "--width", "40"]
    assert paint.main(small) == 0
    assert load_image(tmp_path / "out.png").shape == (32, 40, 3)
    with pytest.raises(SystemExit):
        paint.main(small)
    assert "exists already" in capsys.readouterr().err


@pytest.mark.slow
def test_the_shipped_style_is_what_the_script_paints():
    shipped = load_image(PAIR[1])
    painted = paint.paint(0, *shipped.shape[:2])
    assert np.abs(shipped - painted).mean() < 0.03
