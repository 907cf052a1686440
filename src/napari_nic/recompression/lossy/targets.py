"""The lowest quality that reaches a target: SSIM, PSNR, or the cosine between an encoder's codes.

A sample of the slide's tiles is encoded with one quality after another, by halving what is left of the scale.
A target counts as reached if nine of ten sampled tiles reach it: what a run writes is checked tile by tile
against the same bound, and the few that lie below are encoded better.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np

from napari_nic.encoders import Encoder
from napari_nic.errors import InvalidParameterError
from napari_nic.jobs import CancellationToken, Progress
from napari_nic.recompression.lossy.codecs import CodecSettings, PixelCodec
from napari_nic.recompression.lossy.picture import SourcePicture, padded
from napari_nic.recompression.workers import in_order, threads_for
from napari_nic.slides import RgbArray

Measure = Callable[[RgbArray, RgbArray], float]
"""Of two tiles, (rows, cols, 3) uint8: 1 or more the more alike they are."""

SAMPLE = 24
"""Tiles that are tried."""

_SHARE = 0.9
_FLAT = 4.0
"""Standard deviation of grey below which a tile is glass and says nothing of a codec."""


@dataclass(frozen=True)
class Target:
    """What is asked of a quality.

    Attributes
    ----------
    kind : {"ssim", "psnr", "cosine"}
    value : float
        The least that nine of ten tiles reach.
    """

    kind: Literal["ssim", "psnr", "cosine"]
    value: float

    def __post_init__(self) -> None:
        most = 100.0 if self.kind == "psnr" else 1.0
        if not 0 < self.value < most:
            raise InvalidParameterError(
                f"no such {self.kind}", expected=f"above 0 and below {most:g}", found=f"{self.value:g}"
            )


@dataclass(frozen=True)
class FoundQuality:
    """What was found for a target.

    Attributes
    ----------
    settings : CodecSettings
    mean, least : float
        What the sampled tiles reach with it.
    sampled : int
        Their number.
    """

    settings: CodecSettings
    mean: float
    least: float
    sampled: int


def find_settings(
    picture: SourcePicture,
    codec: PixelCodec,
    settings: CodecSettings,
    target: Target,
    measure: Measure,
    *,
    workers: int | None = None,
    token: CancellationToken | None = None,
) -> Generator[Progress, None, FoundQuality]:
    """Find the lowest quality of a codec that reaches a target on a slide.

    Parameters
    ----------
    picture : SourcePicture
    codec : PixelCodec
    settings : CodecSettings
        All but the quality.
    target : Target
    measure : callable
    workers : int, optional
        Threads; by default one per core.
    token : CancellationToken, optional

    Raises
    ------
    InvalidParameterError
        If not even the best quality does, or the slide shows nothing but glass.
    """
    tiles, workers = (yield from _sample(picture, token)), threads_for(workers)
    low, high = int(codec.scale.least), int(codec.scale.best)
    found = _tried(tiles, codec, replace(settings, quality=float(high)), measure, workers, token)
    if _reached(found) < target.value:
        raise InvalidParameterError(
            f"{codec.name} cannot reach a {target.kind} of {target.value:g} on this slide",
            path=picture.slide.path,
            found=f"{_reached(found):.4g} at its best quality",
            hint="choose --subsampling 4:4:4 or another codec, or a lower target",
        )
    best = replace(settings, quality=float(high)), found
    while low < high:
        yield Progress(0, 0, f"trying quality {(low + high) // 2}", "qualities")
        tried = replace(settings, quality=float((low + high) // 2))
        found = _tried(tiles, codec, tried, measure, workers, token)
        if _reached(found) >= target.value:
            best, high = (tried, found), (low + high) // 2
        else:
            low = (low + high) // 2 + 1
    return FoundQuality(best[0], float(np.mean(best[1])), min(best[1]), len(tiles))


def _sample(
    picture: SourcePicture, token: CancellationToken | None
) -> Generator[Progress, None, list[RgbArray]]:
    """Read tiles of level 0 that show something, drawn at random but the same ones every time."""
    rows, cols = picture.levels[0].tile_grid
    order = random.Random(rows * cols).sample(range(rows * cols), rows * cols)  # noqa: S311 -- no secret
    tiles: list[RgbArray] = []
    for tried, index in enumerate(order[: 40 * SAMPLE]):
        if token is not None:
            token.checkpoint()
        yield Progress(len(tiles), SAMPLE, "looking for tiles of tissue", "tiles")
        pixels = picture.read(0, *divmod(index, cols))
        if pixels is not None and min(pixels.shape[:2]) >= 32 and float(pixels.mean(2).std()) > _FLAT:
            tiles.append(padded(pixels, picture.levels[0].tile))
        if len(tiles) == SAMPLE or (tiles and tried >= 20 * SAMPLE):
            break
    if not tiles:
        raise InvalidParameterError(
            "no tile shows anything by which a quality could be found",
            path=picture.slide.path,
            hint="give the quality as a number",
        )
    return tiles


def _tried(
    tiles: list[RgbArray],
    codec: PixelCodec,
    settings: CodecSettings,
    measure: Measure,
    workers: int,
    token: CancellationToken | None,
) -> list[float]:
    def one(pixels: RgbArray) -> float:
        return measure(pixels, codec.decode(codec.encode(pixels, settings)))

    return list(in_order(one, tiles, workers=workers, token=token))


def _reached(found: list[float]) -> float:
    """Return what nine of ten tiles reach."""
    return sorted(found)[int((1 - _SHARE) * len(found))]


class CosineMeasure:
    """The cosine between the codes of two tiles by an encoder: the least of the patches in them.

    Parameters
    ----------
    encoder : Encoder
    mpp : float
        um per pixel of the tiles.
    """

    def __init__(self, encoder: Encoder, mpp: float) -> None:
        self._encoder, self._scale = encoder, mpp / encoder.spec.mpp

    def __call__(self, one: RgbArray, other: RgbArray) -> float:
        """Return the least cosine."""
        codes = [self._encoder.encode(self._patches(pixels)).astype(np.float64) for pixels in (one, other)]
        norms = [np.linalg.norm(code, axis=1) for code in codes]
        cosines = (codes[0] * codes[1]).sum(1) / np.maximum(norms[0] * norms[1], 1e-12)
        return float(cosines.min())

    def _patches(self, pixels: RgbArray) -> RgbArray:
        """Cut a tile into patches of the encoder's size, at its resolution; at least one of all of it."""
        spec = self._encoder.spec
        size = [max(1, round(side * self._scale)) for side in pixels.shape[:2]]
        rows, cols = (max(1, side // spec.patch_size) for side in size)
        shape = cols * spec.input_size, rows * spec.input_size
        scaled = cv2.resize(pixels, shape, interpolation=cv2.INTER_AREA)
        cells = scaled.reshape(rows, spec.input_size, cols, spec.input_size, 3).swapaxes(1, 2)
        return np.ascontiguousarray(cells.reshape(-1, spec.input_size, spec.input_size, 3))
