"""Outlines are seen while the rest of their file is still being read, and nothing is left of that."""

from __future__ import annotations

import json

import numpy as np
import pytest
from shapely.affinity import translate
from shapely.geometry import Point, box, mapping
from tests.plugin.test_keeping import Window

from napari_nic.annotations import PartRead, json_parsing
from napari_nic.errors import CancelledError
from napari_nic.jobs import CancellationToken
from napari_nic.outlines import cache, preview, reading
from napari_nic.outlines.preview import Glimpse
from napari_nic.outlines.values import NOTHING
from napari_nic.plugin import annotation_jobs, annotation_layers
from napari_nic.plugin.annotation_layers import annotation_tag

NAME = "many (being read)"


@pytest.fixture(autouse=True)
def at_every_piece(monkeypatch):
    """Pictures come with every piece that is read, and any number of shapes is many."""
    for name, value in (("FIRST_SECONDS", 0.0), ("TIMES_LONGER", 0.0), ("WORTH_SECONDS", -1.0)):
        monkeypatch.setattr(preview, name, value)
    monkeypatch.setattr(json_parsing, "PIECE_BYTES", 2000)
    monkeypatch.setattr(annotation_jobs, "throttled", lambda reports, _merge: iter(reports))
    monkeypatch.setattr(annotation_layers, "MAX_SHAPES", 20)
    monkeypatch.setattr(annotation_jobs, "MANY_SHAPES", 20)


