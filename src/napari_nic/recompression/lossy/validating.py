"""Check a result at any later time: bytes by their checksum, tiles by decoding them, against its slide."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_nic.errors import DamagedSlideError, NicError, StoreMismatchError, UnreadableSlideError
from napari_nic.jobs import CancellationToken, Progress, checked
from napari_nic.recompression.lossy.picture import SourcePicture
from napari_nic.recompression.lossy.records import Record, record_of, record_of_tag
from napari_nic.recompression.recipe import TAG
from napari_nic.recompression.source import TiffSource
from napari_nic.recompression.workers import in_order, threads_for
from napari_nic.slides import RgbArray, Slide, is_zarr_picture, open_slide
from napari_nic.slides.readers.omezarr_beside import read_ours

CHUNK = 2**23
_WHITE_FROM = 253
_FAR = 24.0
"""Grey levels by which a tile may differ on average from the slide's: more is another picture."""


@dataclass(frozen=True)
class LossyCheck:
    """What was found of a result.

    Attributes
    ----------
    path : Path
    record : Record
    tiles : int
        That were decoded.
    against : str
        Name of the slide that it was compared with; empty if it was not.
    mean_error, worst_error : float
        Mean over all tiles, and largest of a tile, of the mean difference in grey levels to the slide; 0
        if it was not compared.
    """

    path: Path
    record: Record
    tiles: int
    against: str = ""
    mean_error: float = 0.0
    worst_error: float = 0.0


def record_in(path: Path) -> Record | None:
    """Return how a result was made; None if another program wrote it, or a mode without loss.

    Raises
    ------
    DamagedSlideError
        If what it says is damaged.
    """
    if path.is_dir():
        ours = read_ours(path) if is_zarr_picture(path) else None
        return None if ours is None or "record" not in ours else record_of(ours["record"], path)
    with TiffSource(path) as source:
        return record_of_tag(source.pages[0].directory.tag(TAG), path) if source.pages else None


def validate_lossy(
    path: Path,
    against: Path | None = None,
    *,
    workers: int | None = None,
    token: CancellationToken | None = None,
) -> Generator[Progress, None, LossyCheck]:
    """Check a file or folder that :func:`~napari_nic.recompression.lossy.recompress_lossy` wrote.

    Parameters
    ----------
    path : Path
    against : Path, optional
        The slide that it was made of: each tile is compared with what the slide shows there.
    workers : int, optional
        Threads; by default one per core.
    token : CancellationToken, optional

    Raises
    ------
    UnreadableSlideError
        If it was not written by this program.
    DamagedSlideError
        If anything of it is damaged.
    StoreMismatchError
        If it was made of another slide than `against`, or shows something else.
    """
    record = record_in(path)
    if record is None:
        raise UnreadableSlideError(
            "not a file that napari-nic recompress --mode lossy wrote",
            path=path,
            hint="another program has written it, or a mode without loss",
        )
    yield from _check_bytes(path, record, token)
    try:
        with open_slide(path, color="raw") as result:
            if against is None:
                return (yield from _decoded(result, record, None, workers, token))
            source = SourcePicture(against, tile=result.levels[0].tile)
            try:
                return (yield from _decoded(result, record, source, workers, token))
            finally:
                source.close()
    except DamagedSlideError:
        raise
    except UnreadableSlideError as error:
        raise _damaged(path, error.problem) from error


def _decoded(
    result: Slide,
    record: Record,
    source: SourcePicture | None,
    workers: int | None,
    token: CancellationToken | None,
) -> Generator[Progress, None, LossyCheck]:
    """Decode all tiles, and compare them with those of the slide."""
    if source is not None:
        _check_same_slide(result, record, source)
    places = [
        (number, row, col)
        for number, level in enumerate(result.levels)
        for row, col in np.ndindex(*level.tile_grid)
    ]

    def error_of(place: tuple[int, int, int]) -> float | None:
        pixels = result.read_stored_tile(*place)
        meant = None if source is None else source.read(*place)
        if pixels is None or meant is None:
            return None
        return _error(pixels, meant)

    errors: list[float] = []
    for done, error in enumerate(in_order(error_of, places, workers=threads_for(workers), token=token)):
        errors += [] if error is None else [error]
        yield Progress(done + 1, len(places), "decoding tiles", "tiles")
    if errors and max(errors) > _FAR:
        raise StoreMismatchError(
            "a tile shows something else than the slide does there",
            path=result.path,
            found=f"{max(errors):.0f} grey levels on average",
        )
    name = "" if source is None else source.slide.path.name
    mean, worst = (float(np.mean(errors)), max(errors)) if errors else (0.0, 0.0)
    return LossyCheck(result.path, record, len(places), name, mean, worst)


def _error(pixels: RgbArray, meant: RgbArray) -> float | None:
    """Return the mean difference; white is left out: removed glass differs from the slide's on purpose."""
    shown = (pixels < _WHITE_FROM).any(axis=2)
    return float(np.abs(pixels[shown].astype(np.int16) - meant[shown]).mean()) if shown.any() else None


def _check_same_slide(result: Slide, record: Record, source: SourcePicture) -> None:
    found = [level.shape for level in result.levels]
    meant = [level.shape for level in source.levels]
    if record.fingerprint != source.slide.fingerprint or found != meant:
        raise StoreMismatchError(
            "it was made of another slide",
            path=result.path,
            expected=record.source or record.fingerprint,
            found=str(source.slide.path),
        )


def _check_bytes(path: Path, record: Record, token: CancellationToken | None) -> Iterator[Progress]:
    """Compare the checksum of all tiles."""
    digest, done = hashlib.sha256(), 0
    for data, total in _stored(path, record, token):
        digest.update(data)
        done += len(data)
        yield Progress(done, total, "reading it again", "bytes")
    if digest.hexdigest() != record.sha256:
        raise _damaged(path, "the bytes of the tiles have another checksum")


def _stored(path: Path, record: Record, token: CancellationToken | None) -> Iterator[tuple[bytes, int]]:
    """Yield the bytes of all tiles in their order, and how many there are."""
    if path.is_dir():
        files = list(_chunks(path))
        total = sum(file.stat().st_size for file in files)
        for file in checked(files, token):
            yield file.read_bytes(), total
        return
    with path.open("rb") as stream:
        stream.seek(record.start)
        for at in checked(range(record.start, record.end, CHUNK), token):
            data = stream.read(min(CHUNK, record.end - at))
            if not data:
                raise _damaged(path, f"it ends at byte {at}")
            yield data, record.end - record.start


def _chunks(path: Path) -> Iterator[Path]:
    """Yield the chunks of all levels, in the order of their places."""
    levels = sorted((folder for folder in path.iterdir() if folder.name.isdigit()), key=lambda f: int(f.name))
    for level in levels:
        found = (file for file in (level / "c" / "0").glob("*/*") if file.is_file())
        try:
            yield from sorted(found, key=lambda file: (int(file.parent.name), int(file.name)))
        except ValueError as error:
            raise _damaged(path, f"a chunk of another name: {error}") from error


def _damaged(path: Path, found: str) -> NicError:
    return DamagedSlideError(
        "the file is not as it was written",
        path=path,
        found=found,
        hint="the file is damaged: copy it again from where it came",
    )
