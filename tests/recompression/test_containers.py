"""Directories and tiles are read and written as they stand: whatever tags, order, depth and bytes."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_nic.errors import DamagedSlideError
from napari_nic.jobs import result_of
from napari_nic.recompression import recompress, restore
from napari_nic.recompression.directories import with_segments, write_directories
from napari_nic.recompression.layout import (
    TYPE_SIZES,
    Directory,
    Layout,
    Segment,
    Tag,
    TiffFormat,
    read_layout,
)
from napari_nic.recompression.recipe import Recipe, recipe_of
from napari_nic.recompression.source import gaps_between
from napari_nic.recompression.streams import insertion, joined, shared_parts, taken_apart

FORMS = st.builds(TiffFormat, st.sampled_from("<>"), st.booleans())
PLAIN = [code for code in range(256, 300) if code not in (273, 279)] + [34675, 65000, 65001]


def tag(code: int, kind: int, data: bytes, inline: int) -> Tag:
    count = max(1, len(data) // TYPE_SIZES[kind])
    values = data.ljust(count * TYPE_SIZES[kind], b"\1")[: count * TYPE_SIZES[kind]]
    return Tag(code, kind, count, values if len(values) > inline else values.ljust(inline, b"\0"))


@st.composite
def directories(draw, form: TiffFormat, depth: int = 2) -> Directory:
    codes = draw(st.lists(st.sampled_from(PLAIN), min_size=1, max_size=6, unique=True))
    tags = [
        tag(code, draw(st.sampled_from(sorted(TYPE_SIZES))), draw(st.binary(max_size=40)), form.inline)
        for code in codes
    ]
    below = {}
    if depth and draw(st.booleans()):
        chains = draw(
            st.lists(st.lists(directories(form, depth - 1), min_size=1, max_size=2), min_size=1, max_size=2)
        )
        below[330] = tuple(tuple(chain) for chain in chains)
        tags.append(Tag(330, 18 if form.is_big else 13, len(chains), b""))
    return Directory(tuple(tags), below)


@st.composite
def layouts(draw) -> Layout:
    form = draw(FORMS)
    return Layout(form, tuple(draw(st.lists(directories(form), min_size=1, max_size=3))))


def seen(layout: Layout) -> list[list[tuple[int, int, int, bytes]]]:
    """All tags but the links between directories."""
    return [
        [(t.code, t.kind, t.count, b"" if t.code == 330 else t.data) for t in directory.tags]
        for directory in layout.every()
    ]


@given(layouts())
@settings(max_examples=150)
def test_directories_are_read_as_they_were_written(layout: Layout) -> None:
    stream = io.BytesIO(bytes(layout.form.header_size))
    stream.seek(0, 2)
    write_directories(stream, layout, Path("x.tif"))
    content = stream.getvalue()
    found = read_layout(lambda at, size: content[at : at + size], len(content), Path("x.tif"))
    assert found.form == layout.form
    assert seen(found) == seen(layout)


@given(st.binary(max_size=400), FORMS)
@settings(max_examples=200)
def test_any_bytes_are_refused_in_one_way(content: bytes, form: TiffFormat) -> None:
    whole = form.header(form.header_size) + content
    try:
        read_layout(lambda at, size: whole[at : at + size], len(whole), Path("x.tif"))
    except DamagedSlideError:
        return


def test_directories_in_a_circle_are_refused() -> None:
    content = bytearray(b"II*\0\x08\0\0\0\x01\0" + b"\0\1\3\0\1\0\0\0\1\0\0\0" + b"\x08\0\0\0")
    with pytest.raises(DamagedSlideError, match="circle"):
        read_layout(lambda at, size: bytes(content[at : at + size]), len(content), Path("x.tif"))


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 50)), max_size=8),
    st.integers(1, 400),
)
def test_gaps_and_tiles_are_the_whole_file(places: list[tuple[int, int]], size: int) -> None:
    segments = [Segment(offset, min(length, size - offset)) for offset, length in places if offset < size]
    covered = [0] * size
    for gap in gaps_between(segments, size):
        assert gap.length > 0
        for at in range(gap.offset, gap.end):
            covered[at] += 1
    inside = {at for s in segments for at in range(s.offset, s.end)}
    assert covered == [int(at not in inside) for at in range(size)]


@given(st.binary(max_size=300), st.lists(st.integers(1, 60), max_size=5), st.binary(max_size=20), FORMS)
def test_a_recipe_is_read_as_it_was_written(
    content: bytes, lengths: list[int], bits: bytes, form: TiffFormat
) -> None:
    gaps, at = [], 3
    for length in lengths:
        gaps.append(Segment(at, length))
        at += length + 7
    content = content.ljust(sum(lengths), b"z")[: sum(lengths)]
    recipe = Recipe("repack", "n\u00e4me.svs", at, "ab", Segment(8, 90), "cd", bits, tuple(gaps), content)
    layout = Layout(form, (Directory((recipe.to_tag(),)),))
    assert recipe_of(layout, Path("x.tif")) == recipe


def test_long_values_of_tags_are_kept_once() -> None:
    profile = bytes(range(256)) * 8
    before = Layout(TiffFormat("<", False), (Directory((Tag(34675, 7, len(profile), profile, 20),)),))
    recipe = Recipe(
        "repack", "a", 3000, "", Segment(8, 0), "", b"", (Segment(0, 3000),), b"-" * 20 + profile + b"+" * 932
    )
    borrowed = recipe.borrowings(before, before)
    written = recipe.to_tag(borrowed)
    assert len(written.data) < 600
    (directory,) = before.chain
    layout = Layout(before.form, (directory.with_tags({written.code: written}),))
    assert recipe_of(layout, Path("x.tif")) == recipe
    other = directory.with_tags({written.code: written, 34675: Tag(34675, 7, 4, b"else")})
    with pytest.raises(DamagedSlideError, match="another one"):
        recipe_of(Layout(before.form, (other,)), Path("x.tif"))


def test_lengths_that_were_short_numbers_grow() -> None:
    form = TiffFormat(">", False)
    directory = Directory((Tag.of(324, 3, (8,), ">"), Tag.of(325, 3, (5,), ">")))
    tags = with_segments(directory, [Segment(2**31, 70_000)], form).tags
    assert [t.numbers(">") for t in tags] == [(2**31,), (70_000,)]


TABLES = b"\xff\xd8\xff\xdb\0\x05abc\xff\xc4\0\x04de\xff\xd9"


@given(st.integers(0, 15), st.binary(max_size=50))
def test_streams_are_taken_apart_as_they_were_joined(bits: int, rest: bytes) -> None:
    tile = b"\xff\xd8" + rest
    stream = joined(tile, bits, TABLES)
    assert len(stream) == len(tile) + len(insertion(bits, TABLES))
    assert taken_apart(stream, bits, TABLES) == tile


def test_shared_tables_with_something_else_are_refused() -> None:
    with pytest.raises(ValueError, match="marker"):
        shared_parts(b"\xff\xd8\xff\xdd\0\x04\0\x02\xff\xd9")


KINDS = st.sampled_from(["as it is", "missing", "cut", "junk", "twice", "own tables", "zeros behind"])


@given(
    st.lists(KINDS, min_size=9, max_size=9),
    st.sampled_from("<>"),
    st.booleans(),
    st.binary(max_size=30),
)
@settings(max_examples=25)
def test_whatever_the_tiles_are_the_file_comes_back(
    make_damaged, write_pages, kinds: list[str], order: str, big: bool, trailer: bytes
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write_pages(
            Path(folder, "a.svs"), [make_damaged(kinds)], order=order, big=big, trailer=trailer
        )
        before = path.read_bytes()
        result_of(recompress(path, path.with_name("b.svs"), workers=1))
        result_of(restore(path.with_name("b.svs"), path, workers=1))
        assert path.read_bytes() == before
