"""Take patches from slides and tiles into one store."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import napari_nic
from napari_nic.errors import (
    AnnotationError,
    DamagedSlideError,
    InvalidParameterError,
    MissingPixelSizeError,
    NicError,
    SlideNotFoundError,
    UnreadableSlideError,
)
from napari_nic.jobs import CancellationToken, Progress
from napari_nic.patches.cuts import DAMAGED, Source
from napari_nic.patches.records import StoreRecord
from napari_nic.patches.slide_patches import (
    SlideOptions,
    check_annotations_apart,
    check_options,
    slide_source,
)
from napari_nic.patches.tile_patches import LEAST_TISSUE, tile_sources
from napari_nic.patches.tiles import TileFolder
from napari_nic.patches.writing import PatchWriter, writing_patches
from napari_nic.telling import LeftOut, tell

PATCH_SIZE, PATCH_MPP = 128, 0.5
"""The patch of Tellez et al. 2019."""

_REASONS_SHOWN = 5

_UNUSABLE = (
    AnnotationError,
    DamagedSlideError,
    InvalidParameterError,
    MissingPixelSizeError,
    SlideNotFoundError,
    UnreadableSlideError,
)
"""What is wrong with one source and does not concern the others; a full disk does."""


@dataclass(frozen=True)
class ExtractRecipe:
    """Which patches to take, and where to store them.

    Attributes
    ----------
    out : Path
        The store, ``NAME.patches.zarr``.
    slides : sequence of Path
    tiles : sequence of TileFolder
        Folders of tiles.
    size : int
        Side of a patch in pixels.
    mpp : float
        Resolution of the patches, um/px.
    seed : int
        Of the choice of patches on slides.
    slide_options : SlideOptions
    tile_tissue : float
        Least share of a tile's patch that is darker than glass, 0 to 1.
    overwrite : bool
        Replace an older store.
    """

    out: Path
    slides: Sequence[Path] = ()
    tiles: Sequence[TileFolder] = ()
    size: int = PATCH_SIZE
    mpp: float = PATCH_MPP
    seed: int = 0
    slide_options: SlideOptions = field(default_factory=SlideOptions)
    tile_tissue: float = LEAST_TISSUE
    overwrite: bool = False


@dataclass(frozen=True)
class ExtractProgress(Progress):
    """One report of an extraction.

    Attributes
    ----------
    patches : int
        Patches taken so far.
    skipped : tuple of (str, str)
        Sources that gave no patch so far, and why.
    """

    patches: int = 0
    skipped: tuple[tuple[str, str], ...] = ()


def extract_patches(
    recipe: ExtractRecipe, *, token: CancellationToken | None = None
) -> Iterator[ExtractProgress]:
    """Take patches from slides and tiles into one store; open it with :meth:`PatchStore.open` at the end.

    Slides and tiles that cannot be used are skipped and named, in the reports and in the store. At most one
    slide's overview, one tile and one shard of patches are in memory. The store appears when it is complete:
    a run that fails, is cancelled or is closed leaves nothing.

    Yields
    ------
    ExtractProgress
        In sources (slides and tiles); a slide gives several reports.

    Raises
    ------
    InvalidParameterError
        If the recipe makes no sense, or no patch at all was found; the text gives the first reasons.
    StoreError
        If the store cannot be written.
    CancelledError
    """
    token = token or CancellationToken()
    sources = _sources(recipe, token)
    skipped: list[tuple[str, str]] = []
    with writing_patches(recipe.out, recipe.size, overwrite=recipe.overwrite) as writer:
        for done, source in enumerate(sources):
            report = ExtractProgress(done, len(sources), source.name, "sources")
            for _ in _take(source, writer, skipped, token):
                yield replace(report, patches=len(writer), skipped=tuple(skipped))
        if not len(writer):
            raise _nothing(recipe, skipped)
        writer.finish(_record(recipe, skipped))
        patches = len(writer)
    yield ExtractProgress(len(sources), len(sources), "stored", "sources", patches, tuple(skipped))


def _sources(recipe: ExtractRecipe, token: CancellationToken) -> list[Source]:
    _check(recipe)
    check_annotations_apart(recipe.slides, recipe.slide_options)
    sources = [
        slide_source(
            path, recipe.size, recipe.mpp, seed=recipe.seed, options=recipe.slide_options, token=token
        )
        for path in recipe.slides
    ]
    for folder in recipe.tiles:
        sources += tile_sources(folder, recipe.size, recipe.mpp, least_tissue=recipe.tile_tissue)
    return sources


def _take(
    source: Source, writer: PatchWriter, skipped: list[tuple[str, str]], token: CancellationToken
) -> Iterator[None]:
    """Write the patches of one source; yield after each piece, at least once."""
    token.checkpoint()
    before = len(writer)
    with ExitStack() as stack:
        try:
            cut = stack.enter_context(source.open())
        except _UNUSABLE as error:
            skipped.append((source.name, _reason(error)))
            tell(LeftOut(source.name, _with_advice(error)))
            yield
            return
        left_out = Counter(cut.origin.left_out)
        for piece in cut.pieces:
            token.checkpoint()
            writer.add(piece)
            left_out.update(piece.left_out)
            yield
    if left_out[DAMAGED]:
        tell(LeftOut(f"{left_out[DAMAGED]:,} patches of {source.name}", "the file is damaged there"))
    if len(writer) > before:
        writer.close_source(replace(cut.origin, left_out=dict(left_out)))
        return
    skipped.append((source.name, f"no patch: {_counts(left_out) or 'no tissue'}"))
    if cut.origin.kind == "slide":  # of tiles some are glass, as some squares of a slide are
        tell(LeftOut(*skipped[-1]))
    yield


def _reason(error: NicError) -> str:
    """Say what is wrong in one line; what each reader found in a file that none can read is too long."""
    found = (error.found or "").strip()
    return error.problem if not found or "\n" in found else f"{error.problem}: {found}"


def _with_advice(error: NicError) -> str:
    # The pixel size of all slides is called otherwise here.
    advice = (error.hint or "").replace("--mpp", "--slide-mpp")
    return f"{_reason(error)}; {advice}" if advice else _reason(error)


def _counts(left_out: Counter[str]) -> str:
    return ", ".join(f"{count:,} {reason}" for reason, count in left_out.items())


def _record(recipe: ExtractRecipe, skipped: list[tuple[str, str]]) -> StoreRecord:
    return StoreRecord(
        size=recipe.size,
        mpp=recipe.mpp,
        skipped=tuple(skipped),
        seed=recipe.seed,
        software=f"napari-nic {napari_nic.__version__}",
    )


def _nothing(recipe: ExtractRecipe, skipped: list[tuple[str, str]]) -> InvalidParameterError:
    reasons = [f"{name}: {why}" for name, why in skipped[:_REASONS_SHOWN]]
    more = len(skipped) - len(reasons)
    return InvalidParameterError(
        "no patch was found",
        expected=f"tissue in squares of {recipe.size} px at {recipe.mpp:g} um/px",
        found="; ".join(reasons + ([f"and {more} more"] if more else [])) or "no slides and no tiles",
    )


def _check(recipe: ExtractRecipe) -> None:
    if recipe.size < 1 or not recipe.mpp > 0 or not 0 <= recipe.tile_tissue <= 1:
        raise InvalidParameterError(
            "size, um/px or share of tissue is out of range",
            found=f"{recipe.size} px, {recipe.mpp:g} um/px, {recipe.tile_tissue:g}",
        )
    check_options(recipe.slide_options)
    for pattern in (recipe.slide_options.group, *(folder.group for folder in recipe.tiles)):
        try:
            re.compile(pattern)
        except re.error as error:
            raise InvalidParameterError(
                "the rule for groups is no regular expression", expected=f"{error}", found=pattern
            ) from error
