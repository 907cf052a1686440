"""The open slide: levels, pixels, pixel size, colours, and nothing of how the file holds them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from napari_nic.errors import (
    DamagedSlideError,
    MissingPixelSizeError,
    NicError,
    OutOfBoundsError,
    RemoteError,
)
from napari_nic.geometry import MPP_MAX, MPP_MIN, LevelGeometry, PixelSize, RegionPx
from napari_nic.names import slide_stem
from napari_nic.slides.cache import TileCache
from napari_nic.slides.coarse import CoarserLevels, halving_counts
from napari_nic.slides.color import is_srgb, plan_color
from napari_nic.slides.compose import blank, compose, compose_stored
from napari_nic.slides.counter import ReadCounter
from napari_nic.slides.fingerprint import fingerprint_choice
from napari_nic.slides.gate import Gate
from napari_nic.slides.hatching import hatched
from napari_nic.slides.looking import looking
from napari_nic.slides.model import Channel, ColorInfo, Level, Rgb, RgbArray, SlideSource
from napari_nic.slides.pixel_size import (
    choose_pixel_size,
    contradictions,
    passed_over,
    stated_by_user,
    unbelieved,
)
from napari_nic.slides.watch import FileWatch

if TYPE_CHECKING:
    import dask.array


class Slide:
    """A whole-slide image, read lazily; safe to use from several threads.

    Made by :func:`~napari_nic.slides.open_slide`. A context manager; :meth:`close` waits for reads that
    are under way.

    Frame: level-0 pixels, (y, x), corner-based. The frame is always the whole of level 0; OpenSlide's
    `bounds` are for information and move nothing.

    Attributes
    ----------
    path : Path
        The file or folder.
    name : str
        Its name without the suffix.
    reader : str
        Name of the reader in :data:`~napari_nic.slides.READERS`.
    vendor : str
        Who made the file.
    levels : tuple of Level
        The file's own pyramid, finest first; computed levels are not among them.
    pixel_size : PixelSize or None
        Size of a level-0 pixel and its source; None where the file says nothing sensible.
    pixel_size_note : str
        What the file claims that was passed over as absurd, or that it claims nothing; for messages.
    background : (int, int, int)
        RGB of missing tiles, of what transparent pixels lie on, and of everything outside a level. White
        unless the file names a colour.
    color : ColorInfo
        The embedded colour profile, and whether it was applied.
    properties : mapping of str to str
        The file's metadata.
    bounds : RegionPx or None
        Level-0 rectangle of the scanned area where the file names one.
    associated_images : tuple of str
        Names for :meth:`read_associated`.
    notices : tuple of str
        Sentences on what the file contradicts itself in, what of it is not shown, or what had to be taken
        for granted; to be told whenever the slide opens.
    channels : tuple of Channel
        All channels of a file of separate channels, also those that are not shown; else empty.
    choice : mapping of str to JSON values
        What is shown of a file that holds more than one picture; see
        :class:`~napari_nic.slides.model.SourceInfo`. Part of the fingerprint.
    is_fluorescence : bool
        Whether the picture is light on black; :attr:`background` is black then.
    is_for_looking : bool
        Whether tiles are decoded as quickly as they can be; see :meth:`with_hatching`.
    reads : ReadCounter
        Counts decoded tiles by level.
    """

    def __init__(
        self, path: Path, reader: str, source: SlideSource, *, to_srgb: bool = True, mpp: float | None = None
    ) -> None:
        info = source.info
        self.path = path
        self.name = slide_stem(path)
        self.reader = reader
        self.vendor = info.vendor
        self.levels: tuple[Level, ...] = info.levels
        self.background: Rgb = info.background
        self.properties: Mapping[str, str] = info.properties
        self.bounds: RegionPx | None = info.bounds
        self.associated_images: tuple[str, ...] = info.associated
        self.notices: tuple[str, ...] = info.notices
        self.channels: tuple[Channel, ...] = info.channels
        self.choice: Mapping[str, Any] = info.choice
        self.is_fluorescence = info.is_fluorescence
        self.reads = ReadCounter()
        self._source = source
        self._gate = Gate()
        self._tiles = TileCache()
        self.color: ColorInfo
        self.color, self._transform = plan_color(info.icc_profile, to_srgb=to_srgb)
        self._claims = info.pixel_sizes
        self.pixel_size, self.pixel_size_note = choose_pixel_size(self._claims)
        if mpp is not None:
            self.pixel_size = stated_by_user(mpp, self._claims)
        elif self.pixel_size is not None:
            self.notices += contradictions(self.pixel_size, self._claims)
            self.notices += passed_over(self.pixel_size, self.pixel_size_note)
        self._halvings = self._make_halvings()
        self._on_damage: Callable[[NicError], None] | None = None
        self.is_for_looking = False
        self._watch = FileWatch(path, info.fingerprint_files)
        self._fingerprint: str | None = None

    def __repr__(self) -> str:
        height, width = self.levels[0].shape
        return f"<Slide {self.path.name}: {width} x {height} px, {len(self.levels)} levels, {self.reader}>"

    def _repr_html_(self) -> str:
        """Facts and a small picture, for notebooks."""
        from napari_nic.slides.display import slide_card

        return slide_card(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file once running reads have ended; later reads raise InvalidParameterError."""
        if self._gate.close():
            self._source.close()
            self._tiles.clear()
            for halvings in self._halvings:
                halvings.clear()

    @property
    def level_geometries(self) -> tuple[LevelGeometry, ...]:
        """The file's own pyramid as plain geometry, finest first."""
        return self.levels

    @property
    def files(self) -> tuple[Path, ...]:
        """The files whose bytes identify the slide; of a folder of many, some of them."""
        return self._source.info.fingerprint_files

    @property
    def icc_profile(self) -> bytes | None:
        """The embedded colour profile, whether it was applied or not."""
        return self._source.info.icc_profile

    @property
    def fingerprint(self) -> str:
        """``"sha256:..."`` of size, head, middle and tail of the slide's files; the same after a move.

        Where channels, a scene or a plane were chosen the choice is part of it, so that what was made of one
        is never taken for what was made of another.
        """
        if self._fingerprint is None:
            self._fingerprint = fingerprint_choice(self._watch.fingerprint, self.choice)
        return self._fingerprint

    @property
    def unbelieved_mpp(self) -> float | None:
        """What the file says of its um/px and nobody would believe; a user may confirm it by stating it."""
        return None if self.pixel_size is not None else unbelieved(self._claims)

    def check_unchanged(self, *, read: bool = False) -> None:
        """Raise :class:`DamagedSlideError` if the files are no longer the ones that were opened.

        Parameters
        ----------
        read : bool
            Compare the fingerprint too and not only sizes and times; reads a little of every file.
        """
        self._watch.check(read=read)

    def require_pixel_size(self) -> PixelSize:
        """Return the size of a level-0 pixel.

        Raises
        ------
        MissingPixelSizeError
            If the file states none, or an absurd one; the text says which.
        """
        if self.pixel_size is None:
            raise MissingPixelSizeError(
                "the size of a pixel is not known",
                path=self.path,
                expected=f"{MPP_MIN:g} to {MPP_MAX:g} micrometres per pixel in the file's metadata",
                found=self.pixel_size_note,
                hint=self._pixel_size_hint(),
            )
        return self.pixel_size

    def _pixel_size_hint(self) -> str:
        if self.unbelieved_mpp is None:
            return "state it with --mpp, for instance --mpp 0.25 for a 40x scan, --mpp 0.5 for 20x"
        return (
            "state it with --mpp, for instance --mpp 0.25 for a 40x scan; "
            f"if the file is right, confirm it with --mpp {self.unbelieved_mpp:g}"
        )

    def with_pixel_size(self, mpp: float | PixelSize) -> Slide:
        """Return the same open slide with the user's um per level-0 pixel; closing one closes both.

        Raises
        ------
        InvalidParameterError
            If `mpp` is below 0.05 or above 20, and not what the file says.
        """
        twin = copy.copy(self)
        twin.pixel_size = mpp if isinstance(mpp, PixelSize) else stated_by_user(mpp, self._claims)
        return twin

    def with_color(self, color: Literal["srgb", "raw"]) -> Slide:
        """Return the same open slide with its colour profile applied, or with the pixels of the file.

        Closing one closes both.

        Parameters
        ----------
        color : {"srgb", "raw"}
            As of :func:`~napari_nic.slides.open_slide`. Changes nothing where there is no usable profile.
        """
        twin = copy.copy(self)
        twin.color, twin._transform = plan_color(self._source.info.icc_profile, to_srgb=is_srgb(color))
        twin._tiles = TileCache()  # what is kept of pixels is kept in its colours
        twin._halvings = twin._make_halvings()
        return twin

    def with_hatching(self, on_damage: Callable[[NicError], None]) -> Slide:
        """Return the same open slide for looking at: tiles that cannot be read are striped.

        Of :meth:`read_region` and :meth:`pyramid`; :meth:`read_tile` raises as ever. Tiles that a network
        decodes are decoded by its light decoder, where it has one. Closing one closes both.

        Parameters
        ----------
        on_damage : callable
            Called with the error of each such tile, from any thread.
        """
        twin = copy.copy(self)
        twin._on_damage, twin.is_for_looking = on_damage, True
        twin._tiles = TileCache()
        twin._halvings = twin._make_halvings()
        return twin

    def _make_halvings(self) -> tuple[CoarserLevels, ...]:
        return tuple(
            CoarserLevels(level, count, partial(self.read_stored_region, index), self.background)
            for index, (level, count) in enumerate(zip(self.levels, halving_counts(self.levels), strict=True))
        )

    def read_tile(self, level: int, tile_row: int, tile_col: int) -> RgbArray:
        """Decode one native tile, past the cache; meant for those who walk all tiles once.

        Returns
        -------
        ndarray
            (rows, cols, 3) uint8, cropped at the level's edge. A tile that the file leaves out comes in
            the background colour.

        Raises
        ------
        OutOfBoundsError
            If there is no such level or tile.
        DamagedSlideError
            If the tile cannot be decoded.
        """
        pixels = self.read_stored_tile(level, tile_row, tile_col)
        if pixels is None:
            frame = self.levels[level].tile_region(tile_row, tile_col)
            return blank(frame.height, frame.width, self.background)
        return pixels

    def read_stored_tile(self, level: int, tile_row: int, tile_col: int) -> RgbArray | None:
        """Decode one native tile as :meth:`read_tile` does; None where the file leaves it out."""
        rows, cols = self._level(level).tile_grid
        if not (0 <= tile_row < rows and 0 <= tile_col < cols):
            raise OutOfBoundsError(
                f"no tile ({tile_row}, {tile_col}) on level {level}",
                path=self.path,
                expected=f"rows 0 to {rows - 1}, columns 0 to {cols - 1}",
            )
        what = f"tile ({tile_row}, {tile_col}) of level {level}"
        with self._gate.reading(), self._from_disk(what), looking(wanted=self.is_for_looking):
            pixels = self._source.read_tile(level, tile_row, tile_col)
        self.reads.add(level)
        return pixels if pixels is None or self._transform is None else self._transform.apply(pixels)

    def read_region(self, level: int, region: RegionPx) -> RgbArray:
        """Return any rectangle of a level; decoded tiles are kept in a bounded cache.

        Parameters
        ----------
        level : int
            Index into :attr:`levels`.
        region : RegionPx
            Pixels **of that level**; may pass its edges or lie outside.

        Returns
        -------
        ndarray
            (height, width, 3) uint8; what lies outside the level is in the background colour.

        Raises
        ------
        OutOfBoundsError
            If there is no such level.
        DamagedSlideError
            If a tile cannot be decoded.
        """
        geometry = self._level(level)
        return compose(geometry, region, partial(self._cached_tile, level), self.background)

    def read_stored_region(self, level: int, region: RegionPx) -> RgbArray | None:
        """Return the same as :meth:`read_region`, or None where the file holds no tile of it."""
        return compose_stored(self.levels[level], region, partial(self._cached_tile, level), self.background)

    def _cached_tile(self, level: int, row: int, col: int) -> RgbArray | None:
        try:
            return self._tiles.get((level, row, col), lambda: self._tile_to_show(level, row, col))
        except RemoteError as error:
            if self._on_damage is None:
                raise
            self._on_damage(error)
        # Not kept: the next look asks the server again.
        frame = self.levels[level].tile_region(row, col)
        return hatched(frame.height, frame.width)

    def _tile_to_show(self, level: int, row: int, col: int) -> RgbArray | None:
        try:
            return self.read_stored_tile(level, row, col)
        except DamagedSlideError as error:
            if self._on_damage is None:
                raise
            self._on_damage(error)
        frame = self.levels[level].tile_region(row, col)
        return hatched(frame.height, frame.width)

    def _level(self, level: int) -> Level:
        if not 0 <= level < len(self.levels):
            raise OutOfBoundsError(
                f"no level {level}", path=self.path, expected=f"0 to {len(self.levels) - 1}"
            )
        return self.levels[level]

    def read_associated(self, name: str) -> RgbArray:
        """Return an associated image (label, macro, thumbnail), (rows, cols, 3) uint8.

        Raises
        ------
        OutOfBoundsError
            If the slide has none of that name.
        """
        if name not in self.associated_images:
            known = ", ".join(self.associated_images) or "none"
            raise OutOfBoundsError(f"no associated image {name!r}", path=self.path, expected=known)
        with self._gate.reading(), self._from_disk(f"the {name} image"):
            return self._source.read_associated(name)

    @contextmanager
    def _from_disk(self, what: str) -> Iterator[None]:
        """Turn what the disk refuses during a read into an error that names the slide and the part."""
        try:
            yield
        except NicError:
            raise
        except (OSError, MemoryError) as error:
            found = "it needs more memory than there is" if isinstance(error, MemoryError) else str(error)
            raise DamagedSlideError(
                f"{what} cannot be read", path=self.path, found=found, hint="check the disk, or copy it again"
            ) from error

    @property
    def halvings(self) -> tuple[CoarserLevels, ...]:
        """Levels that the file lacks: for each of its own those between it and the next, made on demand."""
        return self._halvings

    @property
    def pyramid_levels(self) -> tuple[Level, ...]:
        """Geometry of the arrays of :meth:`pyramid`: the file's own levels and those made on demand."""
        return tuple(
            level
            for own, halvings in zip(self.levels, self._halvings, strict=True)
            for level in (own, *halvings.levels)
        )

    def pyramid(self) -> list[dask.array.Array]:
        """Return the levels as lazy Dask arrays (rows, cols, 3) uint8, finest first; reads no pixel.

        Where two levels of the file are far apart, halvings of the finer one lie between them, so that the
        steps are near 2; where its coarsest one has a side of more than 1024 px, halvings follow until one
        has not. They are averaged when they are first looked at. Chunks are squares of 256 to 512 px where
        tiles allow it, else of up to 1024 px; always whole multiples of the file's tiles if those are square
        and no larger.
        """
        from napari_nic.slides.pyramid import slide_pyramid  # here, since Dask costs 0.2 s to import

        return slide_pyramid(self)
