"""Write a slide anew with its JPEG tiles packed better, and everything else as it was.

::

    original, in the order of its bytes        threads                 new file
      gap      --------------------------->  (kept in the recipe)      header
      tile     --------------------------->  codec.encode, checked --> tiles, in the original's order
      ...                                                              directories, with the recipe

All bytes of the original pass by once, so that its SHA-256 is that of the bytes which were packed.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from napari_nic.disk import replacing
from napari_nic.errors import DamagedSlideError, InvalidParameterError, StoreError, UnreadableSlideError
from napari_nic.jobs import CancellationToken, Progress
from napari_nic.recompression.codecs import Coded, Optimize, TileCodec, load_codec
from napari_nic.recompression.directories import MAX_CLASSIC, with_segments, write_directories
from napari_nic.recompression.glass import GlassOptions, GlassPlan, Verdict, plan_glass
from napari_nic.recompression.layout import Directory, Layout, Segment, TiffFormat
from napari_nic.recompression.plan import MAX_TILE_BYTES, PagePlan, make_plan, with_painting
from napari_nic.recompression.recipe import MAX_GAPS, TAG, Recipe
from napari_nic.recompression.report import PageReport, SlideReport
from napari_nic.recompression.restoring import check_whole
from napari_nic.recompression.showing import check_shown, shown_of
from napari_nic.recompression.source import Page, TiffSource, gaps_between
from napari_nic.recompression.workers import in_order, threads_for

CHUNK = 2**23
"""Bytes that are copied at once."""

_ROOM = 2**20
"""Bytes that a classic TIFF must leave below its limit for what is added."""


def recompress(
    slide: Path,
    out: Path,
    mode: str = "repack",
    *,
    glass: GlassOptions | None = None,
    workers: int | None = None,
    token: CancellationToken | None = None,
) -> Generator[Progress, None, SlideReport]:
    """Write a slide anew, without any loss but that of its glass, where that is wanted.

    Parameters
    ----------
    slide : Path
        A TIFF of any dialect, such as SVS.
    out : Path
        The file to write; what is there is replaced. If it is the slide itself, the original gives way
        once the result was verified as a whole, and only to one that is smaller.
    mode : {"repack", "optimize", "progressive"}
    glass : GlassOptions, optional
        Leave tiles of glass out, and make the glass of others white; not with the mode "repack". Pixels
        of tissue and of the margin around it stay exactly what they are. By default all glass is kept.
    workers : int, optional
        Threads; by default one per core that this process may use.
    token : CancellationToken, optional

    Yields
    ------
    Progress

    Returns
    -------
    SlideReport

    Raises
    ------
    UnreadableSlideError
        If the slide is no TIFF file, or none that can be written anew, or shown once it is repacked.
    DamagedSlideError
        If it is cut off, or changes meanwhile.
    InvalidParameterError
        If glass is to be removed by a mode that gives the original back, or there is no tissue.
    MissingPixelSizeError, UnsupportedPixelsError
        If glass is to be removed of a slide of unknown pixel size, or whose glass is dark.
    StoreError
        If the result cannot be written, or is not what was written once it is read again.
    CancelledError
        If `token` was cancelled; nothing is left then.
    """
    codec, threads = _codec(mode, glass), threads_for(workers)
    with TiffSource(slide) as source:
        shown = shown_of(slide) if codec.keeps_bytes else None
        plans = yield from make_plan(source, codec, workers=threads, token=token)
        removed = yield from _plan_glass(source, glass, threads, token)
        plans = [plan if removed is None else with_painting(plan, removed) for plan in plans]
        is_replaced = out.exists() and out.samefile(slide)
        writing = _Writing(source, codec, plans, threads, token, removed)
        try:
            with replacing(out) as temporary:
                with temporary.open("wb+") as stream:
                    yield from writing.run(stream, out)
                source.check_unchanged()
                yield from _read_again(temporary, out, deep=is_replaced, workers=threads, token=token)
                check_shown(shown, temporary, out)
                source.check_unchanged()
                report = writing.report(out, temporary.stat().st_size)
                if is_replaced:
                    _check_smaller(report)
        except _NothingToGainError:
            kept = "the result would not be smaller"
            return SlideReport(mode, slide, out, source.size, source.size, (), kept=kept)
        return report


def try_sample(
    slide: Path,
    out: Path,
    mode: str = "repack",
    *,
    glass: GlassOptions | None = None,
    workers: int | None = None,
    token: CancellationToken | None = None,
) -> Generator[Progress, None, SlideReport]:
    """Say what :func:`recompress` would come to, from a sample of tiles; nothing is written.

    Parameters and errors are the same.
    """
    codec, threads = _codec(mode, glass), threads_for(workers)
    with TiffSource(slide) as source:
        plans = yield from make_plan(source, codec, workers=threads, token=token)
        removed = yield from _plan_glass(source, glass, threads, token)
        pages = [plan.estimate(removed) for plan in plans]
        saved = sum(page.before - page.after for page in pages)
        sampled = sum(plan.sampled for plan in plans)
        size, tissue = source.size - saved, "" if removed is None else removed.method
        return SlideReport(mode, slide, out, source.size, size, pages, sampled, tissue=tissue)


def _codec(mode: str, glass: GlassOptions | None) -> TileCodec:
    codec = load_codec(mode)
    if glass is not None and not isinstance(codec, Optimize):
        raise InvalidParameterError(
            f"the mode {mode} gives the original back, glass too: none can be removed",
            hint="choose the mode optimize or progressive, or keep the glass",
        )
    return codec


def _plan_glass(
    source: TiffSource, glass: GlassOptions | None, workers: int, token: CancellationToken | None
) -> Generator[Progress, None, GlassPlan | None]:
    if glass is None:
        return None
    return (yield from plan_glass(source.path, source.pages, glass, workers=workers, token=token))


def _read_again(
    written: Path, out: Path, *, deep: bool, workers: int, token: CancellationToken | None
) -> Iterator[Progress]:
    """Check a file that was just written, before it gets its name."""
    try:
        yield from check_whole(written, deep=deep, workers=workers, token=token)
    except (DamagedSlideError, UnreadableSlideError) as error:
        raise StoreError(
            "what was written is something else once it is read again; it was not kept",
            path=out,
            found=error.found or error.problem,
            hint="check the disk and the memory of this machine; the slide is as it was",
        ) from error


class _NothingToGainError(Exception):
    """The original stays: what would replace it is not smaller."""


def _check_smaller(report: SlideReport) -> None:
    if report.after >= report.before:
        raise _NothingToGainError


@dataclass(frozen=True)
class _Piece:
    """Some bytes of the original.

    Attributes
    ----------
    data : bytes
    plan : PagePlan or None
        Of the page that a tile belongs to; None of a gap.
    segment : Segment or None
        The tile; its bytes may come in several pieces.
    """

    data: bytes
    plan: PagePlan | None = None
    segment: Segment | None = None

    @property
    def is_packed(self) -> bool:
        """Whether the codec takes it."""
        return (
            self.plan is not None
            and not self.plan.copied
            and self.segment is not None
            and len(self.data) == self.segment.length
        )


@dataclass
class _Writing:
    """One run: what was written where."""

    source: TiffSource
    codec: TileCodec
    plans: Sequence[PagePlan]
    workers: int
    token: CancellationToken | None
    glass: GlassPlan | None = None
    places: dict[tuple[int, Segment], Segment] = field(default_factory=dict)
    bits: dict[tuple[int, Segment], int] = field(default_factory=dict)
    copied: dict[int, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    emptied: set[tuple[int, Segment]] = field(default_factory=set)
    painted: Counter[int] = field(default_factory=Counter)
    whites: dict[int, Segment] = field(default_factory=dict)
    written: Any = field(default_factory=hashlib.sha256)
    sha256: str = ""

    def run(self, stream: BinaryIO, out: Path) -> Iterator[Progress]:
        """Write the whole file."""
        form = self._form()
        stream.write(bytes(form.header_size))
        gaps: list[bytes] = []
        hashed, position = hashlib.sha256(), 0
        tiles = {(plan.page.number, s) for plan in self.plans for s in plan.page.segments if s.length}
        done = 0
        for piece, coded, offset in in_order(
            self._encode, self._pieces(), workers=self.workers, token=self.token
        ):
            fresh = piece.data[max(0, position - offset) :]  # tiles may lie over each other
            hashed.update(fresh)
            position = max(position, offset + len(piece.data))
            if piece.plan is None:
                gaps.append(piece.data)
                continue
            done += self._place(piece, coded, stream)
            yield Progress(done, len(tiles), "packing tiles", "tiles")
        self.sha256 = hashed.hexdigest()
        data = Segment(form.header_size, stream.tell() - form.header_size)
        recipe = self._recipe(gaps, data, self.written.hexdigest())
        write_directories(stream, self._layout(form, recipe), out)

    def _encode(self, numbered: tuple[int, _Piece]) -> tuple[_Piece, Coded, int]:
        offset, piece = numbered
        verdict = self._verdict(piece)
        if verdict is Verdict.EMPTY:
            return piece, self._white(piece), offset
        if verdict is Verdict.PAINT and isinstance(self.codec, Optimize):
            return piece, self._painted(piece), offset
        if piece.is_packed and piece.plan is not None:
            return piece, self.codec.encode(piece.plan.page, piece.data), offset
        return piece, Coded(piece.data), offset

    def _verdict(self, piece: _Piece) -> Verdict:
        if self.glass is None or piece.plan is None:
            return Verdict.KEEP
        verdict = self.glass.verdict(piece.plan.page, piece.segment)
        return verdict if piece.is_packed or verdict is Verdict.EMPTY else Verdict.KEEP

    def _white(self, piece: _Piece) -> Coded:
        """Return what stands for a tile of glass: nothing, or the first of a page's that became white."""
        page = piece.plan.page if piece.plan else None
        is_white = self.glass is not None and self.glass.fill == "white" and piece.is_packed
        if page is None or page.number in self.whites or not is_white:
            return Coded(b"")
        coded = self._painted(piece)
        return coded if coded.painted else Coded(b"")

    def _painted(self, piece: _Piece) -> Coded:
        """Make the glass of a tile white; where that saves nothing the tile stays as it would be without."""
        assert self.glass is not None and piece.plan is not None and piece.segment is not None  # noqa: S101, PT018 -- for the type checker
        assert isinstance(self.codec, Optimize)  # noqa: S101 -- likewise
        page = piece.plan.page
        return self.codec.paint(page, piece.data, self.glass.kept_of(page, piece.segment))

    def _pieces(self) -> Iterator[tuple[int, _Piece]]:
        """Yield all bytes of the original with their places: gaps and tiles, by where they begin."""
        everything: list[tuple[Segment, PagePlan | None]] = [
            (segment, plan) for plan in self.plans for segment in set(plan.page.segments) if segment.length
        ]
        gaps = list(gaps_between([segment for segment, _ in everything], self.source.size))
        if self.codec.keeps_bytes and sum(gap.length for gap in gaps) > MAX_GAPS:
            raise UnreadableSlideError(
                "too much of the file belongs to no tile, and would have to be kept beside them",
                path=self.source.path,
                expected=f"at most {MAX_GAPS / 2**20:.0f} MiB",
            )
        everything += [(gap, None) for gap in gaps]
        everything.sort(
            key=lambda item: (item[0].offset, item[0].length, item[1].page.number if item[1] else -1)
        )
        for segment, plan in everything:
            is_whole = plan is not None and not plan.copied and segment.length <= MAX_TILE_BYTES
            step = segment.length if is_whole else CHUNK
            for at in range(segment.offset, segment.end, step):
                data = self.source.read(at, min(step, segment.end - at))
                yield at, _Piece(data, plan, segment if plan else None)

    def _place(self, piece: _Piece, coded: Coded, stream: BinaryIO) -> int:
        """Write a piece of a tile; return 1 with the last one."""
        if piece.plan is None or piece.segment is None:
            return 0
        key = piece.plan.page.number, piece.segment
        if self._verdict(piece) is Verdict.EMPTY:
            return self._place_glass(key, coded, stream)
        self.painted[key[0]] += coded.painted
        known = self.places.get(key)
        self.places[key] = Segment(
            known.offset if known else stream.tell(), (known.length if known else 0) + len(coded.data)
        )
        self._write(coded.data, stream)
        if coded.bits:
            self.bits[key] = coded.bits
        if self._is_open(piece, key):
            return 0
        why = piece.plan.copied or coded.copied or ("" if piece.is_packed else "too large")
        if why:
            self.copied[key[0]][why] += 1
        return 1

    def _place_glass(self, key: tuple[int, Segment], coded: Coded, stream: BinaryIO) -> int:
        """Leave a tile of glass out, or let it share the white one of its page; return 1 once for each."""
        if coded.data and key[0] not in self.whites:
            self.whites[key[0]] = Segment(stream.tell(), len(coded.data))
            self._write(coded.data, stream)
        is_new = key not in self.emptied
        self.emptied.add(key)
        return int(is_new)

    def _write(self, data: bytes, stream: BinaryIO) -> None:
        self.written.update(data)
        stream.write(data)

    def _is_open(self, piece: _Piece, key: tuple[int, Segment]) -> bool:
        """Whether more of a tile that is copied in pieces follows."""
        return not piece.is_packed and self.places[key].length < key[1].length

    def _form(self) -> TiffFormat:
        """Keep the kind of TIFF, unless the result may not fit in it."""
        form = self.source.layout.form
        room = _ROOM if not self.codec.keeps_bytes else self.source.size // 8
        return TiffFormat(form.order, form.is_big or self.source.size + room > MAX_CLASSIC)

    def _recipe(self, gaps: list[bytes], data: Segment, sha256: str) -> Recipe:
        source = self.source
        common = (self.codec.mode, source.path.name, source.size, self.sha256, data, sha256)
        if not self.codec.keeps_bytes:
            return Recipe(*common)
        every = [(plan.page.number, segment) for plan in self.plans for segment in plan.page.segments]
        places = tuple(gaps_between([segment for _, segment in every], source.size))
        return Recipe(*common, bytes(self.bits.get(key, 0) for key in every), places, b"".join(gaps))

    def _layout(self, form: TiffFormat, recipe: Recipe) -> Layout:
        """Return the tree of directories as it is written, the recipe in the first one."""
        plans = iter(self.plans)
        first, *others = (self._rebuilt(directory, plans, form) for directory in self.source.layout.chain)
        borrowed = recipe.borrowings(self.source.layout, Layout(form, (first, *others)))
        first = first.with_tags({TAG: recipe.to_tag(borrowed)})
        return Layout(form, (first, *others))

    def _rebuilt(self, directory: Directory, plans: Iterator[PagePlan], form: TiffFormat) -> Directory:
        plan = next(plans)  # the order is that of Directory.every
        base = directory if plan.copied else self.codec.directory(plan.page)
        segments = [self._place_of(plan.page, segment) for segment in plan.page.segments]
        new = with_segments(base, segments, form)
        below = {
            code: tuple(tuple(self._rebuilt(d, plans, form) for d in chain) for chain in chains)
            for code, chains in directory.below.items()
        }
        return Directory(new.tags, below)

    def _place_of(self, page: Page, segment: Segment) -> Segment:
        key, missing = (page.number, segment), Segment(0, 0)
        return self.whites.get(page.number, missing) if key in self.emptied else self.places.get(key, missing)

    def report(self, out: Path, size: int) -> SlideReport:
        """Return what was done."""
        pages = tuple(self._page_report(plan.page) for plan in self.plans)
        tissue = "" if self.glass is None else self.glass.method
        report = SlideReport(self.codec.mode, self.source.path, out, self.source.size, size, pages)
        return replace(report, sha256=self.sha256, tissue=tissue)

    def _page_report(self, page: Page) -> PageReport:
        there = [place for (number, _), place in self.places.items() if number == page.number]
        there += [self.whites[page.number]] if page.number in self.whites else []
        after = sum(place.length for place in there)
        report = PageReport.of(page, page.stored_bytes(), after, len(there), self.copied[page.number])
        emptied = sum(number == page.number for number, _ in self.emptied)
        return replace(report, emptied=emptied, painted=self.painted[page.number])
