"""Shrinking slides: what is filled in, the preview on the slide, the run and its report; without Qt."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from napari_nic.errors import CancelledError
from napari_nic.geometry import Placement
from napari_nic.jobs import CancellationToken
from napari_nic.plugin.controllers import shrinking as module
from napari_nic.plugin.controllers.shrink_preview import LAYER, ShrinkPreview
from napari_nic.plugin.controllers.shrinking import FORM_SETTING, ShrinkController
from napari_nic.plugin.controllers.watching import SlideWatch
from napari_nic.plugin.layers import tissue_layer
from napari_nic.plugin.shrink_form import ShrinkForm, codec_choices, read_form
from napari_nic.recompression import recompress
from napari_nic.recompression.reporting import ReportOptions
from napari_nic.slides import open_slide
from napari_nic.tissue import TissueMask


@pytest.fixture
def watch(viewer):
    made = SlideWatch(viewer)
    yield made
    made.close()


@pytest.fixture
def shrinking(watch, settings, answers, runner, monkeypatch):
    monkeypatch.setattr(
        "napari_nic.plugin.shrink_jobs.ReportOptions",
        lambda **options: ReportOptions(views=1, encoders=("mean-rgb",), **options),
    )
    made = ShrinkController(watch, settings, answers, runner)
    yield made
    made.close()


@pytest.fixture
def preview(shrinking, runner):
    made = ShrinkPreview(shrinking, runner)
    yield made
    made.close()


@pytest.fixture
def shown(viewer, add_slide, slide_file, shrinking):
    """The made slide, level 0 of all of it on the screen."""
    layer = add_slide(viewer, slide_file)
    layer._data_level = 0
    layer.corner_pixels = np.array([[300, 400, 0], [900, 1200, 3]])[:, : layer.corner_pixels.shape[1]]
    return layer


def test_without_a_slide_nothing_can_be_done(shrinking, preview):
    assert shrinking.why_not() == preview.why_not() == "Open a slide first"
    shrinking.start()
    preview.start()
    assert shrinking.target() is None
    assert not shrinking.state.busy


def test_what_is_filled_in_is_remembered(shrinking, watch, settings, answers, runner):
    shrinking.fill_in(mode="lossy", codec="jpeg2000")
    assert shrinking.form.quality == 37, "another codec begins with its own quality"
    shrinking.fill_in(quality=40.0, margin_um=50.0)
    again = ShrinkController(watch, settings, answers, runner)
    assert again.form == shrinking.form
    assert again.form.quality == 40
    again.close()


@pytest.mark.parametrize(
    "remembered",
    [None, "x", {"mode": "gone"}, {"quality": "high"}, {"codec": "gif"}, {"codec": "jpeg", "quality": 900.0}],
)
def test_what_is_remembered_wrongly_does_no_harm(remembered):
    assert read_form(remembered) == ShrinkForm()


@pytest.fixture
def learned(home, learned_folder):
    """A learned codec in the user's folder."""
    shutil.copytree(learned_folder, home / "codecs/tissue")
    return "neural:tissue"


def test_a_learned_codec_is_chosen_and_seen(learned, shrinking, preview, shown):
    assert codec_choices()[learned] == "tissue (learned)"
    shrinking.fill_in(mode="lossy", codec="jpegxl", quality=70.0)
    shrinking.fill_in(codec=learned)
    assert shrinking.scale.is_fixed
    assert shrinking.form.quality == shrinking.scale.default
    shown.corner_pixels = np.array([[300, 400, 0], [400, 500, 3]])[:, : shown.corner_pixels.shape[1]]
    preview.start()
    assert preview.found is not None, shrinking.asking.errors
    assert not np.array_equal(preview.found.before, preview.found.after)
    assert "SSIM 0.9" in preview.numbers()
    assert preview.size.sampled > 0
    options = shrinking.asked().form.lossy(None)
    assert (options.codec, options.quality) == (learned, 1)


def test_a_learned_codec_that_is_gone(learned, home, shrinking, preview, shown, answers):
    shrinking.fill_in(mode="lossy", codec=learned)
    shutil.rmtree(home / "codecs")
    preview.start()
    assert preview.found is None
    assert "unknown learned codec 'tissue'" in str(answers.errors[0])
    again = read_form({"mode": "lossy", "codec": learned, "quality": 1.0})
    assert again == ShrinkForm(mode="lossy"), "the quality of a learned codec is none of another's"


