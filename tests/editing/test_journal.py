"""A document on the disk: what was written is read, what is damaged costs itself alone, and is told."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from napari_nic.annotations import Annotation, ellipse_outline
from napari_nic.editing import (
    AnnotationObject,
    Document,
    DrawingClass,
    Edited,
    Journal,
    Kept,
    KeptLayer,
    KnownFile,
    State,
    find_document,
    read_journal,
)
from napari_nic.editing import journal as module
from napari_nic.errors import AnnotationError, StoreBusyError, StoreError

SLIDE, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64
ANNA = Edited("Anna", "2026-11-29T10:02:00+00:00")


def square(at: float = 0.0, label: str = "tumor") -> AnnotationObject:
    return AnnotationObject.new(Annotation(label, "rectangle", shapely.box(at, 0, at + 10, 10)))


def full() -> AnnotationObject:
    """An object that has everything."""
    area = shapely.box(0.1, 1 / 3, 10, 20).difference(shapely.box(2, 2, 3, 3))
    return AnnotationObject(
        "id-1",
        Annotation(
            "tümor", "polygon", area, "nest <3>", "id-1", {"plane": {"z": 1}, "properties": {"a": [1, None]}}
        ),
        color=(1, 2, 3),
        locked=True,
        parent="id-2",
        measurements={"area": 1 / 3, "far": float("inf")},
        metadata={"who": "Anna"},
        edited=ANNA,
    )


class Written:
    """A document and its journal, written after every edit."""

    def __init__(self, folder: Path, **options) -> None:
        self.document = Document(**options)
        self.journal = Journal(folder, SLIDE, "slide")
        self.document.watch(self.write)

    def write(self, edit) -> None:
        state = State(self.document.objects(), self.document.classes, ranks=self.document.ranks)
        self.journal.write([edit], state, ANNA)

    def assert_is_read(self) -> Kept:
        kept = read_journal(self.journal.folder, SLIDE)
        assert kept is not None
        assert kept.state.objects == self.document.objects()
        assert kept.state.classes == self.document.classes
        return kept


@pytest.fixture
def kept(tmp_path):
    made = Written(tmp_path / "slide.nic.document", objects=[square()])
    yield made
    made.journal.close()


@pytest.fixture
def five(kept):
    """A journal with five edits after its head."""
    for number in range(6):
        kept.document.put("draw", square(20.0 * number))
    return kept


def lines(kept) -> list[bytes]:
    return kept.journal.path.read_bytes().splitlines(keepends=True)


def test_every_edit_is_on_the_disk_when_it_was_written(kept):
    first, second = square(20), square(40, "stroma")
    kept.document.put("draw", first, second)
    size = len(kept.journal.path.read_bytes())
    kept.document.put("change class", first.with_label("stroma"))
    kept.document.remove("delete", second.id)
    assert kept.journal.path.read_bytes()[:size].count(b"\n") == len(lines(kept)) - 2, "edits are appended"
    kept.document.undo()
    kept.document.set_classes(
        "classes", [DrawingClass("lymph", (1, 2, 3), visible=False, locked=True, key=3)]
    )
    found = kept.assert_is_read()
    assert found.edited == ANNA
    assert found.notes == ()


def test_all_that_an_object_has_comes_back_bit_by_bit(kept):
    kept.document.put("draw", full())
    (found,) = [item for item in kept.assert_is_read().state.objects if item.id == "id-1"]
    wanted = kept.document["id-1"]
    assert shapely.to_wkb(found.annotation.geometry) == shapely.to_wkb(wanted.annotation.geometry)
    assert found.annotation.extra == wanted.annotation.extra
    assert found.edited == wanted.edited
    assert found == wanted


@pytest.mark.parametrize(
    "annotation",
    [
        Annotation("a", "ellipse", ellipse_outline((50, 40), (30, 9), 0.4)),
        Annotation("a", "arrow", shapely.LineString([(1, 2), (8, 9)])),
        Annotation("a", "rectangle", shapely.box(1, 2, 8, 9)),
    ],
)
def test_every_kind_is_kept(kept, annotation):
    kept.document.put("draw", AnnotationObject("new", annotation))
    assert kept.assert_is_read().state.objects[-1].annotation == annotation


def test_an_ellipse_that_is_no_more_one_is_a_polygon(kept):
    outline = ellipse_outline((50, 40), (30, 9))
    item = AnnotationObject("new", Annotation("a", "ellipse", outline))
    assert item.with_geometry(shapely.affinity.rotate(outline, 30)).annotation.kind == "ellipse"
    kept.document.put("cut", item.with_geometry(outline.difference(shapely.box(0, 0, 50, 90))))
    assert kept.assert_is_read().state.objects[-1].annotation.kind == "polygon"


def test_what_comes_back_by_undo_comes_to_its_old_place(five):
    middle = list(five.document)[2]
    five.document.remove("delete", middle)
    five.document.put("draw", square(500))
    five.document.undo()
    five.document.undo()
    assert list(five.document).index(middle) == 2
    five.assert_is_read()


def test_there_may_be_none(tmp_path):
    assert read_journal(tmp_path, SLIDE) is None
    assert find_document(tmp_path / "a.svs", SLIDE, [tmp_path]).kept is None


def test_a_torn_last_line_costs_that_edit_alone(five):
    whole = five.journal.path.read_bytes()
    start = whole.rindex(b"\n", 0, -1) + 1
    for stop in (start, start + 1, start + 5, start + 9, start + 40, len(whole) - 1):
        five.journal.path.write_bytes(whole[:stop])
        found = read_journal(five.journal.folder, SLIDE)
        assert len(found.state.objects) == 6
        told = "; ".join(found.notes)
        assert ("not written to its end" in told) == (stop > start)


def test_a_damaged_line_costs_itself_alone_and_is_named(five):
    broken = lines(five)
    broken[-2] = broken[-2].replace(b"wkb", b"wkB")
    five.journal.path.write_bytes(b"".join(broken))
    found = read_journal(five.journal.folder, SLIDE)
    assert len(found.state.objects) == 6
    assert f"1 damaged line was left out: line {len(broken) - 1} (its checksum" in found.notes[0]


def test_objects_that_are_missing_are_told(five):
    broken = lines(five)
    del broken[2]
    five.journal.path.write_bytes(b"".join(broken))
    assert "objects are missing: 1 of 2 were found" in read_journal(five.journal.folder, SLIDE).notes[-1]


def test_lines_that_are_missing_or_come_twice_are_told(five):
    good = lines(five)
    five.journal.path.write_bytes(b"".join([*good[:-2], good[-1]]))
    found = read_journal(five.journal.folder, SLIDE)
    assert len(found.state.objects) == 6
    assert "lines are missing between others" in found.notes[0]
    five.journal.path.write_bytes(b"".join([*good, good[-3]]))
    found = read_journal(five.journal.folder, SLIDE)
    assert len(found.state.objects) == 7
    assert "not in its place" in found.notes[0]


def checked_line(value) -> bytes:
    text = json.dumps(value).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (
            {"journal": module.FORMAT, "version": 1, "slide": {"fingerprint": OTHER, "name": "b"}},
            "another slide",
        ),
        ({"journal": module.FORMAT, "version": 2, "slide": {"fingerprint": SLIDE}}, "another version"),
        ({"journal": "else", "version": 1, "slide": {"fingerprint": SLIDE}}, "no document"),
        ({"journal": module.FORMAT, "version": 1, "slide": 3}, "another slide"),
        ({}, "no document"),
    ],
)
def test_what_is_not_ours_is_refused(five, header, said):
    five.journal.path.write_bytes(b"".join([checked_line(header), *lines(five)[1:]]))
    with pytest.raises(AnnotationError, match=said):
        read_journal(five.journal.folder, SLIDE)


@pytest.mark.parametrize("first", [b"", b"\n", b"\xff\xfe\n", b"00000000 {}\n", b'{"journal": 1}\n'])
def test_a_damaged_beginning_is_refused(five, first):
    five.journal.path.write_bytes(b"".join([first, *lines(five)[1:]]))
    with pytest.raises(AnnotationError, match="beginning is damaged"):
        read_journal(five.journal.folder, SLIDE)


GOOD = {"id": "x", "rank": 0, "label": "a", "kind": "point", "wkb": "AQEAAAAAAAAAAADwPwAAAAAAAABA"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "circle"},
        {"kind": "polygon"},
        {"wkb": "AQEAAAAAAAAAAADw"},
        {"wkb": "AQEAAAAAAAAAAPh/AAAAAAAA+H8="},
        {"wkb": 3},
        {"id": ""},
        {"label": 3},
        {"rank": "1"},
        {"color": [1, 2]},
        {"color": [1, 2, 300]},
        {"extra": []},
        {"metadata": 3},
    ],
)
def test_a_line_that_is_whole_but_wrong_is_left_out_and_told(five, wrong):
    head = lines(five)
    for value, expected in ((GOOD, 8), (GOOD | wrong, 7)):
        line = checked_line({"edit": {"put": [value]}, "n": len(head)})
        five.journal.path.write_bytes(b"".join([*head, line]))
        found = read_journal(five.journal.folder, SLIDE)
        assert len(found.state.objects) == expected
        assert bool(found.notes) == (value != GOOD)


def test_a_second_writer_is_refused_and_told_who_writes(five):
    with pytest.raises(StoreBusyError, match="edited by another window or program"):
        Journal(five.journal.folder, SLIDE, "slide").open()
    five.journal.close()
    again = Journal(five.journal.folder, SLIDE, "slide")
    again.open()
    again.close()


def test_everything_is_written_anew_from_time_to_time(kept, monkeypatch):
    monkeypatch.setattr(module, "LEAST_ANEW", 100)
    item = square(50)
    kept.document.put("draw", item)
    sizes = set()
    for number in range(40):
        kept.document.put("move", item.with_geometry(shapely.box(number, 0, number + 5, 5)))
        sizes.add(len(lines(kept)))
        kept.assert_is_read()
    assert max(sizes) < 30


def test_a_writer_begins_anew_behind_a_torn_line(five):
    five.journal.close()
    path = five.journal.path
    path.write_bytes(path.read_bytes()[:-20])
    found = read_journal(five.journal.folder, SLIDE)
    after = Written(five.journal.folder, objects=found.state.objects, classes=found.state.classes)
    after.document.put("draw", square(900))
    assert after.assert_is_read().notes == ()
    after.journal.close()


def test_a_write_that_failed_half_way_is_followed_by_all(five, monkeypatch):
    def torn(_handle):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module.os, "fsync", torn)
        with pytest.raises(StoreError, match="no space"):
            five.document.put("draw", square(300))
    five.document.put("draw", square(400))
    five.assert_is_read()
    assert b'"edit"' not in five.journal.path.read_bytes(), "a part of the last line may have been there"


def test_known_files_are_kept(kept):
    files = (KnownFile("/x/a.geojson", "a" * 64, "a.geojson", 3.5, -1.0),)
    kept.journal.write_all(State((square(),), files=files), ANNA)
    assert read_journal(kept.journal.folder, SLIDE).state.files == files
    kept.journal.note_files(files[:0])
    assert read_journal(kept.journal.folder, SLIDE).state.files == ()


def test_layers_and_what_each_of_them_shows_are_kept(kept):
    first, second = square(20), square(40)
    layers = (KeptLayer("k1", "reader A", "/x/a.geojson"), KeptLayer("k2", "reader B"))
    state = State((first,), homes={first.id: "k1"}, layers=layers[:1])
    kept.journal.write_all(state, ANNA)
    document = Document(objects=[first])
    edit = document.put("draw", second)
    homes = {first.id: "k1", second.id: "k2"}
    kept.journal.write([edit], State((first, second), homes=homes, layers=layers), ANNA)
    found = read_journal(kept.journal.folder, SLIDE)
    assert found.notes == ()
    assert found.state.homes == homes
    assert found.state.layers == layers
    renamed = (replace(layers[0], name="Anna"), layers[1])
    kept.journal.note_files((), renamed)
    assert read_journal(kept.journal.folder, SLIDE).state.layers == renamed
    kept.journal.note_files(())
    assert read_journal(kept.journal.folder, SLIDE).state.layers == renamed, "said nothing of them"


@pytest.mark.parametrize("layers", [3, ["a"], [{"name": "no key"}], [{"key": "k", "name": 7}]])
def test_layers_that_are_none_cost_their_line_alone(kept, layers):
    kept.document.put("draw", square(20))
    kept.journal._append([{"files": [], "layers": layers}])
    kept.document.put("draw", square(40))
    found = read_journal(kept.journal.folder, SLIDE)
    assert len(found.state.objects) == 3
    assert found.state.layers == ()
    assert "1 damaged line was left out" in found.notes[0]


def test_another_slide_of_the_same_name_gets_a_place_of_its_own(five):
    five.journal.close()
    slide = five.journal.folder.with_name("slide.svs")
    mine = find_document(slide, SLIDE, [slide.parent])
    assert len(mine.kept.state.objects) == 7
    found = find_document(slide, OTHER, [slide.parent])
    assert found.kept is None
    assert found.folder.name == "slide.bbbbbbbb.nic.document"
    assert "belongs to another slide" in found.notes[0]


@given(
    st.lists(
        st.tuples(st.sampled_from(["put", "move", "remove", "undo", "redo", "class"]), st.integers(0, 5)),
        max_size=25,
    )
)
def test_any_edits_are_read_as_they_were_left(tmp_path_factory, actions):
    kept = Written(tmp_path_factory.mktemp("x") / "s.nic.document")
    items = [square(30.0 * number) for number in range(6)]
    for action, number in actions:
        there = kept.document.get(items[number].id)
        if action == "put":
            kept.document.put("draw", items[number])
        elif action == "move" and there:
            kept.document.put(
                "move", there.with_geometry(shapely.affinity.translate(there.annotation.geometry, 1))
            )
        elif action == "class" and there:
            kept.document.put("class", replace(there.with_label(f"class {number}"), locked=False))
        elif action == "remove" and there:
            kept.document.remove("delete", there.id)
        elif action in ("undo", "redo"):
            getattr(kept.document, action)()
    if kept.journal.path.exists():
        kept.assert_is_read()
    kept.journal.close()
