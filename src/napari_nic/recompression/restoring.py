"""Bring an original back from a file that was made of it, byte for byte; check such a file as a whole."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import imagecodecs

from napari_nic.disk import replacing
from napari_nic.errors import DamagedSlideError, NicError, UnreadableSlideError
from napari_nic.jobs import CancellationToken, Progress, checked
from napari_nic.recompression.codecs import unpacked
from napari_nic.recompression.layout import Segment, read_layout
from napari_nic.recompression.recipe import Recipe, recipe_of
from napari_nic.recompression.source import Page, TiffSource, pages_of
from napari_nic.recompression.workers import in_order, threads_for

CHUNK = 2**23
_DECODE_ERRORS = (RuntimeError, ValueError, TypeError, IndexError, MemoryError, EOFError)
_HINT = "the file is damaged: copy it again from where it came"


@dataclass(frozen=True)
class CheckReport:
    """What was found of a file that the program wrote.

    Attributes
    ----------
    path : Path
    mode : str
    tiles : int
        That were decoded.
    name : str
        Of the original file.
    size : int
        Of the original, bytes.
    sha256 : str
        Of the original.
    can_restore : bool
        Whether the original was made again, and was the same.
    is_deidentified : bool
        Whether what is called the original here is a slide without the names that it once had.
    """

    path: Path
    mode: str
    tiles: int
    name: str
    size: int
    sha256: str
    can_restore: bool
    is_deidentified: bool = False


def restore(
    file: Path, out: Path, *, workers: int | None = None, token: CancellationToken | None = None
) -> Generator[Progress, None, CheckReport]:
    """Make the original again of a file that was repacked.

    Parameters
    ----------
    file : Path
    out : Path
        What is there is replaced; the file itself too, once the original is whole.
    workers : int, optional
        Threads; by default one per core that this process may use.
    token : CancellationToken, optional

    Yields
    ------
    Progress

    Returns
    -------
    CheckReport

    Raises
    ------
    UnreadableSlideError
        If the file was not written by ``repack``.
    DamagedSlideError
        If the result is not the original, by its SHA-256; nothing is written then.
    StoreError
        If it cannot be written.
    CancelledError
        If `token` was cancelled; nothing is left then.
    """
    with TiffSource(file) as source:
        recipe = _recipe(source)
        if not recipe.can_restore:
            raise UnreadableSlideError(
                "the original cannot be had back from this file",
                path=file,
                expected="a file made by the mode repack",
                found=f"one made by the mode {recipe.mode}: the pixels are the original's, the bytes are not",
            )
        with replacing(out) as temporary:
            with temporary.open("wb") as stream:
                yield from _restore_to(source, recipe, stream.write, workers, token)
            source.check_unchanged()
        return _report(source, recipe)


def validate(
    file: Path, *, workers: int | None = None, token: CancellationToken | None = None
) -> Generator[Progress, None, CheckReport]:
    """Check a file that :func:`~napari_nic.recompression.recompress` wrote, whenever that was.

    All tiles are decoded. Of a repacked file the original is made again, without being written, and its
    SHA-256 compared.

    Raises
    ------
    UnreadableSlideError
        If the file was not written by this program.
    DamagedSlideError
        If anything of it is damaged; the text says what.
    """
    yield from check_whole(file, deep=True, workers=workers, token=token)
    with TiffSource(file) as source:
        return _report(source, _recipe(source))


def check_whole(
    file: Path, *, deep: bool, workers: int | None = None, token: CancellationToken | None = None
) -> Iterator[Progress]:
    """Read a written file again and compare it with what it says of itself.

    Parameters
    ----------
    file : Path
    deep : bool
        Decode all tiles too, and make the original again where that can be done.

    Raises
    ------
    DamagedSlideError
        If it is not what was written.
    """
    with TiffSource(file) as source:
        recipe = _recipe(source)
        yield from _check_data(source, recipe, token)
        if recipe.can_restore:
            _parts(source, recipe)  # each byte of the original has its place
        if deep and recipe.can_restore:
            yield from _restore_to(source, recipe, lambda _: None, workers, token)
        elif deep:
            yield from _decode_all(source, workers, token)


def _recipe(source: TiffSource) -> Recipe:
    recipe = recipe_of(source.layout, source.path)
    if recipe is None:
        raise UnreadableSlideError(
            "not a file that napari-nic recompress wrote",
            path=source.path,
            hint="it was not repacked, or another program has written it since",
        )
    return recipe


def _check_data(source: TiffSource, recipe: Recipe, token: CancellationToken | None) -> Iterator[Progress]:
    """Compare the checksum of all tiles."""
    data = recipe.data
    if data.end > source.size or any(
        s.length and (s.offset < data.offset or s.end > data.end)
        for page in source.pages
        for s in page.segments
    ):
        raise _damaged(source.path, "tiles lie elsewhere than they were written")
    digest = hashlib.sha256()
    for at in checked(range(data.offset, data.end, CHUNK), token):
        digest.update(source.read(at, min(CHUNK, data.end - at)))
        yield Progress(at - data.offset, data.length, "reading it again", "bytes")
    if digest.hexdigest() != recipe.data_sha256:
        raise _damaged(source.path, "the bytes of the tiles have another checksum")


def _decode_all(
    source: TiffSource, workers: int | None, token: CancellationToken | None
) -> Iterator[Progress]:
    """Decode every JPEG tile."""
    tiles = [(page, s) for page in source.pages if not page.not_jpeg for s in page.segments if s.length]

    def decode(item: tuple[Page, bytes]) -> None:
        page, data = item
        try:
            imagecodecs.jpeg8_decode(data, tables=page.tables or None)
        except _DECODE_ERRORS as error:
            raise _damaged(source.path, f"a tile of page {page.number} cannot be decoded: {error}") from error

    read = ((page, source.read(s.offset, s.length)) for page, s in tiles)
    for done, _ in enumerate(in_order(decode, read, workers=threads_for(workers), token=token)):
        yield Progress(done + 1, len(tiles), "decoding tiles", "tiles")


@dataclass(frozen=True)
class _Stored:
    """A gap or tile of the original, and where its bytes are now."""

    before: Segment
    now: Segment | None = None
    bits: int = 0
    tables: bytes = b""


def _restore_to(
    source: TiffSource,
    recipe: Recipe,
    write: Callable[[bytes], object],
    workers: int | None,
    token: CancellationToken | None,
) -> Iterator[Progress]:
    """Give the original's bytes to `write`, in order, and compare its checksum at the end."""
    parts = _parts(source, recipe)
    tiles = sum(part.now is not None for part in parts)
    digest, position, done = hashlib.sha256(), 0, 0

    def unpack(item: tuple[_Stored, bytes]) -> tuple[_Stored, bytes]:
        part, data = item
        try:
            return part, unpacked(data, part.bits, part.tables)
        except ValueError as error:
            raise _damaged(source.path, f"a tile cannot be unpacked: {error}") from error

    for part, data in in_order(
        unpack, _read_parts(source, recipe, parts), workers=threads_for(workers), token=token
    ):
        if part.now is not None:
            done += 1
            yield Progress(done, tiles, "restoring tiles", "tiles")
        fresh = data[position - part.before.offset :]
        digest.update(fresh)
        write(fresh)
        position += len(fresh)
    if position != recipe.size or digest.hexdigest() != recipe.sha256:
        raise _damaged(source.path, "what is restored is not the original, by its SHA-256")


