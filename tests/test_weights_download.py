"""The canonical download, with a server on 127.0.0.1 in its place."""

import hashlib
import http.server
import threading

import click.testing
import numpy as np
import pytest
import test_weights_formats as formats
from test_weights_search import cache as cache

from jnst.cli.weights_command import weights as command
from jnst.weights import (
    SOURCES,
    fetch_weights,
    find_weights,
    load_weights,
    read_provenance,
    verify,
)


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


def test_a_name_may_stand_in_the_environment(content, monkeypatch, server, tmp_path):
    offer(monkeypatch, server[0], content, path=tmp_path / "served" / "tiny.npz")
    monkeypatch.setenv("JNST_WEIGHTS", "vgg19_torch")
    assert find_weights().name == "vgg19_torch.safetensors"


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


def test_fetch_prints_the_path_and_shows_progress_apart(
    content, server, cache, tmp_path, monkeypatch
):
    offer(monkeypatch, server[0], content, path=tmp_path / "served" / "tiny.npz")
    result = click.testing.CliRunner().invoke(command, ["fetch", "vgg19_torch"])
    assert result.stdout == f"{cache}/vgg19_torch.safetensors\n"
