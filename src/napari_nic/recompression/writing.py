"""One run of a lossless mode: what of a slide is written where.

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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from napari_nic.errors import UnreadableSlideError
from napari_nic.jobs import CancellationToken, Progress
from napari_nic.recompression.codecs import Coded, Optimize, TileCodec
from napari_nic.recompression.directories import MAX_CLASSIC, with_segments, write_directories
from napari_nic.recompression.glass import GlassPlan, Verdict
from napari_nic.recompression.layout import Directory, Layout, Segment, TiffFormat
from napari_nic.recompression.plan import MAX_TILE_BYTES, PagePlan
from napari_nic.recompression.recipe import MAX_GAPS, TAG, Recipe
from napari_nic.recompression.report import PageReport, SlideReport
from napari_nic.recompression.source import Page, TiffSource, gaps_between
from napari_nic.recompression.unfinished import FinishedTiles
from napari_nic.recompression.workers import in_order

CHUNK = 2**23
"""Bytes that are copied at once."""

_ROOM = 2**20
"""Bytes that a classic TIFF must leave below its limit for what is added."""


@dataclass(frozen=True)
class Piece:
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
class Writing:
    """One run: what was written where."""

    source: TiffSource
    codec: TileCodec
    plans: Sequence[PagePlan]
    workers: int
    token: CancellationToken | None
    finished: FinishedTiles
    glass: GlassPlan | None = None
    name: str = ""
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
        try:
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
                self.finished.flush(stream)
                yield Progress(done, len(tiles), "packing tiles", "tiles")
        finally:
            self.finished.flush(stream, last=True)
        self.sha256 = hashed.hexdigest()
        data = Segment(form.header_size, stream.tell() - form.header_size)
        recipe = self._recipe(gaps, data, self.written.hexdigest())
        write_directories(stream, self._layout(form, recipe), out)

    def _encode(self, numbered: tuple[int, Piece]) -> tuple[Piece, Coded, int]:
        offset, piece = numbered
        verdict = self._verdict(piece)
        if verdict is Verdict.EMPTY:
            return piece, self._white(piece), offset
        if not piece.is_packed or piece.plan is None or piece.segment is None:
            return piece, Coded(piece.data), offset
        page = piece.plan.page
        coded = self.finished.find(page.number, piece.segment, piece.data)
        if coded is None and verdict is Verdict.PAINT and isinstance(self.codec, Optimize):
            coded = self._painted(piece)
        return piece, coded or self.codec.encode(page, piece.data), offset

    def _verdict(self, piece: Piece) -> Verdict:
        if self.glass is None or piece.plan is None:
            return Verdict.KEEP
        verdict = self.glass.verdict(piece.plan.page, piece.segment)
        return verdict if piece.is_packed or verdict is Verdict.EMPTY else Verdict.KEEP

    def _white(self, piece: Piece) -> Coded:
        """Return what stands for a tile of glass: nothing, or the first of a page's that became white."""
        page = piece.plan.page if piece.plan else None
        is_white = self.glass is not None and self.glass.fill == "white" and piece.is_packed
        if page is None or page.number in self.whites or not is_white:
            return Coded(b"")
        coded = self._painted(piece)
        return coded if coded.painted else Coded(b"")

    def _painted(self, piece: Piece) -> Coded:
        """Make the glass of a tile white; where that saves nothing the tile stays as it would be without."""
        assert self.glass is not None and piece.plan is not None and piece.segment is not None  # noqa: S101, PT018 -- for the type checker
        assert isinstance(self.codec, Optimize)  # noqa: S101 -- likewise
        page = piece.plan.page
        return self.codec.paint(page, piece.data, self.glass.kept_of(page, piece.segment))

    def _pieces(self) -> Iterator[tuple[int, Piece]]:
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
                yield at, Piece(data, plan, segment if plan else None)

    def _place(self, piece: Piece, coded: Coded, stream: BinaryIO) -> int:
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
        if piece.is_packed:
            self.finished.add(*key, piece.data, self.places[key], coded)
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

    def _is_open(self, piece: Piece, key: tuple[int, Segment]) -> bool:
        """Whether more of a tile that is copied in pieces follows."""
        return not piece.is_packed and self.places[key].length < key[1].length

    def _form(self) -> TiffFormat:
        """Keep the kind of TIFF, unless the result may not fit in it."""
        form = self.source.layout.form
        room = _ROOM if not self.codec.keeps_bytes else self.source.size // 8
        return TiffFormat(form.order, form.is_big or self.source.size + room > MAX_CLASSIC)

    def _recipe(self, gaps: list[bytes], data: Segment, sha256: str) -> Recipe:
        source = self.source
        called, is_deidentified = self.name or source.path.name, bool(self.name)
        common = (self.codec.mode, called, source.size, self.sha256, data, sha256)
        if not self.codec.keeps_bytes:
            return Recipe(*common, is_deidentified=is_deidentified)
        every = [(plan.page.number, segment) for plan in self.plans for segment in plan.page.segments]
        places = tuple(gaps_between([segment for _, segment in every], source.size))
        bits = bytes(self.bits.get(key, 0) for key in every)
        return Recipe(*common, bits, places, b"".join(gaps), is_deidentified)

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
        return replace(report, sha256=self.sha256, tissue=tissue, resumed=self.finished.taken)

    def _page_report(self, page: Page) -> PageReport:
        there = [place for (number, _), place in self.places.items() if number == page.number]
        there += [self.whites[page.number]] if page.number in self.whites else []
        after = sum(place.length for place in there)
        report = PageReport.of(page, page.stored_bytes(), after, len(there), self.copied[page.number])
        emptied = sum(number == page.number for number, _ in self.emptied)
        return replace(report, emptied=emptied, painted=self.painted[page.number])
