"""What fuzzing found, and whole files of every format, once more without a fuzzer."""

import pytest
from fuzz_seeds import SEEDS, write_seeds
from fuzzing import CORPUS, TARGETS, check, seeds

FOUND = [(name, path) for name in TARGETS for path in seeds(name)]


@pytest.mark.parametrize(
    ("name", "path"), FOUND, ids=[f"{name}/{path.name}" for name, path in FOUND]
)
def test_what_was_found_is_refused_or_read(name, path, tmp_path):
    check(name, path.read_bytes(), tmp_path)


@pytest.mark.parametrize("name", TARGETS)
def test_whole_files_do(name, tmp_path):
    folder = tmp_path / "seeds"
    folder.mkdir()
    write_seeds(name, folder)
    files = sorted(folder.iterdir())
    assert files
    for path in files:
        check(name, path.read_bytes(), tmp_path)


def test_every_target_has_seeds_and_every_finding_a_target():
    assert {*SEEDS} == {*TARGETS}
    assert {path.name for path in CORPUS.iterdir()} <= {*TARGETS}
    assert all(path.stat().st_size < 10_000 for _, path in FOUND)


@pytest.mark.parametrize(
    ("error", "finding"),
    [(TypeError("a"), TypeError), (ValueError("a\nb"), AssertionError),
     (ValueError(""), AssertionError), (OSError("a"), None)],
)  # fmt: skip
def test_another_exception_and_two_lines_are_findings(
    error, finding, tmp_path, monkeypatch
):
    def fails(path):
        raise error

    monkeypatch.setitem(TARGETS, "pictures", (".png", fails))
    if finding is None:
        return check("pictures", b"", tmp_path)
    with pytest.raises(finding):
        check("pictures", b"", tmp_path)
