"""Which tiles of a slide hold nothing but glass, and where the glass of others is: one mask for all levels.

::

    tissue mask (4 um/px) --margin--> what is kept --level by level--> empty | paint | keep, of each tile

A tile that is glass all over gets no bytes, which TIFF allows, or those of one white tile that all share. The
first and the last tile of each level are written all the same: OpenSlide takes the box of the tiles that are
there for the part that was scanned, and programs that count from its corner would shift all annotations.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from napari_nic.errors import InvalidParameterError, UnsupportedPixelsError
from napari_nic.geometry import PixelSize, Placement
from napari_nic.jobs import CancellationToken, Progress, checked
from napari_nic.recompression.layout import ORIENTATION, TILE_LENGTH, TILE_WIDTH, Segment
from napari_nic.recompression.source import Page
from napari_nic.slides import Slide, open_slide
from napari_nic.tissue import TissueMask, TissueOptions, iter_find_tissue
from napari_nic.tissue.unet import DEFAULT_UNET

BoolArray = npt.NDArray[np.bool_]

MASK_MPP = 4.0
"""The tissue is looked for at 2.5x."""


@dataclass(frozen=True)
class GlassOptions:
    """What is taken for glass.

    Attributes
    ----------
    margin_um : float
        Glass nearer to tissue than this is kept.
    min_piece_um2 : float
        Smaller pieces of tissue are taken for dust; a few cells together are more. Marker ink and fat are
        kept as tissue is.
    fill : {"empty", "white"}
        What stands for a tile of glass: nothing at all, or one white tile that all places of a level share.
        Programs show the first as they please, some as black, and the second as white. What is no JPEG is
        always left empty.
    mpp : float, optional
        um per pixel of level 0, where the slide does not say.
    method : {"threshold", "unet"}
        How tissue is found, see :class:`~napari_nic.tissue.TissueOptions`.
    network : str
        Name or folder of the network, for ``"unet"``.
    mask : TissueMask or Path, optional
        The tissue as somebody painted or outlined it, or a file of that
        (:func:`~napari_nic.pipeline.read_mask`); none is looked for then, and no piece is too small.
    """

    margin_um: float = 100.0
    min_piece_um2: float = 100.0
    fill: Literal["empty", "white"] = "white"
    mpp: float | None = None
    method: Literal["threshold", "unet"] = "threshold"
    network: str = DEFAULT_UNET
    mask: TissueMask | Path | None = None

    def __post_init__(self) -> None:
        if self.margin_um < 0 or self.min_piece_um2 < 0:
            raise InvalidParameterError(
                "margin and least piece of tissue are no less than 0",
                found=f"{self.margin_um:g} um and {self.min_piece_um2:g} um2",
            )

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON; of a mask its SHA-256, by which a run knows whether it may go on."""
        plain = asdict(replace(self, mask=None))
        if isinstance(self.mask, TissueMask):
            place = json.dumps([self.mask.mask.shape, asdict(self.mask.placement)]).encode()
            plain["mask"] = hashlib.sha256(place + np.packbits(self.mask.mask).tobytes()).hexdigest()
        elif self.mask is not None:
            plain["mask"] = _sha256_of(self.mask)
        return plain


def _sha256_of(path: Path) -> str:
    """Return that of a file, or the path of a folder, in which each slide has a mask of its own."""
    if not path.is_file():
        return str(path)
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class Verdict(Enum):
    """What becomes of a tile."""

    KEEP = "keep"
    PAINT = "paint"
    EMPTY = "empty"


