"""Contact sheet, curves and tables of a sweep, from made-up records."""

import numpy as np
import pytest

from jnst.image import load_image
from jnst.sweeping.curves import colours_of, names_of, plot_curves
from jnst.sweeping.grid import Axis, points
from jnst.sweeping.sheet import Cell, cells_of, lines_of, plot_sweep
from jnst.sweeping.table import as_latex, columns_of, latex_table

AXES = [
    Axis("style_weight", (0.1, 1.0, 10.0)),
    Axis("tv_weight", (0.0, 2.0)),
    Axis("seed", (0, 1)),
]


def made(axes, *, size=(30, 40), error=""):
    """A record a member, each with a picture of one colour of its own."""
    found = []
    for number, point in enumerate(points(axes)):
        colour = 0.6, 0.1 + (number % 40) / 64, 0.3  # no grey, as labels are
        image = np.ones((*size, 3)) * colour
        history = {"loss": np.geomspace(9, 1 + number, 5), "style": np.ones(5)}
        record = {"member": number, **point, "loss": 1.0 + number, "ssim": 0.5}
        found.append(record | {"error": error, "image": image, "history": history})
    return found


def test_the_first_grid_goes_across_the_second_down_and_the_rest_in_blocks():
    records = made(AXES)
    cells, beside = cells_of(records, AXES, 20)
    places = {(cell.row, cell.column) for cell in cells}
    assert places == {(row, column) for row in range(4) for column in range(3)}
    for record, cell in zip(records, cells, strict=True):
        at = {
            "style_weight": AXES[0].values[cell.column],
            "seed": cell.row // 2,
            "tv_weight": AXES[1].values[cell.row % 2],
        }
        assert {name: record[name] for name in at} == at
        assert list(cell.title) == (
            [f"style_weight={record['style_weight']:g}"] if cell.row == 0 else []
        )
        assert beside[cell.row] == [
            f"seed={record['seed']}",
            f"tv_weight={record['tv_weight']:g}",
        ]


def test_a_long_single_grid_is_wrapped_and_every_picture_titled():
    axes = [Axis("style_loss", tuple(f"loss{n}" for n in range(10)))]
    cells, beside = cells_of(made(axes), axes, 30)
    assert max(cell.column for cell in cells) == 3 and not beside
    assert max(cell.row for cell in cells) == 2
    assert [cell.title for cell in cells][5] == ["style_loss=loss5"]
    few = axes[0]._replace(values=axes[0].values[:6])
    assert {cell.row for cell in cells_of(made([few]), [few], 30)[0]} == {0}


def test_every_picture_stands_on_the_sheet_pixel_by_pixel(tmp_path):
    records, path = made(AXES), tmp_path / "sheet.png"
    given = {"content": np.ones((30, 40, 3)) * (0.1, 0.9, 0.2)}
    given["style"] = np.ones((9, 40, 3)) * (0.2, 0.1, 0.9)
    plot_sweep(path, records, AXES, given)
    sheet = load_image(path)
    taken = np.zeros(sheet.shape[:2], bool)
    corners = {}
    for record in [*records, *({"image": x} for x in given.values())]:
        picture = record["image"]
        same = np.abs(sheet - picture[0, 0]).max(axis=-1) < 1.01 / 255
        rows, columns = np.nonzero(same)
        box = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
        assert sheet[box].shape == picture.shape and same[box].all()
        assert not taken[box].any()
        taken[box] = True
        if "member" in record:
            corners[record["member"]] = box[0].start, box[1].start
    right = [corners[n][1] for n in (0, 4, 8)]  # style_weight by its three values
    assert right == sorted(right) and len({corners[n][0] for n in (0, 4, 8)}) == 1
    down = [corners[n][0] for n in (0, 2, 1, 3)]  # both tv_weights of seed 0, of seed 1
    assert down == sorted(down) and len(set(down)) == 4
    assert (sheet[taken == 0] < 0.5).any()  # labels


