"""`jnst bench` as a user meets it: table, JSON, CSV, files, exit codes."""

import csv
import json

import pytest
from tiny import tiny_params

from jnst.bench import measured_peaks, report
from jnst.bench.report import flat, read_document, table
from jnst.cli.main import main
from jnst.files import write_json
from jnst.image import load_image
from jnst.weights import save_weights

pytestmark = pytest.mark.usefixtures("quick_compile")


@pytest.fixture(scope="module")
def tiny_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_weights(tiny_params(), path, title="tiny VGG19 for tests", licence="MIT")
    return str(path)


@pytest.fixture
def run(tiny_file, capsys, tmp_path, monkeypatch):
    """Runs `jnst bench` on the tiny network: code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        common = ("--weights", tiny_file, "--set", "steps=2", "--repeats", "3")
        code = main(["bench", *common, *map(str, arguments)])
        out, err = capsys.readouterr()
        return code, out, err

    return call


def test_json_alone_is_on_standard_output_and_files_agree(run, tmp_path):
    code, out, err = run(
        *("--sizes", "32", "--batch", "1,2", "--json", "-o", "a.json"),
        *("--csv", "a.csv", "--plot", "a.png", "--profile", "traces"),
        *("--roofline", "roof.png"),
    )
    assert code == 0, err
    document = json.loads(out)
    assert document == read_document("a.json")
    assert document["schema"] == "jnst-bench-1"
    assert set(document["versions"]) >= {"jax", "jnst", "numpy"}
    assert document["weights"]["title"] == "tiny VGG19 for tests"
    rows = document["rows"]
    assert [row["batch"] for row in rows] == [1, 2]
    assert len(rows[0]["samples_ms"]) == 3
    # A CPU's peaks are in no sheet: they are measured, and the row says so.
    source = rows[0]["peak_tflop_per_s_source"]
    assert source.startswith("measured: 256 x 256 matmul")
    share = rows[0]["tflop_per_s"] / rows[0]["peak_tflop_per_s"]
    assert rows[0]["utilisation"] == pytest.approx(share)
    assert rows[1]["flops_xla"] > 1.9 * rows[0]["flops_xla"]  # of two images
    with open("a.csv", newline="") as file:
        for line, row in zip(csv.DictReader(file), rows, strict=True):
            expected = {k: "" if v is None else str(v) for k, v in flat(row).items()}
            assert line == expected
    for picture in ("a.png", "roof.png"):
        assert load_image(picture).shape[2] == 3
    traces = sorted(tmp_path.rglob("*.trace.json.gz"))
    assert len(traces) == 2
    assert all(str(path.relative_to(tmp_path)) in err for path in traces)


def test_the_table_tells_every_case(run):
    code, out, err = run("--sizes", "32,48", "--losses", "mean_std")
    assert code == 0, err
    lines = out.splitlines()
    assert "tiny VGG19 for tests" in lines[0]
    assert lines[1].split()[:3] == ["px", "dtype", "precision"]
    assert [line.split()[0] for line in lines[3:5]] == ["32", "48"]
    assert "MFU" in lines[1] and "HFU" in lines[1]
    roofline = lines[lines.index("roofline") :]
    assert "T_memory ms" in roofline[1] and "of roofline" in roofline[1]
    assert [line.split()[0] for line in roofline[3:]] == ["32", "48"]
    assert "32 px float32 mean_std" in err


@pytest.mark.slow
def test_parts_of_a_step_are_rows_and_blocks_a_table(run):
    code, out, err = run("--sizes", "32", "--modes", "forward,gradient")
    assert code == 0, err
    lines = out.splitlines()
    assert "mode" in lines[1]
    assert ["forward", "gradient"] == [line.split()[4] for line in lines[3:5]]
    code, out, err = run("--sizes", "32", "--blocks", "--min-seconds", "0.5", "--json")
    assert code == 0, err
    [row] = json.loads(out)["rows"]
    names = [each["block"] for each in row["blocks"]]
    assert names == [*(f"conv{n}" for n in range(1, 6)), "losses", "optimiser"]
    assert sum(each["share"] for each in row["blocks"]) == pytest.approx(1)
    assert len(row["samples_ms"]) == row["repeats"] > 3
    assert sum(row["samples_ms"]) * row["steps_per_call"] >= 500
    assert "libraries" in json.loads(out)["surroundings"]


def faster_or_slower(path, factor):
    """Rewrite a document as if it had been measured `factor` times as slow."""
    document = json.loads(path.read_text())
    for row in document["rows"]:
        row["step_ms"] *= factor
        row["samples_ms"] = [factor * value for value in row["samples_ms"]]
    write_json(path, document)


def test_against_gives_an_exit_code(run, tmp_path):
    base = ("--sizes", "32", "--repeats", "6")
    assert run(*base, "-o", "before.json")[0] == 0
    before = tmp_path / "before.json"
    faster_or_slower(before, 100)
    code, out, err = run(*base, "--against", "before.json")
    assert code == 0, err
    assert "faster" in out and "warning" not in err
    faster_or_slower(before, 1e-4)
    code, out, err = run(*base, "--against", "before.json", "--json")
    assert code == 1, err
    assert json.loads(out)["against"][0]["verdict"] == "slower"
    document = json.loads(before.read_text())
    document["versions"]["jax"] = "0.1"
    write_json(before, document)
    assert "differs: jax: 0.1 before" in run(*base, "--against", "before.json")[2]


def error_line(err):
    lines = [line for line in err.splitlines() if line.strip()]
    assert len(lines) == 1, err
    return lines[0].removeprefix("jnst: error: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--sizes", "big"), "sizes must be whole numbers, got 'big'"),
        (("--sizes", "0"), "size must be at least 1"),
        (("--sizes", "8"), "needs at least 16 pixels"),
        (("--dtypes", "float64"), "unknown dtype"),
        (("--losses", "grams"), "Did you mean 'gram'"),
        (("--recipe", "gatis"), "Did you mean 'gatys'"),
        (("--set", "poling=max"), "Did you mean 'pooling'"),
        (("--threshold", "0.5"), "threshold must be at least 1"),
        (("--against", "absent.json"), "'absent.json': No such file or directory"),
        (("--against", "bytes.json"), "is not JSON"),
        (("--against", "other.json"), "has schema 'jnst-bench-0'"),
        (("--against", "text.json"), "is not JSON"),
        (("-o", "there.json"), "exists already"),
        (("--csv", "a.txt"), "must end in one of .csv"),
        (("--plot", "a.bmp"), "must end in one of .png"),
        (("--roofline", "a.bmp"), "must end in one of .png"),
        (("--profile", "text.json"), "needs a folder"),
        (("--peer", "keras", "--batch", "2"), "one image at a time"),
        (("--peer", "keras", "--modes", "forward"), "--peer runs whole steps on one"),
        (("--peer", "keras", "--devices", "2"), "--peer runs whole steps on one"),
        (("--modes", "backward"), "unknown mode 'backward'"),
        (("--devices", "banana"), "devices must be a number such as 4"),
        (("--devices", "64"), "devices=64 needs 64, JAX has"),
        (("--devices", "1,2", "--scaling", "week"), "Did you mean 'weak'"),
        (("--blocks", "--batch", "2"), "--blocks looks at whole steps"),
    ],
)
def test_bad_input_is_one_line_and_nothing_runs(run, arguments, message, tmp_path):
    (tmp_path / "other.json").write_text('{"schema": "jnst-bench-0"}')
    (tmp_path / "text.json").write_text("no JSON")
    (tmp_path / "there.json").write_text("{}")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xd8")
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert message in error_line(err)


def test_a_figure_above_its_peak_fails_the_command(run, monkeypatch):
    monkeypatch.setattr(measured_peaks, "best_seconds", lambda call, calls: 1e9)
    monkeypatch.setattr(measured_peaks, "SIDES", {"cpu": 24})  # not in the cache yet
    code, out, err = run("--sizes", "32")
    assert code == 1
    assert "HFU is" in out and "above the peak of" in err


def test_random_weights_need_no_file(run, monkeypatch):
    from jnst.bench import networks

    monkeypatch.setattr(networks, "random_params", lambda backbone: tiny_params())
    code, out, err = run("--sizes", "32", "--weights", "random")
    assert code == 0, err
    assert "random VGG19" in out


def test_a_column_of_the_usual_is_left_out_and_errors_are_shown():
    row = {"size_px": 32, "batch": 1, "dtype": "float32", "loss": "gram"}
    done = row | {"optimizer": "adam", "step_ms": 2.0, "utilisation": 0.25}
    lines = table([done, row | {"error": "out of memory"}]).splitlines()
    assert "batch" not in lines[0] and "25.0%" in lines[2]
    assert lines[3].endswith("out of memory")
    assert "batch" in table([done, done | {"batch": 4}]).splitlines()[0]


def test_the_commit_is_that_of_the_running_code(tmp_path, monkeypatch):
    found = report.commit()
    assert found is None or len(found.removesuffix("-dirty")) >= 7
    monkeypatch.setattr(report.jnst, "__file__", str(tmp_path / "__init__.py"))
    assert report.commit() is None  # installed: no checkout, no commit


def test_without_git_the_commit_is_unknown(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert report.commit() is None
