"""Codecs against each other on tiles of slides: the tables of the paper for any set of slides.

Tiles are cut where there is tissue, off the grid of the files' own tiles and blocks: at their grid, pictures
that were JPEG before flatter codecs of the same transform. Below the finest level they are averages.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from napari_nic.encoders import DEFAULT_ENCODER, Encoder, load_encoder
from napari_nic.errors import InvalidParameterError
from napari_nic.jobs import CancellationToken, Progress, checked
from napari_nic.recompression.quality.metrics import ms_ssim, psnr, ssim
from napari_nic.recompression.reporting.contenders import (
    BASELINE,
    PAPER_BASELINE,
    Contender,
    contender,
    default_contenders,
    with_baselines,
)
from napari_nic.recompression.reporting.drift import cosines
from napari_nic.recompression.reporting.views import MAGNIFICATIONS, SIDE, choose_views, plan_sampling
from napari_nic.slides import RgbArray, open_slide
from napari_nic.slides.shrink import shrink
from napari_nic.tissue import iter_find_tissue


@dataclass(frozen=True)
class TileResult:
    """What a codec made of a tile.

    Attributes
    ----------
    contender : str
    magnification : float
    size : int
        Bytes.
    ssim, ms_ssim, psnr : float
    encode_ms, decode_ms : float
    cosine : float
        Mean between the codes of its patches before and after; nan where none were made.
    """

    contender: str
    magnification: float
    size: int
    ssim: float
    ms_ssim: float
    psnr: float
    encode_ms: float
    decode_ms: float
    cosine: float


@dataclass(frozen=True)
class Row:
    """A codec over many tiles; (mean, least, most) where there are three numbers.

    Attributes
    ----------
    name, series : str
    tiles, size : int
        Tiles, and their bytes.
    bits_per_pixel : float
    ssim, psnr : (float, float, float)
    ms_ssim, cosine : float
        Means.
    saved : (float, float, float)
        Share of a tile's bytes against the baseline of equal subsampling.
    saved_of_paper : float
        Mean against JPEG as most programs write it (4:2:0).
    encode_ms, decode_ms : float
    """

    name: str
    series: str
    tiles: int
    size: int
    bits_per_pixel: float
    ssim: tuple[float, float, float]
    psnr: tuple[float, float, float]
    ms_ssim: float
    cosine: float
    saved: tuple[float, float, float]
    saved_of_paper: float
    encode_ms: float
    decode_ms: float


@dataclass
class CodecTable:
    """All results of a set of slides.

    Attributes
    ----------
    slides : list of Path
        Those that took part.
    contenders : tuple of Contender
    encoder : str
        Whose codes were compared; empty if none.
    results : list of TileResult
        Tile after tile, all contenders of each in their order.
    aucs : dict of str to float
        Of a model, by contender; empty where no labels were given.
    """

    contenders: tuple[Contender, ...]
    encoder: str = ""
    slides: list[Path] = field(default_factory=list)
    results: list[TileResult] = field(default_factory=list)
    aucs: dict[str, float] = field(default_factory=dict)

    def rows(self, magnification: float | None = None) -> list[Row]:
        """Sum up each contender, over all tiles or those of one magnification."""
        chosen = [r for r in self.results if magnification in (None, r.magnification)]
        by_name: dict[str, list[TileResult]] = defaultdict(list)
        for result in chosen:
            by_name[result.contender].append(result)
        base, paper = (
            np.array([result.size for result in by_name[contender(*which).name]], float)
            for which in (BASELINE, PAPER_BASELINE)
        )
        return [_row(one, by_name[one.name], base, paper) for one in self.contenders if by_name[one.name]]

    @property
    def magnifications(self) -> list[float]:
        """Those of which there are tiles, coarsest first."""
        return sorted({result.magnification for result in self.results})

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        facts = {f"{m:g}x": [_facts(row) for row in self.rows(m)] for m in self.magnifications}
        return {
            "slides": [str(path) for path in self.slides],
            "encoder": self.encoder,
            "all": [_facts(row) for row in self.rows()],
            "by_magnification": facts,
            "auc": self.aucs,
        }


def _row(one: Contender, found: Sequence[TileResult], base: np.ndarray, paper: np.ndarray) -> Row:
    sizes = np.array([result.size for result in found], float)
    saved = 1 - sizes / base

    def of(name: str) -> np.ndarray:
        return np.array([getattr(result, name) for result in found], float)

    def three(values: np.ndarray) -> tuple[float, float, float]:
        known = values[np.isfinite(values)]
        if not known.size:
            return float("inf"), float("inf"), float("inf")
        return float(known.mean()), float(known.min()), float(known.max())

    cosine = of("cosine")
    return Row(
        one.name,
        one.series,
        len(found),
        int(sizes.sum()),
        float(8 * sizes.mean() / SIDE**2),
        three(of("ssim")),
        three(of("psnr")),
        float(of("ms_ssim").mean()),
        float(np.nanmean(cosine)) if np.isfinite(cosine).any() else float("nan"),
        three(saved),
        float((1 - sizes / paper).mean()),
        float(np.median(of("encode_ms"))),
        float(np.median(of("decode_ms"))),
    )


def _facts(row: Row) -> dict[str, Any]:
    """Return a row for JSON: null for what is no number."""

    def plain(value: Any) -> Any:
        if isinstance(value, tuple):
            return dict(zip(("mean", "least", "most"), map(plain, value), strict=True))
        return None if isinstance(value, float) and not np.isfinite(value) else value

    return {name: plain(value) for name, value in vars(row).items()}


def compare_codecs(
    slides: Sequence[Path],
    contenders: Sequence[Contender] = (),
    *,
    views: int = 12,
    encoder: str = DEFAULT_ENCODER,
    seed: int = 0,
    token: CancellationToken | None = None,
) -> Generator[Progress, None, CodecTable]:
    """Encode tiles of slides with several codecs and compare what comes back.

    Parameters
    ----------
    slides : sequence of Path
    contenders : sequence of Contender, optional
        By default those of the paper and their neighbours in quality; both baselines always take part.
    views : int
        Tiles of each slide at each magnification, at most.
    encoder : str
        Whose codes are compared, on tiles of its resolution; empty for none.
    seed : int
    token : CancellationToken, optional

    Raises
    ------
    InvalidParameterError
        If no slide has a tile of tissue.
    """
    table = CodecTable(with_baselines(contenders or default_contenders()), encoder)
    eye = load_encoder(encoder) if encoder else None
    for done, path in enumerate(checked(slides, token)):
        yield Progress(done, len(slides), path.name, "slides")
        tiles = yield from _tiles_of(path, views, seed, token)
        for number, (magnification, mpp, tile) in enumerate(checked(tiles, token)):
            yield Progress(number, len(tiles), f"{path.name}: codecs", "tiles")
            sees = eye if eye is not None and _is_seen(eye, mpp) else None
            table.results += [_result(one, magnification, tile, sees) for one in table.contenders]
        if tiles:
            table.slides.append(path)
    if not table.results:
        raise InvalidParameterError("no slide has a tile of tissue to compare codecs on")
    return table


def _tiles_of(
    path: Path, views: int, seed: int, token: CancellationToken | None
) -> Generator[Progress, None, list[tuple[float, float, RgbArray]]]:
    """Return (magnification, um per pixel, tile) of a slide."""
    found = []
    with open_slide(path) as slide:
        pixel = slide.require_pixel_size()
        tissue = yield from iter_find_tissue(slide, token=token)
        for magnification in MAGNIFICATIONS:
            sampling = plan_sampling(slide, pixel, 10 / magnification)
            if sampling is None or not tissue.mask.any():
                continue
            places = choose_views(slide, tissue, sampling, side=SIDE, count=views, seed=seed)
            found += [(magnification, sampling.mpp, view.read(slide)) for view in checked(places, token)]
    return found


def _is_seen(encoder: Encoder, mpp: float) -> bool:
    """Whether tiles of a resolution are what an encoder was made to see."""
    spec = encoder.spec
    return (
        1 / 1.1 <= mpp / spec.mpp <= 1.1 and spec.patch_size <= SIDE and not spec.patch_size % spec.input_size
    )


def _result(one: Contender, magnification: float, tile: RgbArray, encoder: Encoder | None) -> TileResult:
    begin = time.perf_counter()
    data = one.encode(tile)
    middle = time.perf_counter()
    decoded = one.decode(data)
    end = time.perf_counter()
    cosine = float("nan")
    if encoder is not None:
        codes = [encoder.encode(_patches(pixels, encoder)) for pixels in (tile, decoded)]
        cosine = float(cosines(*codes).mean())
    return TileResult(
        one.name,
        magnification,
        len(data),
        ssim(tile, decoded),
        ms_ssim(tile, decoded),
        psnr(tile, decoded),
        1000 * (middle - begin),
        1000 * (end - middle),
        cosine,
    )


def _patches(tile: RgbArray, encoder: Encoder) -> np.ndarray:
    """Cut a tile into an encoder's patches, (n, input size, input size, 3)."""
    side, factor = encoder.spec.patch_size, encoder.spec.patch_size // encoder.spec.input_size
    starts = range(0, SIDE - side + 1, side)
    return np.stack([shrink(tile[y : y + side, x : x + side], factor) for y in starts for x in starts])
