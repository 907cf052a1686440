"""How a slide is shown changes what is seen, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from napari_nic.geometry import RegionPx
from napari_nic.plugin.controllers.displaying import DisplayController
from napari_nic.plugin.controllers.watching import SlideWatch
from napari_nic.plugin.layers import tag_of
from napari_nic.viewing import STAIN_SETS, Display, Tone, stain_picture


@pytest.fixture
def displaying(viewer, settings, answers):
    watch = SlideWatch(viewer)
    made = DisplayController(watch, settings, answers)
    made.watch = watch
    yield made
    made.close()
    watch.close()


@pytest.fixture
def layer(displaying, viewer, slide_file, add_slide):
    return add_slide(viewer, slide_file)


def seen(layer, level: int = 0) -> np.ndarray:
    return np.asarray(layer.data[level][300:400, 500:600])


def test_levels_are_shown_in_the_tone_and_the_slide_is_not_touched(displaying, layer):
    slide = tag_of(layer).slide
    region = RegionPx(300, 500, 100, 100)
    plain, pixels = [seen(layer, level) for level in range(2)], slide.read_region(0, region)
    tone = Tone(brightness=-0.2, gamma=1.5)
    displaying.set_tone(tone)
    for level in range(2):
        assert (seen(layer, level) == tone.table()[plain[level]]).all()
    assert (slide.read_region(0, region) == pixels).all()
    assert tag_of(layer).slide is slide
    displaying.reset()
    assert (seen(layer) == plain[0]).all()
    assert tag_of(layer).look is None


def test_nothing_is_read_before_it_is_looked_at(displaying, layer):
    tag = tag_of(layer)
    before = tag.twin.reads.total
    displaying.set_tone(Tone(contrast=0.3))
    levels = layer.data
    assert all(level.dtype == np.uint8 for level in levels)
    assert tag.twin.reads.total - before <= 20, "the thumbnail of the layer, not the slide"


def test_one_stain_of_several(displaying, layer):
    plain = seen(layer)
    displaying.next_stain()
    assert displaying.display == Display(Tone(), STAIN_SETS[0], 0)
    assert (seen(layer) == stain_picture(plain, STAIN_SETS[0], 0)).all()
    displaying.choose_set("H-DAB")
    displaying.next_stain()
    assert (seen(layer) == stain_picture(plain, STAIN_SETS[1], 1)).all()
    displaying.next_stain()
    assert displaying.display.is_plain
    assert displaying.chosen_set.name == "H-DAB", "remembered"


def test_a_set_of_fewer_stains_keeps_within_them(displaying, layer):
    displaying.choose_set("H&E and DAB")
    displaying.show_stain(2)
    displaying.choose_set("H&E")
    assert displaying.display.stain == 1


def test_each_slide_keeps_its_own(displaying, layer, viewer, make_tiff, make_tissue, add_slide, tmp_path):
    displaying.set_tone(Tone(gamma=2))
    other = add_slide(viewer, make_tiff(tmp_path / "b.tif", make_tissue(300, 400), factors=(1,)))
    assert displaying.display.is_plain
    other.visible = False
    assert displaying.display.tone.gamma == 2


def test_new_levels_are_shown_the_same_way(displaying, session, profiled_file, add_slide):
    layer = add_slide(session.viewer, profiled_file)
    displaying.set_tone(Tone(brightness=0.2))
    with_profile = np.asarray(layer.data[0][300:400, 100:200])
    session.set_color("raw")
    raw = np.asarray(tag_of(layer).slide.pyramid()[0][300:400, 100:200])
    now = np.asarray(layer.data[0][300:400, 100:200])
    assert (now == Tone(brightness=0.2).table()[raw]).all()
    assert (now != with_profile).any()
    displaying.reset()
    assert (np.asarray(layer.data[0][300:400, 100:200]) == raw).all()


def test_own_vectors_are_remembered_and_wrong_ones_told(displaying, layer, settings, answers):
    displaying.set_own("0.6 0.7 0.3; 0.1 0.9")
    assert "not a vector of a stain" in str(answers.errors[0])
    displaying.set_own("0.6 0.7 0.3; 0.1 0.9 0.1")
    assert displaying.chosen_set.name == "Own"
    assert settings.get("stain_vectors") == "0.6 0.7 0.3; 0.1 0.9 0.1"
    settings.set("stain_vectors", "rubbish")
    assert [one.name for one in displaying.sets] == [one.name for one in STAIN_SETS]


def test_without_a_slide_nothing_happens(displaying):
    displaying.set_tone(Tone(gamma=2))
    displaying.next_stain()
    assert displaying.display.is_plain
    assert displaying.why_not() == "Open a slide first"


def test_fluorescence_has_no_stains(displaying, layer):
    slide = tag_of(layer).slide
    slide.is_fluorescence = True
    displaying.show_stain(0)
    assert displaying.display.is_plain
    assert "transmitted light" in displaying.why_no_stains()
    slide.is_fluorescence = False
