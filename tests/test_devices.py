"""Runs over several devices: what is asked for, what is refused, what is exact."""

import subprocess
import sys
from pathlib import Path

import jax
import pytest
from tiny import STYLE_LAYERS, picture

import jnst
from jnst.bench.collectives import collectives
from jnst.cli.main import main
from jnst.losses import CONTENT_LOSSES, STYLE_LOSSES
from jnst.scale.meshes import (
    check_splits,
    counts_of,
    mesh_of,
    mesh_shape,
    sides_of,
)
from jnst.weights import save_weights

CONTENT, STYLE = picture(24, 22, 1), picture(20, 26, 2)


@pytest.mark.slow
def test_eight_devices_compute_what_one_does():
    # A CPU is taken for eight devices before JAX starts: in a process of its own.
    here = Path(__file__).parent
    command = [sys.executable, "-m", "pytest", "-q", str(here / "eight_devices.py")]
    done = subprocess.run(command, cwd=here.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


@pytest.mark.parametrize(
    ("devices", "batch", "shape"),
    [
        (8, None, (1, 8, 1)),
        ("4x2", None, (1, 4, 2)),
        ((4, 2), None, (1, 4, 2)),
        (8, 12, (4, 2, 1)),
        (8, 3, (1, 8, 1)),
        ("4x2", 8, (4, 2, 1)),
        ("2X2x2", 4, (2, 2, 2)),
    ],
)
def test_devices_are_rows_of_one_picture_and_members_of_a_batch(devices, batch, shape):
    assert mesh_shape(counts_of(devices), batch) == shape


@pytest.mark.parametrize("devices", [0, -1, 2.0, True, "", "4x", "axb", (), (2, 0)])
def test_what_is_no_number_of_devices_is_refused(devices):
    with pytest.raises(ValueError, match="devices must be a number such as 4, or"):
        counts_of(devices)


def test_more_devices_than_there_are_are_refused_before_any_work(vgg19):
    with pytest.raises(ValueError, match=r"devices=64 needs 64, JAX has \d+ \(\w+\)"):
        jnst.make_objective(CONTENT, STYLE, weights=vgg19, devices=64)


def test_one_device_is_no_mesh(vgg19):
    objective = jnst.make_objective(
        CONTENT, STYLE, "gatys", weights=vgg19, devices=1, style_layers=STYLE_LAYERS[:1]
    )
    assert objective.structure.mesh is None


@pytest.mark.parametrize(
    ("shape", "counts", "fits"),
    [
        ((128, 64), (4, 2), True),
        ((512, 512), (4, 4), True),
        ((128, 32), (4, 2), False),  # one column a device at relu5_1
        ((64, 64), (4, 2), False),
        ((136, 64), (4, 2), False),  # maps that do not divide
        ((50, 37), (8, 1), True),
    ],
)
def test_columns_are_for_maps_that_divide(shape, counts, fits):
    fields = jnst.Recipe(style_layers=("relu1_1", "relu5_1")).objective
    if fits:
        check_splits(fields, counts, [shape])
        return
    with pytest.raises(
        ValueError, match="devices=4x2 splits columns .* devices=8"
    ) as e:
        check_splits(fields, counts, [shape])
    assert "height a multiple of 64, width of 32" in str(e.value)
    with pytest.raises(ValueError, match="splits columns"):
        check_splits(fields, counts, [(128, 64)], styles=[shape])


def test_a_pyramid_halves_once_more():
    fields = jnst.Recipe(style_layers=("relu2_1",), content_layers=("relu1_1",))
    check_splits(fields.objective, (4, 2), [(16, 8)])
    deeper = jnst.Recipe(
        style_layers=("relu2_1",), content_layers=("relu1_1",), style_pyramid=2
    )
    with pytest.raises(ValueError, match="height a multiple of 16"):
        check_splits(deeper.objective, (4, 2), [(16, 8)])


def test_a_function_of_ones_own_is_refused(rows):
    own = jnst.Term("own", lambda maps: maps["relu1_1"].sum(), ("relu1_1",))
    fields = jnst.Recipe(terms=(own,)).objective
    with pytest.raises(ValueError, match="own_loss=.* cannot be split over devices"):
        check_splits(fields, sides_of(rows), [(24, 22)])


def test_a_batch_must_divide():
    with pytest.raises(ValueError, match="6 pictures do not divide into; use .*2x2"):
        mesh_shape((4, 2), 6)
    with pytest.raises(ValueError, match="devices=2x2x2 is for a batch"):
        mesh_shape((2, 2, 2), None)


@pytest.fixture
def rows():
    """Two rows of devices that are there in name alone."""
    return mesh_of(jax.devices()[:1] * 2, (1, 2, 1))


@pytest.mark.parametrize("loss", [k for k, v in STYLE_LOSSES.items() if v.whole])
def test_losses_that_need_all_positions_are_refused_by_name(rows, loss):
    fields = jnst.Recipe(style_loss=loss).objective
    with pytest.raises(ValueError, match=f"style_loss='{loss}' cannot be split") as e:
        check_splits(fields, sides_of(rows), [(24, 22)])
    assert STYLE_LOSSES[loss].whole in str(e.value) and "devices=1" in str(e.value)


def test_so_are_content_losses_and_winograd_asked_for_and_pictures_too_small(rows):
    (loss,) = (k for k, v in CONTENT_LOSSES.items() if v.whole)
    recipe = jnst.Recipe(content_loss=loss)
    with pytest.raises(ValueError, match=f"content_loss='{loss}' cannot be split"):
        check_splits(recipe.objective, sides_of(rows), [(24, 22)])
    recipe = jnst.Recipe(convolution="winograd")
    with pytest.raises(ValueError, match="convolution=winograd cannot be split"):
        check_splits(recipe.objective, sides_of(rows), [(24, 22)])
    fields = jnst.Recipe().objective
    with pytest.raises(ValueError, match="1x22 .* cannot be split over 2x1 devices"):
        check_splits(fields, sides_of(rows), [(24, 22), (1, 22)])
    check_splits(fields, sides_of(rows), [(24, 22)])


def test_the_command_refuses_in_one_line_with_exit_code_2(vgg19, capsys, tmp_path):
    weights, pixels = tmp_path / "tiny.safetensors", tmp_path / "p.png"
    save_weights(vgg19, weights, title="tiny", licence="MIT")
    from jnst.image import save_image

    save_image(pixels, CONTENT)
    common = ["stylize", str(pixels), str(pixels), "-o", str(tmp_path / "o.png")]
    code = main([*common, "--weights", str(weights), "--devices", "64"])
    err = capsys.readouterr().err
    assert code == 2 and "jnst: error: devices=64 needs 64" in err
    assert "Traceback" not in err and not (tmp_path / "o.png").exists()


def test_collectives_are_counted_with_their_bytes():
    found = collectives(
        """
  %a = (f32[4,4]{1,0}, f32[]) all-reduce(%x, %y), channel_id=1
  %b = (bf16[1,1,8,4], bf16[1,1,8,4], u32[], u32[]) collective-permute-start(%z)
  %c = bf16[1,1,8,4]{3,2,1,0} collective-permute-done(%b)
  %d = (bf16[1,1,8,4], bf16[1,1,8,4], u32[], u32[]) collective-permute-start(%z)
  %e = f32[56,37,3]{2,1,0} all-gather(%w), dimensions={0}
  %f = f32[4,4]{1,0} fusion(%a), calls=%all-reduce
"""
    )
    assert [tuple(row) for row in found] == [
        ("all-gather", "f32[56,37,3]", 4 * 56 * 37 * 3, 1),
        ("collective-permute", "bf16[1,1,8,4]", 64, 2),
        ("all-reduce", "f32[4,4] f32[]", 68, 1),
    ]
