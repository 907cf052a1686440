"""An annotation file that another program changes is noticed, and merged by the ids of its objects."""

from __future__ import annotations

import json
import os

import pytest
from shapely.geometry import box, mapping
from tests.plugin.test_keeping import Window, folder_of

from napari_nic.annotations import read_annotations
from napari_nic.plugin.annotation_layers import annotation_layers


@pytest.fixture
def open_window(settings, answers, runner, add_slide):
    windows = []

    def open_one(path=None):
        windows.append(Window(settings, answers, runner, add_slide, path))
        return windows[-1]

    yield open_one
    for window in windows:
        window.close()


@pytest.fixture
def window(open_window, slide_file, outlines_file):
    made = open_window(slide_file)
    made.annotating.open(outlines_file)
    return made


def change(path, **places):
    """Change the file as another program does: shapes by label to boxes, None to remove; more are added."""
    document = json.loads(path.read_text())
    kept = []
    for feature in document["features"]:
        label = feature["id"].removeprefix("id-")
        if label not in places:
            kept.append(feature)
        elif (place := places.pop(label)) is not None:
            kept.append({**feature, "geometry": mapping(box(*place))})
    for label, place in places.items():
        properties = {"objectType": "annotation", "classification": {"name": label}}
        kept.append(
            {
                "type": "Feature",
                "id": f"id-{label}",
                "geometry": mapping(box(*place)),
                "properties": properties,
            }
        )
    path.write_text(json.dumps({"type": "FeatureCollection", "features": kept}))
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 10**9))


def bounds(window, label):
    item = window.document.get(f"id-{label}")
    return None if item is None else item.annotation.geometry.bounds


def move_here(window, label, place):
    window.document.put("move", window.document[f"id-{label}"].with_geometry(box(*place)))


def test_nothing_is_asked_while_nothing_changes(window, outlines_file, answers):
    window.annotating.files.check()
    os.utime(outlines_file, ns=(1, 10**18))
    window.annotating.files.check()
    assert answers.questions == []


def test_what_was_changed_elsewhere_is_taken_in_if_wanted(window, outlines_file, answers):
    change(outlines_file, Tumour=(1, 2, 30, 40), Stroma=None, New=(5, 5, 9, 9))
    window.annotating.files.check()
    assert "1 added, 1 changed, 1 removed" in answers.questions[-1]
    assert bounds(window, "Tumour") == (400, 300, 900, 700), "the answer was: no"
    window.annotating.files.check()
    assert len(answers.questions) == 1, "it is asked once"
    answers.agree = True
    change(outlines_file, Tumour=(1, 2, 33, 44))
    window.annotating.files.check()
    assert bounds(window, "Tumour") == (1, 2, 33, 44)
    window.documents.undo()
    assert bounds(window, "Tumour") == (400, 300, 900, 700)


def test_what_was_changed_here_stays(window, outlines_file, answers):
    move_here(window, "Stroma", (7, 7, 8, 8))
    mine = window.draw()
    answers.agree = True
    change(outlines_file, Tumour=(1, 2, 30, 40))
    window.annotating.files.check()
    assert bounds(window, "Tumour") == (1, 2, 30, 40)
    assert bounds(window, "Stroma") == (7, 7, 8, 8)
    assert mine.id in window.document


@pytest.mark.parametrize(
    ("side", "expected", "count"),
    [
        ("ours", (7, 7, 8, 8), 3),
        ("theirs", (1, 2, 30, 40), 3),
        ("both", (7, 7, 8, 8), 4),
        (None, (7, 7, 8, 8), 3),
    ],
)
def test_what_was_changed_on_both_sides_is_asked_about(window, outlines_file, answers, side, expected, count):
    move_here(window, "Tumour", (7, 7, 8, 8))
    answers.side = side
    change(outlines_file, Tumour=(1, 2, 30, 40))
    window.annotating.files.check()
    assert "1 changed on both sides" in answers.questions[-1]
    assert bounds(window, "Tumour") == expected
    assert len(window.document) == count


def test_before_a_file_is_saved_it_is_looked_at(window, outlines_file, answers):
    move_here(window, "Tumour", (7, 7, 8, 8))
    change(outlines_file, Tumour=(1, 2, 30, 40), New=(5, 5, 9, 9))
    theirs = outlines_file.read_bytes()
    assert not window.annotating.save(outlines_file), "the user wants to think about it"
    assert outlines_file.read_bytes() == theirs
    answers.side = "ours"
    assert window.annotating.save(outlines_file)
    saved = {a.id: a.geometry.bounds for a in read_annotations(outlines_file).annotations}
    assert saved["id-Tumour"] == (7, 7, 8, 8)
    assert saved["id-New"] == (5, 5, 9, 9)


def test_the_original_is_kept_when_it_is_overwritten_first(window, outlines_file, slide_file):
    original = outlines_file.read_bytes()
    for at in (0, 100, 200):
        window.draw(at=at)
        assert window.annotating.save(outlines_file)
    (copy, *_) = sorted(folder_of(slide_file).glob("before-*"), key=lambda path: path.stat().st_mtime_ns)
    assert copy.read_bytes() == original
    assert read_annotations(outlines_file).counts()["Tumour"] == 4


def test_our_own_saving_is_no_change_of_others(window, outlines_file, tmp_path, answers):
    window.draw()
    assert window.annotating.save(outlines_file)
    assert window.annotating.save(tmp_path / "rounded.xml")
    window.annotating.files.check()
    assert answers.questions == []


def test_a_document_that_came_back_knows_its_files(open_window, window, outlines_file, slide_file, answers):
    mine = window.draw()
    move_here(window, "Stroma", (7, 7, 8, 8))
    window.close()
    change(outlines_file, Tumour=(1, 2, 30, 40), Stroma=(3, 3, 4, 4))
    again = open_window(slide_file)
    answers.side = "both"
    again.annotating.files.check()
    assert bounds(again, "Tumour") == (1, 2, 30, 40)
    assert bounds(again, "Stroma") == (7, 7, 8, 8)
    assert mine.id in again.document
    assert len(again.document) == 5


@pytest.mark.parametrize("dropped", [False, True])
def test_a_file_that_is_part_of_the_document_is_not_shown_twice(
    open_window, window, outlines_file, slide_file, answers, dropped
):
    window.draw()
    window.close()
    again = open_window(slide_file)
    if dropped:
        read = read_annotations(outlines_file)
        for data, options, kind in annotation_layers(read, again.session.slide, "outlines", outlines_file):
            getattr(again.viewer, f"add_{kind}")(data, **options)
        again.annotating.ask_removed()
    else:
        again.annotating.open(outlines_file)
    assert len(again.document) == 4
    assert len(again.annotating.annotations()) == 4
    assert "part of the annotations of this slide already" in answers.notices[-1]


def test_a_file_that_was_moved_onto_the_scanned_part_is_merged_there(
    window, answers, tmp_path, open_window, slide_file
):
    from napari_nic.geometry import RegionPx

    window.session.slide.bounds = RegionPx(600, 500, 400, 900)
    path = tmp_path / "cropped.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": []}))
    change(path, Near=(10, 20, 890, 390))
    window.annotating.open(path)
    answers.agree = True
    window.annotating.ask_shift()
    assert bounds(window, "Near") == (510, 620, 1390, 990)
    change(path, Near=(10, 20, 880, 390))
    window.annotating.files.check()
    assert bounds(window, "Near") == (510, 620, 1380, 990)