def test_large_pictures_are_scaled_and_stopped_ones_marked(tmp_path):
    axes = [AXES[1]]
    records = made(axes, size=(300, 600))
    plot_sweep(tmp_path / "whole.png", records, axes, {})
    records[0] = records[0] | {"error": "the loss became nan at step 3"}
    records[1] = records[1] | {"error": "out of memory", "image": np.zeros((0, 0, 3))}
    plot_sweep(tmp_path / "stopped.png", records, axes, {})
    whole, stopped = (load_image(tmp_path / f"{k}.png") for k in ("whole", "stopped"))
    assert whole.shape == stopped.shape and whole.shape[1] == 2 * (256 + 8) + 8
    red = (stopped[..., 0] > 0.8) & (stopped[..., 1] < 0.3)
    middle = stopped.shape[1] // 2
    assert red[:, :middle].any() and red[:, middle:].any()
    assert not ((whole[..., 0] > 0.8) & (whole[..., 1] < 0.3)).any()


def test_a_thousand_members_make_a_sheet(tmp_path):
    axes = [Axis("tv_weight", (0.0, 1.0)), Axis("seed", tuple(range(500)))]
    plot_sweep(tmp_path / "long.png", made(axes, size=(8, 8)), axes, {})
    assert max(load_image(tmp_path / "long.png").shape) < 65536


def test_long_labels_are_broken_at_commas():
    value = ("relu1_1", "relu2_1", "relu3_1")
    assert lines_of("style_layers", value, 60) == [
        "style_layers=relu1_1,relu2_1,relu3_1"
    ]
    assert lines_of("style_layers", value, 17) == [
        "style_layers=",
        "relu1_1,relu2_1,",
        "relu3_1",
    ]
    assert max(map(len, lines_of("a_very_long_field_name", "x" * 30, 12))) == 12
    assert Cell(0, 0, np.zeros((1, 1, 3))).title == ()


def test_curves_of_all_members_are_drawn(tmp_path):
    records = made(AXES)
    records[0]["history"]["loss"][2] = np.nan
    records[1]["history"]["gradient_norm_style"] = np.ones(5)
    assert names_of(records) == ["loss", "style"]
    path = tmp_path / "curves.png"
    plot_curves(path, records, AXES)
    picture = load_image(path)
    for colour in colours_of(3):  # by the three style weights
        assert (np.abs(picture - colour).max(axis=-1) < 0.02).sum() > 100
    assert len(np.unique(colours_of(24), axis=0)) == 24


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.000123456, "$0.0001235$"),
        (1.5e-7, r"$1.5 \times 10^{-7}$"),
        (1e20, r"$1 \times 10^{20}$"),
        (-2.0, "$-2$"),
        (1234, "$1234$"),
        (float("nan"), "--"),
        (True, "true"),
        ("mean_std", r"mean\_std"),
        ("100 % & $ # {}~^\\", r"100 \% \& \$ \# \{\}\textasciitilde{}"
         r"\textasciicircum{}\textbackslash{}"),
        (("relu1_1", "relu2_1"), r"relu1\_1,relu2\_1"),
    ],
)  # fmt: skip
def test_cells_of_a_latex_table_are_escaped(value, text):
    assert as_latex(value) == text


def test_a_latex_table_is_booktabs():
    records = made(AXES[:2])
    del records[1]["ssim"]
    records[2]["error"] = "stopped"
    text = latex_table(records, AXES[:2])
    lines = text.splitlines()
    assert lines[0] == r"\begin{tabular}{llrr}" and lines[-1] == r"\end{tabular}"
    assert lines[2] == r"style\_weight & tv\_weight & loss & ssim \\"
    assert [lines[n] for n in (1, 3, -2)] == [r"\toprule", r"\midrule", r"\bottomrule"]
    assert lines[4] == r"$0.1$ & $0$ & $1$ & $0.5$ \\"
    assert lines[5] == r"$0.1$ & $2$ & $2$ & -- \\"
    assert lines[6].startswith(r"$1$$^\dagger$ & ")
    assert len(lines) == 4 + 6 + 2


def test_columns_have_losses_together_and_the_error_last():
    records = [
        {"member": 0, "tv_weight": 0.0, "loss": 1.0, "loss_a": 1.0, "ssim": 1.0},
        {"member": 1, "loss": 1.0, "loss_tv": 1.0, "error": "", "image": 0, "x": 1},
    ]
    assert columns_of(records) == [
        "member",
        "tv_weight",
        "loss",
        "loss_a",
        "loss_tv",
        "ssim",
        "x",
        "error",
    ]
