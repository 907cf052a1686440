"""Write a slide anew by a lossy codec, into any of the containers.

::

    slide --reader--> tile --glass white--> codec --> decoded again, checked --> container, journal
                        ^________ encoded better if the check demands it _|
    all tiles there --> read again, checksums --> opened by our reader --> renamed to the result

Until the last step all lies in a hidden folder beside the result, with which an interrupted run goes on.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from napari_nic.disk import replacing, replacing_folder, writing_to
from napari_nic.errors import InvalidParameterError, StoreError
from napari_nic.jobs import CancellationToken, Progress, checked
from napari_nic.names import slide_stem
from napari_nic.recompression.glass import iter_kept_area
from napari_nic.recompression.lossy.checking import TileCheck, keep_all
from napari_nic.recompression.lossy.containers import Container, ResultPlan, load_container, suffix_of
from napari_nic.recompression.lossy.deidentifying import deidentified
from napari_nic.recompression.lossy.descriptions import SOFTWARE
from napari_nic.recompression.lossy.encoding import (
    WHITE,
    EncodedTile,
    Place,
    RemovedGlass,
    TileEncoder,
    first_and_last,
    frames_of,
)
from napari_nic.recompression.lossy.journal import Journal, Placed, unfinished
from napari_nic.recompression.lossy.options import LossyOptions
from napari_nic.recompression.lossy.picture import SourcePicture
from napari_nic.recompression.lossy.records import Record
from napari_nic.recompression.lossy.reports import LevelReport, LossyReport
from napari_nic.recompression.lossy.verifying import check_shown
from napari_nic.recompression.workers import in_order, threads_for


def recompress_lossy(
    slide: Path,
    out: Path,
    options: LossyOptions | None = None,
    *,
    check: TileCheck = keep_all,
    workers: int | None = None,
    token: CancellationToken | None = None,
) -> Generator[Progress, None, LossyReport]:
    """Write a slide anew by a lossy codec.

    Parameters
    ----------
    slide : Path
        Any bright-field slide that :func:`~napari_nic.slides.open_slide` opens.
    out : Path
        The file or folder to write; what is there is replaced. If it is the slide itself, the original gives
        way once all of the result was read again, and only to one that is smaller.
    options : LossyOptions, optional
    check : callable
        Judges each tile; see :class:`~napari_nic.recompression.lossy.TileCheck`. Those that do not pass are
        encoded with a better quality, until they do.
    workers : int, optional
        Threads; by default one per core that this process may use.
    token : CancellationToken, optional

    Yields
    ------
    Progress

    Returns
    -------
    LossyReport

    Raises
    ------
    UnreadableSlideError, UnsupportedPixelsError
        If the slide cannot be opened, or is no bright-field picture.
    InvalidParameterError
        If the options contradict each other, or the result's name does not fit its container.
    StoreError
        If the result cannot be written, or is something else once it is read again, or a tile cannot be made
        as good as `check` demands.
    DamagedSlideError
        If a tile of the slide is damaged, or the slide changed meanwhile.
    CancelledError
        If `token` was cancelled. What was finished is kept beside `out`, and the same call goes on with it.
    """
    options = options or LossyOptions()
    container = load_container(options.container)
    suffix_of(out.name, container)
    out = out.resolve() if out.is_symlink() else out
    with closing(SourcePicture(slide, mpp=options.mpp, tile=options.tile)) as picture:
        is_replaced = _is_replaced(picture, out)
        run = yield from prepare_run(picture, options, check, threads_for(workers), token)
        facts = {
            "program": SOFTWARE,
            "options": options.to_dict(),
            "fingerprint": picture.slide.fingerprint,
            "tile": picture.levels[0].tile,
            "network": "" if run.plan.codec.network is None else run.plan.codec.network.id,
        }
        with writing_to(out), unfinished(out, facts) as journal:
            made = journal.folder / out.name
            with closing(container(made, run.plan)) as target:
                yield from run.write(target, journal)
                picture.slide.check_unchanged()
                yield from run.finish(target, out)
            yield from check_shown(made, out, run.plan, run.tiles(), is_deep=is_replaced, token=token)
            picture.slide.check_unchanged()
            report = run.report(slide, out, _size_of(made))
            if is_replaced and report.after >= report.before:
                return run.report(slide, out, report.before, kept="the result would not be smaller")
            _move(made, out)
        return report


@dataclass
class LossyRun:
    """One run: what was placed where."""

    picture: SourcePicture
    options: LossyOptions
    plan: ResultPlan
    encoder: TileEncoder
    glass: RemovedGlass | None
    workers: int
    token: CancellationToken | None
    placed: dict[tuple[int, int], Placed] = field(default_factory=dict)
    shared: dict[tuple[int, tuple[int, int, int]], Placed] = field(default_factory=dict)
    resumed: int = 0

    def places(self) -> Iterator[Place]:
        """Yield all places of tiles that are not finished."""
        for number, level in enumerate(self.picture.levels):
            rows, cols = level.tile_grid
            for index in range(rows * cols):
                if (number, index) not in self.placed:
                    yield Place(number, *divmod(index, cols), index)

    def write(self, target: Container, journal: Journal) -> Iterator[Progress]:
        """Encode what an earlier run has not finished."""
        kept = target.begin(journal.found)
        self.placed = {(one.level, one.index): one for one in kept}
        self.resumed = len(kept)
        for one in kept:
            if one.kind in ("glass", "missing") and one.length:
                color = WHITE if one.kind == "glass" else self.picture.slide.background
                self.shared.setdefault((one.level, color), one)
        journal.begin(kept, target.sync)
        total = self.picture.tiles
        encoded = in_order(self.encoder.encode, self.places(), workers=self.workers, token=self.token)
        try:
            for tile in encoded:
                placed = self._put(tile, target)
                self.placed[placed.level, placed.index] = placed
                journal.add(placed)
                yield Progress(len(self.placed), total, "encoding tiles", "tiles")
        finally:
            journal.flush()

    def _put(self, tile: EncodedTile, target: Container) -> Placed:
        """Store a tile, or let one of one colour share what is stored of it."""
        level, index = tile.place.level, tile.place.number
        if tile.kind not in ("glass", "missing"):
            offset, length = target.put(level, index, tile.data)
            crc = zlib.crc32(tile.data)
            return Placed(level, index, offset, length, crc, *_seen(tile))
        if self._is_left_out(tile, target):
            return Placed(level, index, 0, 0, 0, tile.kind)
        known = self.shared.get((level, tile.color))
        if known is None or target.fills_with_white:
            data = self.encoder.even(tile.color, self.picture.levels[level].tile)
            offset, length = target.put(level, index, data)
            known = Placed(level, index, offset, length, zlib.crc32(data), tile.kind)
            self.shared[level, tile.color] = known
        return Placed(level, index, known.offset, known.length, known.crc, tile.kind)

    def _is_left_out(self, tile: EncodedTile, target: Container) -> bool:
        """Whether nothing stands for a tile of one colour; ends of a level always have something."""
        if target.fills_with_white:
            return tile.color == WHITE
        is_empty = self.glass is not None and self.glass.options.fill == "empty" and tile.kind == "glass"
        return is_empty and tile.place.number not in first_and_last(self.picture, tile.place.level)

    def finish(self, target: Container, out: Path) -> Iterator[Progress]:
        """Read all tiles again, compare their checksums, and make the file whole."""
        digest, stored = hashlib.sha256(), {one.offset or key: one for key, one in self.placed.items()}
        tiles = sorted(
            (one for one in stored.values() if one.length), key=lambda one: (one.offset, one.level, one.index)
        )
        for done, one in enumerate(checked(tiles, self.token)):
            data = target.read(one)
            if zlib.crc32(data) != one.crc:
                raise StoreError(
                    "what was written is something else once it is read again; it was not kept",
                    path=out,
                    found=f"tile {one.index} of level {one.level}",
                    hint="check the disk and the memory of this machine; the slide is as it was",
                )
            digest.update(data)
            yield Progress(done + 1, len(tiles), "reading it again", "tiles")
        start, end = target.extent()
        facts, settings = self.plan.facts, self.plan.settings
        target.finish(
            list(self.placed.values()),
            Record(
                codec=self.plan.codec.name,
                subsampling=settings.subsampling,
                container=self.options.container,
                quality=float(settings.quality),
                source=facts.name,
                fingerprint=self.picture.slide.fingerprint,
                size=_source_size(self.picture),
                tiles=len(tiles),
                start=start,
                end=end,
                sha256=digest.hexdigest(),
                program=SOFTWARE,
            ),
        )

    def tiles(self) -> list[Placed]:
        """Return all tiles in the order of their places."""
        return [self.placed[key] for key in sorted(self.placed)]

    def report(self, slide: Path, out: Path, size: int, kept: str = "") -> LossyReport:
        """Return what was done."""
        levels = tuple(
            LevelReport.of(level, (one for one in self.placed.values() if one.level == number))
            for number, level in enumerate(self.picture.levels)
        )
        return LossyReport(
            source=slide,
            out=out,
            before=_source_size(self.picture),
            after=size,
            codec=self.plan.codec.name,
            quality=self.plan.settings.quality,
            subsampling=self.plan.settings.subsampling,
            container=self.options.container,
            levels=levels,
            encode_seconds=self.encoder.encode_seconds,
            decode_seconds=self.encoder.decode_seconds,
            resumed=self.resumed,
            tissue="" if self.glass is None else self.glass.method,
            notes=tuple(_notes(self.picture, self.options, self.plan, out)),
            kept=kept,
        )


def _seen(tile: EncodedTile) -> tuple[str, int, int, str, bool]:
    return tile.kind, tile.shown, tile.attempt, tile.why, tile.passed


def prepare_run(
    picture: SourcePicture,
    options: LossyOptions,
    check: TileCheck,
    workers: int,
    token: CancellationToken | None,
) -> Generator[Progress, None, LossyRun]:
    """Find the glass, and make ready what encodes tiles."""
    codec, settings = options.load_codec()
    facts = picture.facts()
    if options.deidentify:
        facts = deidentified(facts, options.label_text)
    glass = None
    if options.glass is not None:
        kept, method = yield from iter_kept_area(picture.slide, options.glass, workers=workers, token=token)
        glass = RemovedGlass(kept, frames_of(picture), method, options.glass)
    plan = ResultPlan(picture.levels, facts, codec, settings)
    encoder = TileEncoder(picture, codec, settings, check, glass, must_pass=options.must_pass)
    return LossyRun(picture, options, plan, encoder, glass, workers, token)


def _is_replaced(picture: SourcePicture, out: Path) -> bool:
    """Whether the result takes the slide's own place.

    Raises
    ------
    InvalidParameterError
        If it would, and the slide is more than one file.
    """
    if not (out.exists() and out.samefile(picture.slide.path)):
        return False
    if picture.slide.files != (picture.slide.path,) or out.is_dir():
        raise InvalidParameterError(
            "a slide of several files cannot be replaced by one", path=out, hint="give --out"
        )
    return True


def _notes(picture: SourcePicture, options: LossyOptions, plan: ResultPlan, out: Path) -> Iterator[str]:
    """Yield what a user should read."""
    if plan.codec.network is not None:
        size = len(plan.codec.network.to_bytes())
        yield f"{size:,} bytes of it are the network that decodes its tiles; napari-nic alone opens it"
    if options.deidentify and slide_stem(picture.slide.path) in out.name:
        yield "the result is called as the slide is: give it another name if that tells who it is of"
    bounds = picture.slide.bounds
    if bounds is not None:
        yield (
            f"the slide names a scanned part at ({bounds.y}, {bounds.x}): the result has the whole frame, as "
            "all positions here; programs that count from that corner count from the frame's in the result"
        )
    if options.subsampling is None and plan.settings.subsampling != "4:4:4":
        yield f"{options.codec} knows chroma of {plan.settings.subsampling} alone"


def _source_size(picture: SourcePicture) -> int:
    path = picture.slide.path
    return _size_of(path) if path.is_dir() else sum(file.stat().st_size for file in picture.slide.files)


def _size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)


def _move(made: Path, out: Path) -> None:
    """Give a finished result its name; what has the name now gives way in one step."""
    if made.is_dir():
        with replacing_folder(out) as temporary:
            made.rename(temporary)
        return
    if out.is_dir():
        raise StoreError("a folder is in the way", path=out, hint="choose another name")
    with replacing(out) as temporary:
        made.rename(temporary)