def write(path, count=60, color=(213, 94, 0)):
    """Write nuclei as QuPath does, in rows of 40."""
    ring = Point(0, 0).buffer(8, 4)
    features = [
        {
            "type": "Feature",
            "id": f"{path.stem}-{number}",
            "geometry": mapping(translate(ring, 20 + 20 * (number % 40), 20 + 20 * (number // 40))),
            "properties": {
                "objectType": "detection",
                "classification": {"name": "Tumour", "color": list(color)},
            },
        }
        for number in range(count)
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


@pytest.fixture
def many_file(tmp_path):
    return write(tmp_path / "many.geojson")


@pytest.fixture
def window(settings, answers, runner, add_slide, slide_file):
    made = Window(settings, answers, runner, add_slide, slide_file)
    yield made
    runner.hold = False
    made.close()


def names(window):
    return [layer.name for layer in window.viewer.layers]


def step_to(runner, kind):
    """Drive the reading to its next report of a kind."""
    while not isinstance(runner.step(), kind):
        assert runner.waiting, "it ended"


def test_what_is_read_so_far_is_seen_and_grows(window, runner, many_file):
    runner.hold = True
    chosen = window.viewer.layers.selection.active
    window.annotating.open(many_file)
    step_to(runner, Glimpse)
    assert NAME in names(window)
    assert window.viewer.layers.selection.active is chosen
    assert window.annotating.layers() == [], "nothing can be done with it yet"
    assert len(window.document) == 0
    layer = window.viewer.layers[NAME]
    seen = [np.count_nonzero(np.asarray(layer.data[-1]) != NOTHING)]
    step_to(runner, Glimpse)
    step_to(runner, Glimpse)
    seen.append(np.count_nonzero(np.asarray(layer.data[-1]) != NOTHING))
    assert 0 < seen[0] < seen[1]
    assert names(window).count(NAME) == 1


def test_when_all_is_read_the_layer_of_the_file_is_alone(window, many_file, answers):
    window.annotating.open(many_file)
    assert NAME not in names(window)
    (layer,) = window.annotating.layers()
    assert len(window.document) == 60
    assert len(annotation_tag(layer).view.index) == 60
    assert answers.errors == []


def test_what_was_seen_stands_in_until_all_is_drawn(window, runner, many_file):
    runner.hold = True
    window.annotating.open(many_file)
    step_to(runner, Glimpse)
    shown = window.viewer.layers[NAME].data[0]
    area = (slice(0, 200), slice(0, 500))
    shown.want = None
    drawn = np.array(shown[area])
    while not window.annotating.layers():
        runner.step()
    level = window.annotating.layers()[0].data[0]
    standing = level[area]
    assert (standing == drawn).all()
    runner.finish()
    assert np.count_nonzero(level[area]) > np.count_nonzero(drawn)


@pytest.mark.parametrize("end", ["cancel", "damage"])
def test_nothing_is_left_of_what_is_not_read_to_its_end(window, runner, many_file, end):
    if end == "damage":
        many_file.write_text(many_file.read_text()[:-40])
    runner.hold = True
    window.annotating.open(many_file)
    if end == "cancel":
        step_to(runner, Glimpse)
        window.annotating.cancel_opening()
    runner.finish()
    assert NAME not in names(window)
    assert window.annotating.layers() == []
    assert window.annotating.opening == ""


def test_a_picture_that_comes_after_the_user_cancelled_is_not_shown(window, runner, many_file):
    runner.hold = True
    window.annotating.open(many_file)
    _, reading, callbacks = runner.waiting[0]
    glimpse = next(report for report in reading if isinstance(report, Glimpse))
    window.annotating.cancel_opening()
    callbacks.yielded(glimpse)
    assert NAME not in names(window)


class Unseen:
    """A picture that nobody shows; the user cancels while it is waited for."""

    def __init__(self, token: CancellationToken) -> None:
        self._token, self.waited = token, 0

    def wait(self, _seconds: float) -> bool:
        self.waited += 1
        self._token.cancel()
        return False


def test_a_picture_is_waited_for_until_the_user_cancels(many_file, window):
    token = CancellationToken()
    seen = Unseen(token)
    reports = annotation_jobs.read_job(many_file, window.session.slide, token)
    glimpse = next(report for report in reports if isinstance(report, Glimpse))
    object.__setattr__(glimpse, "seen", seen)
    with pytest.raises(CancelledError):
        next(reports)
    assert seen.waited == 1


def test_it_goes_where_the_file_turns_out_to_be_something_else(window, runner, many_file, monkeypatch):
    def read(path, slide, token):
        yield PartRead(1, 9, "Reading", "bytes", areas=[box(0, 0, 50, 50)], labels=["A"], colors={})
        yield PartRead(0, 9, "Reading", "bytes", is_afresh=True)
        yield PartRead(2, 9, "Reading", "bytes", areas=[box(0, 0, 90, 90)], labels=["B"], colors={})
        raise AssertionError("as far as the test goes")

    monkeypatch.setattr(annotation_jobs, "iter_read_file", read)
    runner.hold = True
    window.annotating.open(many_file)
    runner.step()
    assert NAME in names(window)
    runner.step()
    assert NAME not in names(window)
    runner.step()
    assert NAME in names(window)


def test_a_user_may_take_it_away(window, runner, many_file):
    runner.hold = True
    window.annotating.open(many_file)
    step_to(runner, Glimpse)
    window.viewer.layers.remove(window.viewer.layers[NAME])
    runner.finish()
    assert NAME not in names(window)
    assert len(window.document) == 60


def test_classes_have_the_colours_that_they_have_on_the_slide(window, runner, many_file, tmp_path):
    window.annotating.open(write(tmp_path / "first.geojson", count=2, color=(1, 2, 3)))
    runner.hold = True
    window.annotating.open(many_file)
    step_to(runner, Glimpse)
    layer = window.viewer.layers[NAME]
    shown = {tuple(np.round(color[:3] * 255).astype(int)) for color in layer.colormap.color_dict.values()}
    assert (1, 2, 3) in shown
    assert (213, 94, 0) not in shown


def test_what_was_read_is_kept_once_it_is_shown(window, runner, many_file, monkeypatch):
    monkeypatch.setattr(reading, "FEWEST_BYTES", 0)
    monkeypatch.setattr(cache, "SETTLED_SECONDS", -1.0)
    runner.hold = True
    window.annotating.open(many_file)
    while not window.annotating.layers():
        runner.step()
    folder = cache.cache_folder()
    assert not folder.exists()
    runner.finish()
    assert len(list(folder.iterdir())) == 1
    assert "Keeping many.geojson for the next time" in runner.titles