def test_names_of_results(shrinking, shown, slide_file):
    assert shrinking.target() == slide_file.with_name("made.small.tif")
    shrinking.fill_in(mode="lossy", container="ome-tiff", folder="/elsewhere")
    assert shrinking.target() == Path("/elsewhere/made.small.ome.tif")


def test_glass_needs_a_mode_that_can_and_a_pixel_size(shrinking, shown):
    shrinking.fill_in(remove_glass=True)
    assert shrinking.form.glass(None) is None, "repacked slides give it back"
    shrinking.fill_in(mode="optimize", margin_um=30.0)
    assert shrinking.form.glass(None).margin_um == 30
    assert shrinking.why_not() == ""


def test_glass_of_a_slide_of_unknown_size(shrinking, viewer, add_slide, unscaled_file):
    add_slide(viewer, unscaled_file)
    shrinking.fill_in(mode="optimize", remove_glass=True)
    assert "sizes" in shrinking.why_not()


def test_written_anew_with_a_report(shrinking, shown, slide_file):
    before = slide_file.read_bytes()
    shrinking.fill_in(mode="lossy", codec="jpegxl", quality=80.0, least_ssim=0.5)
    shrinking.start()
    done = shrinking.shrunk
    assert done is not None, shrinking.asking.errors
    assert done.out == slide_file.with_name("made.small.tif")
    assert done.out.stat().st_size == done.after
    assert done.page is not None
    assert "The check of every tile" in done.page.read_text("utf-8")
    assert done.page.with_suffix(".json").is_file()
    assert slide_file.read_bytes() == before
    assert f"{done.after:,} bytes" in shrinking.outcome()
    with open_slide(slide_file) as one, open_slide(done.out) as other:
        assert one.levels[0].shape == other.levels[0].shape


def test_tiles_that_are_not_good_enough_are_counted(shrinking, shown):
    shrinking.fill_in(mode="lossy", codec="jpegxl", quality=10.0, least_ssim=0.97, report=False)
    shrinking.start()
    assert shrinking.shrunk is not None, shrinking.asking.errors
    assert shrinking.shrunk.tried_anew > 0
    assert "encoded better than asked" in shrinking.outcome()
    assert shrinking.shrunk.page is None


def test_a_file_that_is_there_is_asked_about(shrinking, shown, answers, slide_file):
    other = slide_file.with_name("made.small.tif")
    other.write_bytes(b"mine")
    shrinking.fill_in(report=False)
    shrinking.start()
    assert other.read_bytes() == b"mine"
    answers.agree = True
    shrinking.start()
    assert shrinking.shrunk is not None
    assert other.stat().st_size > 1000


def test_pause_and_cancel(shrinking, shown, runner, slide_file):
    runner.hold = True
    shrinking.start()
    assert shrinking.state.phase == "running"
    assert shrinking.why_not() == "A slide is being written"
    shrinking.pause()
    assert shrinking.state.phase == "pausing"
    shrinking.pause()
    assert shrinking.state.phase == "running"
    shrinking.cancel()
    assert shrinking.state.phase == "stopping"
    runner.finish()
    assert not shrinking.state.busy
    assert shrinking.shrunk is None
    assert "as it was" in shrinking.outcome()
    assert [entry.name for entry in slide_file.parent.iterdir()] == [slide_file.name]


def test_an_interrupted_run_is_gone_on_with(shrinking, shown, slide_file):
    shrinking.fill_in(mode="repack", report=False)
    assert not shrinking.goes_on()
    token = CancellationToken()
    with pytest.raises(CancelledError):  # noqa: PT012 - in the midst of it
        for report in recompress(slide_file, shrinking.target(), "repack", workers=1, token=token):
            if report.stage.startswith("packing"):
                token.cancel()
    assert shrinking.goes_on()
    shrinking.fill_in(mode="lossy")
    assert not shrinking.goes_on(), "another result"
    shrinking.fill_in(mode="repack")
    shrinking.start()
    assert shrinking.shrunk is not None, shrinking.asking.errors
    assert not shrinking.goes_on()


def test_what_fails_is_told(shrinking, shown, answers, monkeypatch):
    def fail(*_):
        raise OSError("no disk")
        yield

    monkeypatch.setattr(module, "shrink_job", fail)
    shrinking.start()
    assert [str(error) for error in answers.errors] == ["no disk"]
    assert not shrinking.state.busy


def preview_layer(viewer):
    return next((layer for layer in viewer.layers if layer.name == LAYER), None)