@dataclass(frozen=True)
class Frame:
    """A level of the pyramid, and how it is cut.

    Attributes
    ----------
    shape, tile : (int, int)
        (rows, cols) of the level and of a tile.
    scale_um : (float, float)
        (y, x) micrometres of its pixels.
    """

    shape: tuple[int, int]
    tile: tuple[int, int]
    scale_um: tuple[float, float]

    @property
    def n_cols(self) -> int:
        """Tiles in a row."""
        return -(-self.shape[1] // self.tile[1])

    def corner(self, index: int) -> tuple[int, int]:
        """(row, col) of a tile's first pixel."""
        row, col = divmod(index, self.n_cols)
        return row * self.tile[0], col * self.tile[1]


@dataclass(frozen=True)
class KeptArea:
    """What of the slide is kept: tissue and the margin around it.

    Attributes
    ----------
    mask : ndarray of bool, (rows, cols)
    placement : Placement
    """

    mask: BoolArray
    placement: Placement

    @classmethod
    def around(cls, tissue: TissueMask, margin_um: float) -> KeptArea:
        """Grow a mask by a margin, and by one of its elements, which is how exact its edge is."""
        radii = [int(np.ceil(margin_um / step)) + 1 for step in tissue.placement.step_um]
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radii[1] + 1, 2 * radii[0] + 1))
        grown = cv2.dilate(np.ascontiguousarray(tissue.mask).view(np.uint8), kernel)
        return cls(grown.astype(bool), tissue.placement)

    def of_tile(self, frame: Frame, index: int) -> BoolArray:
        """Return which pixels of a tile are kept; a pixel is if any part of it is.

        Returns
        -------
        ndarray of bool, (tile rows, tile cols)
            False beyond the edge of the level too.
        """
        rows, cols = (self._spans(frame, index, axis) for axis in (0, 1))
        part = self.mask[rows[0, 0] : rows[-1, 1], cols[0, 0] : cols[-1, 1]]
        kept = np.zeros(frame.tile, bool)
        if part.any():
            found = _any_within(_any_within(part, rows - rows[0, 0], 0), cols - cols[0, 0], 1)
            kept[: len(rows), : len(cols)] = found
        return kept

    def _spans(self, frame: Frame, index: int, axis: int) -> npt.NDArray[np.int64]:
        """First and last + 1 element of the mask below each pixel of a tile along an axis, (n, 2)."""
        first = frame.corner(index)[axis]
        edges = np.arange(first, min(first + frame.tile[axis], frame.shape[axis]) + 1)
        at = (edges * frame.scale_um[axis] - self.placement.origin_um[axis]) / self.placement.step_um[axis]
        starts, ends = np.floor(at[:-1]), np.ceil(at[1:])
        size = self.mask.shape[axis]
        starts = np.clip(starts, 0, size - 1).astype(np.int64)
        return np.stack([starts, np.clip(ends.astype(np.int64), starts + 1, size)], axis=1)


def _any_within(values: BoolArray, spans: npt.NDArray[np.int64], axis: int) -> BoolArray:
    """Whether anything is True in each span, which may lie over each other, along an axis."""
    counts = np.cumsum(values, axis=axis, dtype=np.int32)
    counts = np.insert(counts, 0, 0, axis=axis)
    return np.asarray(np.take(counts, spans[:, 1], axis) > np.take(counts, spans[:, 0], axis))


@dataclass
class GlassPlan:
    """What becomes of the tiles of all levels.

    Attributes
    ----------
    kept : KeptArea
    frames : dict of int to Frame
        Of the pages that are levels.
    method : str
        How the tissue was found.
    fill : {"empty", "white"}
        See :class:`GlassOptions`.
    """

    kept: KeptArea
    frames: dict[int, Frame]
    method: str
    fill: Literal["empty", "white"]
    _verdicts: dict[tuple[int, Segment], tuple[Verdict, int]] = field(default_factory=dict)

    def verdict(self, page: Page, segment: Segment | None) -> Verdict:
        """Return what becomes of the tile that lies there."""
        if segment is None:
            return Verdict.KEEP
        return self._verdicts.get((page.number, segment), (Verdict.KEEP, 0))[0]

    def kept_of(self, page: Page, segment: Segment) -> BoolArray:
        """Return which pixels of a tile are kept, (tile rows, tile cols)."""
        return self.kept.of_tile(self.frames[page.number], self._verdicts[page.number, segment][1])

    def counts(self, page: Page) -> Counter[Verdict]:
        """Number of tiles of each verdict; tiles that lie at one place count once."""
        return Counter(self.verdict(page, segment) for segment in set(page.segments) if segment.length)

    def decide(self, page: Page, token: CancellationToken | None = None) -> None:
        """Decide on all tiles of a page that is a level."""
        frame = self.frames[page.number]
        users: Mapping[Segment, list[int]] = defaultdict(list)
        for index, segment in enumerate(page.segments):
            if segment.length:
                users[segment].append(index)
        ends = {0, len(page.segments) - 1}
        for segment, indices in checked(users.items(), token):
            found = [self.kept.of_tile(frame, index) for index in indices]
            self._verdicts[page.number, segment] = self._of_tile(page, found, indices, ends)

    def _of_tile(
        self, page: Page, kept: list[BoolArray], indices: list[int], ends: set[int]
    ) -> tuple[Verdict, int]:
        is_whole = all(pixels.all() for pixels in kept)
        is_glass = not any(pixels.any() for pixels in kept)
        if is_glass and not ends & set(indices):
            return Verdict.EMPTY, indices[0]
        can_paint = not page.not_jpeg and (len(indices) == 1 or is_glass)
        return (Verdict.PAINT if can_paint and not is_whole else Verdict.KEEP), indices[0]


