"""Pictures one after the other in one file: GIF and WebP by Pillow, MP4 by ffmpeg."""

import contextlib
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jnst.base import check_one_of
from jnst.files import StrPath, atomic_write
from jnst.image.sizes import resize_image

ANIMATION_SUFFIXES = (".gif", ".webp", ".mp4")
FRAME_MS, LAST_MS = 100, 2000
"""How long each frame is shown, and the last before all begins anew."""


def check_animation(path: StrPath) -> None:
    """Raise `ValueError` unless an animation of this ending can be written here."""
    suffix = Path(path).suffix.lower()
    check_one_of("animation suffix", suffix, ANIMATION_SUFFIXES)
    if suffix == ".mp4":
        try:
            import imageio_ffmpeg

            imageio_ffmpeg.get_ffmpeg_exe()
        except (ImportError, RuntimeError):
            raise ValueError(
                "MP4 needs ffmpeg: install the extra 'video', as in `pip install "
                "'jnst[video]'`, or write GIF or WebP"
            ) from None


def save_animation(path: StrPath, frames: Sequence[np.ndarray]) -> None:
    """Write an animation, whole or not at all; replaces a file.

    Args:
      path: The file, whose ending is one of `ANIMATION_SUFFIXES`.
      frames: At least one, uint8 [H, W, 3]; all are brought to the size of the last,
        in MP4 to an even one.

    Raises:
      ValueError: If the ending is unknown, or ffmpeg is not there.
      OSError: If ffmpeg could not write.
    """
    check_animation(path)
    height, width = frames[-1].shape[:2]
    suffix = Path(path).suffix.lower()
    with atomic_write(path) as temporary:
        if suffix == ".mp4":
            even = max(2, height // 2 * 2), max(2, width // 2 * 2)
            _write_mp4(temporary, [_brought(frame, even) for frame in frames])
            return
        options: dict[str, Any] = {"quality": 90} if suffix == ".webp" else {}
        first, *rest = (
            Image.fromarray(_brought(frame, (height, width))) for frame in frames
        )
        first.save(
            temporary,
            save_all=True,
            append_images=rest,
            duration=[FRAME_MS] * len(rest) + [LAST_MS],
            loop=0,
            **options,
        )


def _brought(frame: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Bring a frame to a size."""
    if frame.shape[:2] == shape:
        return frame
    resized = resize_image(frame.astype(np.float32), shape)
    return np.clip(np.rint(resized), 0, 255).astype(np.uint8)


def _write_mp4(path: Path, frames: Sequence[np.ndarray]) -> None:
    """Let ffmpeg write frames of one even size.

    imageio-ffmpeg's own writer forks, which JAX, whose threads run, warns of.
    """
    from imageio_ffmpeg import get_ffmpeg_exe

    height, width = frames[0].shape[:2]
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}"]
    given = [*raw, "-r", str(1000 // FRAME_MS), "-i", "-"]
    made = ["-c:v", "libx264", "-crf", "18", "-pix_fmt", "yuv420p", str(path)]
    command = [get_ffmpeg_exe(), "-loglevel", "error", "-y", *given, *made]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stderr=pipe) as ffmpeg:
        to: Any = ffmpeg.stdin
        with contextlib.suppress(BrokenPipeError):  # what ffmpeg says tells more
            for frame in [*frames, *[frames[-1]] * (LAST_MS // FRAME_MS - 1)]:
                to.write(frame.tobytes())
        _, said = ffmpeg.communicate()
    if ffmpeg.returncode:
        raise OSError(f"ffmpeg could not write the animation: {said.decode()}")