def test_the_preview_lies_where_the_slide_has_it(viewer, shrinking, preview, shown):
    shrinking.fill_in(mode="lossy", codec="jpegxl", quality=90.0)
    preview.set_swipe(0)
    preview.start()
    assert preview.found is not None, shrinking.asking.errors
    layer, region = preview_layer(viewer), preview.found.region
    assert layer.data.shape == (region.height, region.width, 3)
    np.testing.assert_array_equal(layer.data, preview.found.after)
    slide = shrinking.watch.slide
    np.testing.assert_array_equal(preview.found.before, slide.read_region(0, region))
    np.testing.assert_allclose(layer.scale[-2:], shown.scale[-2:])
    corner = layer.data_to_world((0, 0))
    np.testing.assert_allclose(corner[-2:], shown.data_to_world((region.y, region.x))[-2:])
    assert viewer.layers.selection.active is not layer


def test_the_swipe_parts_before_and_after(viewer, shrinking, preview, shown):
    shrinking.fill_in(mode="lossy", quality=90.0)
    preview.start()
    layer, width = preview_layer(viewer), preview.found.region.width
    for swipe in (0.25, 0.5, 0.9):
        preview.set_swipe(swipe)
        start = round(swipe * width)
        assert layer.data.shape[1] == width - start
        np.testing.assert_array_equal(layer.data[:, 10:], preview.found.after[:, start + 10 :])
        assert tuple(layer.data[5, 0]) == (0, 90, 255)
        expected = shown.data_to_world((preview.found.region.y, preview.found.region.x + start))
        np.testing.assert_allclose(layer.data_to_world((0, 0))[-2:], expected[-2:])
    preview.set_swipe(1)
    assert not layer.visible
    preview.set_swipe(0)
    assert layer.visible


def test_the_map_of_differences_and_the_numbers(viewer, shrinking, preview, shown):
    shrinking.fill_in(mode="lossy", quality=50.0)
    preview.start()
    assert "SSIM 0." in preview.numbers()
    assert "instead of" in preview.expected()
    after = preview_layer(viewer).data
    preview.set_shown("difference")
    assert not np.array_equal(preview_layer(viewer).data, after)
    assert not preview.is_outdated()
    shrinking.fill_in(quality=60.0)
    assert preview.is_outdated()


def test_glass_is_white_in_the_preview(shrinking, preview, shown):
    shown.corner_pixels = np.array([[0, 0, 0], [500, 500, 3]])[:, : shown.corner_pixels.shape[1]]
    shrinking.fill_in(mode="optimize", remove_glass=True, margin_um=20.0)
    preview.start()
    changed = (preview.found.before != preview.found.after).any(axis=-1)
    assert changed.any()
    assert (preview.found.after[changed] == 255).all()
    assert preview.size is not None


def test_painted_tissue_decides_where_there_is_some(viewer, shrinking, preview, shown):
    shrinking.fill_in(mode="optimize", remove_glass=True, margin_um=0.0)
    mask = np.zeros((110, 150), bool)
    mask[:, 75:] = True
    tissue = TissueMask(mask, Placement((0, 0), (5, 5)), "made")
    data, options, _ = tissue_layer(tissue, shrinking.watch.slide)
    layer = viewer.add_labels(data, **options)
    preview.start()
    region, after = preview.found.region, preview.found.after
    assert region.x < 700 < 780 < region.right
    assert (after[:, : 700 - region.x] == 255).all()
    np.testing.assert_array_equal(after[:, 780 - region.x :], preview.found.before[:, 780 - region.x :])
    layer.data = np.ones_like(data)
    preview.start()
    np.testing.assert_array_equal(preview.found.after, preview.found.before)
    assert shrinking.asked().glass.mask.mask.all()


def test_without_loss_pixels_stay(shrinking, preview, shown):
    preview.start()
    np.testing.assert_array_equal(preview.found.before, preview.found.after)
    assert "exactly what they are" in preview.numbers()
    assert preview.size.sampled > 0


def test_the_preview_goes_with_its_slide_and_its_layer(viewer, shrinking, preview, shown):
    preview.start()
    viewer.layers.remove(preview_layer(viewer))
    assert preview.found is None
    preview.start()
    assert preview_layer(viewer) is not None
    viewer.layers.remove(shown)
    assert preview_layer(viewer) is None
    assert preview.found is None


def test_settings_are_plain(shrinking, settings):
    shrinking.fill_in(mode="optimize")
    assert settings.get(FORM_SETTING)["mode"] == "optimize"