def plan_glass(
    path: Path,
    pages: Sequence[Page],
    options: GlassOptions,
    *,
    workers: int = 1,
    token: CancellationToken | None = None,
) -> Generator[Progress, None, GlassPlan]:
    """Find the tissue of a slide and decide on the tiles of all its levels.

    Parameters
    ----------
    path : Path
    pages : sequence of Page
        All pages of the file.
    options : GlassOptions
    workers : int
        Threads that decode.
    token : CancellationToken, optional

    Raises
    ------
    MissingPixelSizeError
        If the slide does not say its pixel size and `options` neither.
    UnsupportedPixelsError
        If its glass is not bright, or none of its levels is cut into tiles.
    InvalidParameterError
        If there is no tissue on it: nothing would be left.
    """
    with open_slide(path) as opened:
        slide = opened if options.mpp is None else opened.with_pixel_size(options.mpp)
        kept, method = yield from iter_kept_area(slide, options, workers=workers, token=token)
        frames = _frames(slide, pages, slide.require_pixel_size())
    plan = GlassPlan(kept, frames, method, options.fill)
    for done, page in enumerate(page for page in pages if page.number in frames):
        yield Progress(done, len(frames), "looking for tiles of glass", "levels")
        plan.decide(page, token)
    return plan


def iter_kept_area(
    slide: Slide, options: GlassOptions, *, workers: int = 1, token: CancellationToken | None = None
) -> Generator[Progress, None, tuple[KeptArea, str]]:
    """Find what of a slide is kept, and how the tissue was found.

    Raises
    ------
    MissingPixelSizeError
        If nobody knows the slide's pixel size.
    UnsupportedPixelsError
        If its glass is not bright.
    InvalidParameterError
        If there is no tissue on it: nothing would be left.
    """
    slide.require_pixel_size()
    if options.mask is None:
        look = TissueOptions(
            mpp=MASK_MPP,
            min_area_um2=options.min_piece_um2,
            drop_pen=False,
            method=options.method,
            network=options.network,
        )
        tissue = yield from iter_find_tissue(slide, options=look, workers=workers, token=token)
    else:
        tissue = _given(slide, options.mask, token)
    _check_tissue(slide, tissue)
    return KeptArea.around(tissue, options.margin_um), tissue.method


def _given(slide: Slide, mask: TissueMask | Path, token: CancellationToken | None) -> TissueMask:
    if isinstance(mask, TissueMask):
        return mask
    from napari_nic.pipeline import read_mask  # not above: it loads arrays and stores

    return read_mask(slide, mask, token=token)


def _check_tissue(slide: Slide, tissue: TissueMask) -> None:
    if slide.is_fluorescence or tissue.method.startswith("brightness"):
        raise UnsupportedPixelsError(
            "what lies around the tissue is dark: this is no glass that could be painted white",
            path=slide.path,
            expected="a bright-field slide",
        )
    if not tissue.mask.any():
        raise InvalidParameterError(
            "no tissue was found on the slide: nothing would be left of it", path=slide.path
        )


def _frames(slide: Slide, pages: Sequence[Page], pixel: PixelSize) -> dict[int, Frame]:
    """Find the pages that are the slide's levels: tiled, of the level's very size, not turned."""
    free = {page.number: page for page in pages if page.is_tiled and page.is_contiguous and _is_upright(page)}
    height, width = slide.levels[0].shape
    frames = {}
    for level in slide.levels:
        found = next((page for page in free.values() if page.shape == tuple(level.shape)), None)
        if found is None:
            continue
        del free[found.number]
        scale = pixel.y * height / level.shape[0], pixel.x * width / level.shape[1]
        tile = found.value(TILE_LENGTH, 0), found.value(TILE_WIDTH, 0)
        frame = Frame((level.shape[0], level.shape[1]), tile, scale)
        if -(-frame.shape[0] // tile[0]) * frame.n_cols == len(found.segments):
            frames[found.number] = frame
    if not frames:
        raise UnsupportedPixelsError(
            "none of the slide's levels is stored in tiles that could be left out", path=slide.path
        )
    return frames


def _is_upright(page: Page) -> bool:
    return page.value(ORIENTATION, 1) == 1