def _parts(source: TiffSource, recipe: Recipe) -> list[_Stored]:
    """Return gaps and tiles of the original by their place, without gaps between them."""
    pages = _original_pages(source, recipe)
    if [len(page.segments) for page in pages] != [len(page.segments) for page in source.pages]:
        raise _damaged(source.path, "it has other pages or tiles than its original")
    bits = iter(recipe.bits)
    found: dict[Segment, _Stored] = {}
    for old, new in zip(pages, source.pages, strict=True):
        for before, now in zip(old.segments, new.segments, strict=True):
            stored = _Stored(before, now, next(bits, 0), old.tables)
            if before.length:
                found.setdefault(before, stored)
    parts = sorted(
        [*found.values(), *(_Stored(gap) for gap in recipe.gaps)], key=lambda part: part.before.offset
    )
    position = 0
    for part in parts:
        if part.before.offset > position:
            raise _damaged(source.path, f"nothing is kept of the original's byte {position}")
        position = max(position, part.before.end)
    return list(_without_covered(parts))


def _without_covered(parts: list[_Stored]) -> Iterator[_Stored]:
    """Leave out parts that lie within those before them."""
    position = 0
    for part in parts:
        if part.before.end > position:
            yield part
            position = part.before.end


def _original_pages(source: TiffSource, recipe: Recipe) -> tuple[Page, ...]:
    try:
        layout = read_layout(recipe.read, recipe.size, source.path)
        return pages_of(layout, recipe.size, source.path)
    except NicError as error:
        raise _damaged(source.path, f"the original's directories: {error.problem}") from error


def _read_parts(source: TiffSource, recipe: Recipe, parts: list[_Stored]) -> Iterator[tuple[_Stored, bytes]]:
    """Yield each part with its bytes as they are stored; long ones that are copied come in pieces."""
    for part in parts:
        if part.now is None:
            yield part, recipe.read(part.before.offset, part.before.length)
        elif part.bits:
            yield part, source.read(part.now.offset, part.now.length)
        elif part.now.length != part.before.length:
            raise _damaged(source.path, "a tile of another length than its original")
        else:
            for at in range(0, part.now.length, CHUNK):
                size = min(CHUNK, part.now.length - at)
                piece = Segment(part.before.offset + at, size)
                yield (
                    _Stored(piece, Segment(part.now.offset + at, size)),
                    source.read(part.now.offset + at, size),
                )


def _report(source: TiffSource, recipe: Recipe) -> CheckReport:
    tiles = sum(1 for page in source.pages for segment in page.segments if segment.length)
    return CheckReport(
        source.path,
        recipe.mode,
        tiles,
        recipe.name,
        recipe.size,
        recipe.sha256,
        recipe.can_restore,
        recipe.is_deidentified,
    )


def _damaged(path: Path, found: str) -> DamagedSlideError:
    return DamagedSlideError("the file is not as it was written", path=path, found=found, hint=_HINT)
