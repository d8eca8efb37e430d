"""Frames of a run: numbered files and one animation, checked before any work."""

import subprocess

import numpy as np
import pytest
from PIL import Image, ImageSequence
from watched import flat, plan_of

from jnst.drivers.result import Progress, Result
from jnst.image import animation, load_image
from jnst.image.animation import check_animation, save_animation
from jnst.recipes.schedule import Source, Stage
from jnst.recipes.table import RECIPES
from jnst.watching import frames
from jnst.watching.folders import check_folder
from jnst.watching.frames import FRAMES, frames_for, save_film, save_frames

RESULT = Result(flat(1, 1, 0.0), {}, RECIPES["jnst"], 0.0, 0.0, [], {}, {})


def two_sizes(*sources):
    stages = [Stage(20, (10, 12), 4), Stage(24, (20, 24), 6)]
    return plan_of("jnst", stages, styles=sources)


def look(step, image, steps=10):
    return Progress(step, steps, image.shape[-3:-1], {"loss": 1.0}, image, 0.1, {})


def run(watcher, looks):
    watcher.start(two_sizes())
    for each in looks:
        watcher.update(each)
    watcher.finish(RESULT)
    watcher.close(None)


def run_of_two_sizes():
    """Ten looks, at 10x12 and then 20x24, brighter at each."""
    sizes = [(10, 12)] * 4 + [(20, 24)] * 6
    return [look(n + 1, flat(*size, (n + 1) / 10)) for n, size in enumerate(sizes)]


def test_frames_are_numbered_by_their_steps_and_keep_their_size(tmp_path):
    run(save_frames(tmp_path / "all"), run_of_two_sizes())
    names = sorted(path.name for path in (tmp_path / "all").iterdir())
    assert names == [f"frame_{n:06d}.png" for n in range(1, 11)]
    assert load_image(tmp_path / "all" / names[0]).shape == (10, 12, 3)
    assert load_image(tmp_path / "all" / names[-1]).shape == (20, 24, 3)
    run(save_frames(tmp_path / "few", every=4), run_of_two_sizes())
    names = sorted(path.name for path in (tmp_path / "few").iterdir())
    assert names == [f"frame_{n:06d}.png" for n in (4, 8, 10)]


def test_frames_of_an_earlier_run_go_and_nothing_else_does(tmp_path):
    for name in ("frame_000099.png", "mine.png"):
        (tmp_path / name).write_text("x")
    run(save_frames(tmp_path, every=10), run_of_two_sizes())
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "frame_000010.png",
        "mine.png",
    ]


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_an_animation_has_one_size_and_rests_on_the_last_frame(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    run(save_film(path), run_of_two_sizes())
    with Image.open(path) as film:
        assert film.size == (24, 20) and film.n_frames == 10
        assert film.info["loop"] == 0
        found, durations = [], []
        for each in ImageSequence.Iterator(film):
            found.append(np.asarray(each.convert("RGB"), np.float64).mean() / 255)
            durations.append(each.info["duration"])
    np.testing.assert_allclose(found, np.arange(1, 11) / 10, atol=0.02)
    assert durations == [100] * 9 + [2000]


def test_mp4_has_an_even_size(tmp_path):
    from imageio_ffmpeg import get_ffmpeg_exe

    path = tmp_path / "a.mp4"
    levels = [np.full((21, 25, 3), n * 50, np.uint8) for n in range(1, 4)]
    save_animation(path, [np.full((9, 9, 3), 20, np.uint8), *levels])
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    shown = subprocess.run([get_ffmpeg_exe(), "-i", path, *raw], capture_output=True)
    about = shown.stderr.decode()
    assert "yuv420p" in about and "24x20" in about and "10 fps" in about
    means = np.frombuffer(shown.stdout, np.uint8).reshape(-1, 24 * 20 * 3).mean(1)
    assert len(means) == 4 + 19  # the last stays for two seconds
    np.testing.assert_allclose(means[:4], [20, 50, 100, 150], atol=4)


def test_what_ffmpeg_says_is_told_and_nothing_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(animation, "LAST_MS", 100)
    wide = np.zeros((2, 20_000, 3), np.uint8)  # more than H.264 has
    with pytest.raises(OSError, match="ffmpeg could not write"):
        save_animation(tmp_path / "a.mp4", [wide])
    assert list(tmp_path.iterdir()) == []


def test_a_batch_stands_side_by_side(tmp_path):
    batch = np.stack([flat(10, 12, 0.0), flat(10, 12, 1.0)])
    run(save_frames(tmp_path / "f"), [look(10, batch)])
    run(save_film(tmp_path / "a.webp"), [look(10, batch)])
    for name in ("f/frame_000010.png", "a.webp"):
        assert load_image(tmp_path / name).shape == (10, 24, 3)


def test_a_large_picture_has_fewer_frames_and_too_many_are_refused(monkeypatch):
    batch = Source(np.zeros((2, 9, 9, 3), np.float32), False)
    assert frames_for(two_sizes(), 0) == 100
    monkeypatch.setattr(frames, "MOST_BYTES", 3 * 20 * 24 * 4)
    assert frames_for(two_sizes(), 0) == 4
    assert frames_for(two_sizes(batch), 0) == 2
    assert frames_for(two_sizes(), 5) == 3
    with pytest.raises(ValueError, match=r"11 frames of 24x20 px.*every 3 steps"):
        frames_for(two_sizes(), 1)
    assert frames_for(two_sizes(), 3) == 4  # what it advises will do


def test_mp4_without_ffmpeg_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "imageio_ffmpeg", None)
    with pytest.raises(ValueError, match=r"extra 'video'.*GIF or WebP"):
        check_animation("a.mp4")
    check_animation("a.gif")
    with pytest.raises(ValueError, match=r"'\.gi'.*'\.gif'"):
        check_animation("a.gi")


def test_a_folder_that_will_not_do_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "frame_000001.png").write_text("x")
    for name, message in {
        "file": "is a file",
        "no/where": "no existing folder",
        "full": "exists already; use --overwrite",
    }.items():
        with pytest.raises(ValueError, match=message):
            check_folder(f"{tmp_path}/{name}", FRAMES)
    check_folder(tmp_path / "full", FRAMES, overwrite=True)
    check_folder(tmp_path / "new", FRAMES)
    check_folder(tmp_path, FRAMES)
    assert not (tmp_path / "new").exists()
