"""The Compress button: what it says, what it does, what a second click does."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from napari_nic.embeddings import CompressedSlide
from napari_nic.encoders import load_encoder
from napari_nic.errors import DamagedSlideError, StoreBusyError, StoreError
from napari_nic.geometry import RegionPx
from napari_nic.pipeline import GridOptions, iter_compress
from napari_nic.plugin import compress_job
from napari_nic.plugin.compress_job import Painted, Ready, Settled
from napari_nic.plugin.compress_options import CompressOptions
from napari_nic.plugin.controllers.compressing import CompressController
from napari_nic.plugin.controllers.tissue import TissueController
from napari_nic.slides import open_slide


@pytest.fixture
def tissue(opened, runner) -> TissueController:
    return TissueController(opened, runner)


@pytest.fixture
def compressing(opened, runner, tissue) -> CompressController:
    return CompressController(opened, runner, tissue)


def look_at(session, *, top: int, left: int, bottom: int, right: int) -> None:
    """Make a rectangle of level-0 pixels the visible part of the slide."""
    session.layer.locked_data_level = 0
    session.layer.corner_pixels = np.array([[top, left], [bottom - 1, right - 1]])


def test_without_a_slide(session, runner):
    compressing = CompressController(session, runner, TissueController(session, runner))
    assert "Open a slide" in compressing.why_not()
    compressing.start()
    compressing.pause()
    compressing.cancel()
    assert runner.titles == []


def test_whole_slide(opened, compressing, runner):
    compressing.region = "whole"
    assert compressing.label() == "C&ompress slide"
    compressing.start()
    assert compressing.state.complete
    assert opened.store.is_complete
    assert opened.store.path.name == "made.nic.zarr"
    assert compressing.label() == "Slide compressed"
    assert "All" in compressing.why_not()
    compressing.start()
    assert len(runner.titles) == 1, "a second click has nothing to do"


def test_slide_that_was_opened_before_the_dock_is_known_to_be_compressed(
    session, runner, slide_file, add_slide, compress_file
):
    compress_file(slide_file)
    add_slide(session.viewer, slide_file)
    late = CompressController(session, runner, TissueController(session, runner))
    assert late.state.complete
    assert late.label() == "Slide compressed"


def test_finished_store_has_a_preview(opened, compressing):
    compressing.region = "whole"
    compressing.start()
    assert (opened.store.path / "preview").is_dir()


def test_visible_part_then_the_rest(opened, compressing, answers):
    look_at(opened, top=0, left=0, bottom=600, right=700)
    compressing.region = "visible"
    options = compressing.options = CompressOptions(overlap=0.75)
    compressing.start()
    state = compressing.state
    assert 0 < state.done < state.total
    assert compressing.label() == f"C&ontinue: {state.total - state.done:,} of {state.total:,} left"
    assert not compressing.why_not()
    compressing.start()
    assert "visible part" in answers.notices[0]
    assert compressing.state.complete
    assert compressing.options is options


def test_reports_tell_the_way(opened, compressing, runner):
    runner.hold = True
    compressing.region = "whole"
    seen = []
    compressing.changed.connect(lambda: seen.append(compressing.state))
    compressing.start()
    assert compressing.state.phase == "running"
    assert "being compressed" in compressing.why_not()
    while not isinstance(runner.step(), Ready):
        pass
    assert opened.store is not None
    assert compressing.state.total == int(opened.store.coverage.sum())
    runner.finish()
    assert compressing.state.phase == "idle"
    done = [state.done for state in seen]
    assert done == sorted(done)
    assert {"loading the encoder", "finding tissue", "compressing"} <= {state.stage for state in seen}


def test_patches_are_read_when_the_screen_has_come_to_rest(opened, compressing, runner, monkeypatch):
    order = []
    monkeypatch.setattr(compress_job, "iter_compress", lambda *_, **__: order.append("compress") or iter(()))
    compressing.prepared.connect(lambda: order.append("layer"))
    monkeypatch.setattr(compress_job, "Settled", lambda: order.append("asked") or Settled(seen=Seen(order)))
    compressing.start()
    assert order == ["layer", "asked", "seen", "waited", "compress"]


class Seen(threading.Event):
    """An event that tells when it is set and waited for."""

    def __init__(self, order: list[str]) -> None:
        super().__init__()
        self._order = order

    def set(self) -> None:
        self._order.append("seen")
        super().set()

    def wait(self, timeout: float | None = None) -> bool:
        assert self.is_set()
        self._order.append("waited")
        return super().wait(timeout)


def test_pause_and_go_on(compressing, runner):
    runner.hold = True
    compressing.start()
    job = runner.waiting[0][0]
    compressing.pause()
    assert job.token.paused
    assert compressing.state.phase == "pausing"
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(job.token.checkpoint)
        while compressing.state.phase != "paused":
            assert not waiting.done()
        compressing.pause()
        waiting.result(10)
    assert not job.token.paused
    assert compressing.state.phase == "running"


def test_a_pause_that_is_taken_back_before_it_is_heard(compressing, runner):
    runner.hold = True
    compressing.start()
    compressing.pause()
    compressing.pause()
    assert compressing.state.phase == "running"
    runner.finish()
    assert compressing.state.phase == "idle"


def test_an_error_that_ends_a_paused_run_is_told_at_once(compressing, runner, answers, monkeypatch):
    runner.hold = True
    compressing.region = "whole"
    compressing.options = CompressOptions(overlap=0.75)
    compressing.start()

    def full(*_args, **_options):
        compressing.pause()
        raise StoreError("no space left on the disk")

    monkeypatch.setattr(CompressedSlide, "write_block", full)
    runner.finish()
    assert compressing.state.phase == "idle"
    assert any("no space" in str(error) for error in answers.errors)


def test_cancel_keeps_what_is_finished(opened, compressing, runner, monkeypatch):
    monkeypatch.setattr(compress_job, "throttled", lambda reports, _: reports)
    runner.hold = True
    compressing.options = CompressOptions(overlap=0.75)
    compressing.region = "whole"
    compressing.start()
    while not (isinstance(report := runner.step(), Painted) and report.encoded):
        pass
    compressing.cancel()
    assert compressing.state.phase == "stopping"
    compressing.pause()
    assert compressing.state.phase == "stopping"
    runner.finish()
    done = compressing.state.done
    assert 0 < done < compressing.state.total
    assert CompressedSlide.open(opened.store.path).encoded().sum() == done
    runner.hold = False
    compressing.start()
    assert compressing.state.complete


def test_run_goes_on_behind_another_slide(
    opened, compressing, runner, slide_file, add_slide, make_tiff, make_tissue
):
    runner.hold = True
    compressing.region = "whole"
    compressing.start()
    while not isinstance(runner.step(), Ready):
        pass
    first, store = opened.layer, opened.store
    other = make_tiff(slide_file.with_name("other.tif"), make_tissue(400, 500, seed=2), factors=(1,))
    second = add_slide(opened.viewer, other)
    assert opened.layer is second
    assert compressing.state.phase == "idle"
    assert "made is being compressed" in compressing.why_not()
    opened.select(first)
    assert compressing.state.phase == "running"
    assert opened.store is store
    runner.finish()
    assert compressing.state.complete


def test_run_of_a_removed_slide_is_cancelled(opened, compressing, runner):
    runner.hold = True
    compressing.start()
    job = runner.waiting[0][0]
    opened.viewer.layers.remove(opened.layer)
    assert job.token.cancelled


def test_unknown_pixel_size_blocks(opened, compressing, unscaled_file, add_slide):
    add_slide(opened.viewer, unscaled_file)
    assert "not known" in compressing.why_not()


def test_edited_tissue_is_used(opened, compressing, tissue, answers):
    tissue.edit()
    layer = tissue.layer()
    assert opened.viewer.layers.selection.active is layer
    before = layer.data.any()
    assert before
    layer.data = np.zeros_like(layer.data)
    layer.data[: layer.data.shape[0] // 2] = 1
    compressing.region = "whole"
    compressing.start()
    coverage = opened.store.coverage
    assert coverage[0].all()
    assert not coverage[-1].any()
    assert opened.store.header.tissue["method"] == "edited"

    layer.data[:] = 1
    assert compressing.label() == f"C&ompress anew: {opened.store.coverage.size:,} cells"
    compressing.start()
    assert "Tissue mask changed" in answers.questions[-1]
    assert not opened.store.coverage.all(), "the answer was no"
    answers.agree = True
    compressing.start()
    assert opened.store.coverage.all()
    assert compressing.state.complete


def test_tissue_is_shown_once(opened, tissue):
    tissue.edit()
    tissue.layer().visible = False
    tissue.edit()
    assert tissue.layer().visible
    assert len(opened.viewer.layers) == 2


def test_other_settings_ask_before_they_replace(opened, compressing, answers):
    compressing.region = "whole"
    look_at(opened, top=0, left=0, bottom=10, right=10)
    compressing.region = "visible"
    compressing.options = CompressOptions(overlap=0.5)
    compressing.start()
    shape = opened.store.grid.shape
    compressing.options = CompressOptions(overlap=0.75)
    compressing.region = "whole"
    compressing.start()
    assert "made with other settings" in answers.questions[-1]
    assert "grid" in answers.questions[-1]
    assert opened.store.grid.shape == shape
    answers.agree = True
    compressing.start()
    assert opened.store.grid.shape != shape
    assert compressing.state.complete


@pytest.mark.parametrize(
    "options",
    [CompressOptions(overlap=0.5), CompressOptions(min_tissue=0.6), CompressOptions(precision="bfloat16")],
)
def test_other_options_offer_a_finished_slide_again(compressing, options):
    compressing.region = "whole"
    compressing.start()
    assert compressing.why_not()
    compressing.set_options(options)
    assert not compressing.why_not()
    assert compressing.label() == "C&ompress anew"
    compressing.set_options(CompressOptions(device="cpu"))
    assert compressing.label() == "Slide compressed"


def test_unwritable_folder_is_told_and_another_one_asked_for(
    opened, compressing, answers, tmp_path, monkeypatch
):
    def refuse(*_, **__):
        raise StoreError("not allowed to write here", path=opened.new_store_path(), hint="choose another")

    answers.chosen_folder = tmp_path / "elsewhere"
    with monkeypatch.context() as patch:
        patch.setattr(compress_job, "iter_prepare_store", refuse)
        compressing.start()
    assert isinstance(answers.errors[0], StoreError)
    assert compressing.state.phase == "idle"
    compressing.region = "whole"
    compressing.start()
    assert opened.store.path.parent == tmp_path / "elsewhere"


def test_error_in_the_middle_is_told_and_the_rest_kept(opened, compressing, answers, monkeypatch):
    def fail(*_, **__):
        raise DamagedSlideError("tile (3, 4) cannot be decoded", path=opened.slide.path)

    monkeypatch.setattr(type(opened.slide), "read_stored_tile", fail)
    compressing.start()
    assert isinstance(answers.errors[0], DamagedSlideError)
    assert compressing.state.phase == "idle"
    assert not compressing.why_not()


def test_store_with_overlap_can_be_made_without_it(compressing, opened, answers):
    compressing.region = "whole"
    compressing.set_options(CompressOptions(overlap=0.5))
    compressing.start()
    compressing.set_options(CompressOptions())
    assert compressing.label() == "Slide compressed", "nothing else is asked for"
    compressing.set_options(CompressOptions(overlap=0.0))
    assert compressing.label() == "C&ompress anew"
    answers.agree = True
    compressing.start()
    assert opened.store.grid.stride_px == opened.store.grid.patch_px
    assert compressing.label() == "Slide compressed"


def test_store_of_other_options_is_resumed_as_it_was_begun(compressing, opened, answers):
    look_at(opened, top=0, left=0, bottom=10, right=10)
    compressing.set_options(CompressOptions(overlap=0.75, min_tissue=0.1))
    compressing.start()
    shape = opened.store.grid.shape
    assert not compressing.state.complete
    compressing.set_options(CompressOptions())
    compressing.region = "whole"
    compressing.start()
    assert answers.questions == []
    assert compressing.state.complete
    assert opened.store.grid.shape == shape
    assert opened.store.header.tissue["min_fraction"] == 0.1


def test_options_of_the_grid():
    assert CompressOptions().grid(128) == GridOptions(stride=128)
    assert CompressOptions(overlap=0.5).grid(128).stride == 64
    assert CompressOptions(min_tissue=0.6).grid(128).min_tissue == 0.6


def test_store_is_resumed_in_its_own_precision(opened, compressing, slide_file, compress_file, monkeypatch):
    look_at(opened, top=0, left=0, bottom=10, right=10)
    compressing.start()
    asked = []
    load = compress_job.load_encoder

    def remember(name, **options):
        asked.append(options["precision"])
        return load(name, **options)

    monkeypatch.setattr(compress_job, "load_encoder", remember)
    compressing.region = "whole"
    compressing.options = CompressOptions()
    compressing.start()
    assert asked in ([], [opened.store.header.precision])


def encoded_by(click, session) -> int:
    """Cells that a click encodes."""
    before = 0 if session.store is None else int(session.store.encoded().sum())
    click()
    return int(session.store.encoded().sum()) - before


def number_in(text: str) -> int:
    """The first number of a label."""
    return int(re.search(r"[\d,]+", text)[0].replace(",", ""))


def test_button_counts_the_cells_of_a_mask_that_is_shown(opened, compressing, tissue):
    compressing.region = "whole"
    assert compressing.label() == "C&ompress slide", "the tissue is not known yet"
    compressing.region = "visible"
    assert compressing.label() == "C&ompress visible part"
    tissue.edit()
    compressing.region = "whole"
    label = compressing.label()
    assert label.startswith("C&ompress ")
    assert label.endswith(" cells")
    assert encoded_by(compressing.start, opened) == number_in(label)
    assert compressing.label() == "Slide compressed"


def test_button_counts_what_is_left_here_and_in_all(opened, compressing):
    compressing.options = CompressOptions(overlap=0.75)
    look_at(opened, top=300, left=500, bottom=400, right=600)
    compressing.region = "visible"
    compressing.start()
    look_at(opened, top=0, left=0, bottom=300, right=1500)
    label, total = compressing.label(), compressing.state.total
    left = total - compressing.state.done
    assert re.fullmatch(rf"C&ontinue here: [\d,]+ of {left:,} left", label)
    assert encoded_by(compressing.start, opened) == number_in(label)
    left = total - compressing.state.done
    compressing.region = "whole"
    assert compressing.label() == f"C&ontinue: {left:,} of {total:,} left"
    assert encoded_by(compressing.start, opened) == left


def test_button_says_anew_only_where_all_is_encoded_again(opened, compressing, tissue, answers):
    compressing.region = "whole"
    compressing.start()
    tissue.edit()
    assert "anew" not in compressing.label(), "the mask asks for the same cells"
    compressing.options = CompressOptions(overlap=0.5)
    label = compressing.label()
    assert label.startswith("C&ompress anew: ")
    answers.agree = True
    compressing.start()
    assert int(opened.store.encoded().sum()) == number_in(label)


def test_a_slide_without_tissue_says_so(opened, compressing, tissue):
    tissue.edit()
    tissue.layer().data = np.zeros_like(tissue.layer().data)
    assert compressing.label().startswith("C&ompress 0 cells") or "No tissue" in compressing.label()
    compressing.region = "whole"
    compressing.start()
    if opened.store is not None:
        assert compressing.label() == "No tissue found"
        assert "No tissue was found" in compressing.why_not()


def test_folder_is_chosen_for_one_slide_and_can_be_taken_back(
    opened, compressing, answers, tmp_path, make_tiff, make_tissue, add_slide
):
    """A folder that was chosen for a read-only slide must not redirect every slide after it."""
    beside = opened.slide.path.parent
    opened.set_store_folder(tmp_path / "elsewhere")
    assert opened.describe_place() == f"In {tmp_path / 'elsewhere'}: made.nic.zarr"
    add_slide(opened.viewer, make_tiff(beside / "next.tif", make_tissue(400, 500, seed=7), factors=(1,)))
    assert opened.slide.name == "next"
    assert opened.store_place() == beside / "next.nic.zarr"
    assert opened.describe_place() == "Beside the slide: next.nic.zarr"
    opened.select(opened.slide_layers[0])
    assert opened.store_place() == tmp_path / "elsewhere" / "made.nic.zarr"
    compressing.start()
    assert opened.store.path == tmp_path / "elsewhere" / "made.nic.zarr"
    opened.set_store_folder(None)
    assert opened.store is None
    assert opened.store_place() == beside / "made.nic.zarr"


def test_store_of_the_one_folder_of_earlier_versions_is_found_and_no_new_one_put_there(
    opened, tmp_path, compress_file
):
    made = compress_file(opened.slide.path)
    old = tmp_path / "old"
    old.mkdir()
    made.path.rename(old / made.path.name)
    opened.settings.set("store_folder", str(old))
    opened.find_store(any_encoder=True)
    assert opened.store.path == old / "made.nic.zarr"
    opened.set_store(None)
    assert opened.store_place().parent == opened.slide.path.parent


def test_folder_that_is_asked_for_after_a_failure_is_that_slides(
    opened, compressing, answers, monkeypatch, tmp_path
):
    monkeypatch.setattr(
        compress_job, "iter_prepare_store", fail_with(StoreError("not allowed to write here"))
    )
    answers.chosen_folder = tmp_path / "elsewhere"
    compressing.start()
    assert opened.store_folder == tmp_path / "elsewhere"
    assert opened.settings.get("store_folder") is None


def fail_with(error):
    def fail(*_, **__):
        raise error

    return fail


class TestAnotherRun:
    """Another window, or the command line, writes the store of the slide that is looked at."""

    @pytest.fixture
    def store(self, slide_file, compress_file):
        compress_file(slide_file, first=RegionPx(400, 600, 64, 64), options=GridOptions(stride=16))
        return CompressedSlide.open(slide_file.with_name("made.nic.zarr"), mode="r+")

    @pytest.fixture
    def late(self, store, session, runner, slide_file, add_slide) -> CompressController:
        """The second window, opened while the other run writes."""
        made = CompressController(session, runner, TissueController(session, runner))
        with store.writing():
            add_slide(session.viewer, slide_file)
        return made

    def test_second_window_says_who_is_writing_and_shows_what_is_there(self, store, late, session, runner):
        with store.writing():
            late.follow()
            assert "another window of this program" in late.why_not()
            assert late.why_not() == late.blocked()
            assert late.state.done == int(store.encoded().sum()) > 0
            late.start()
        assert runner.titles == []
        late.follow()
        assert late.why_not() == ""

    def test_second_window_takes_up_what_is_stored(self, store, late, session, slide_file):
        grown = []
        late.grown.connect(lambda: grown.append(late.state.done))
        encoder = load_encoder("mean-rgb")
        runs = compress_cells(slide_file, encoder, store)
        next(runs)
        late.follow()
        assert late.writing.other is not None
        before = late.state.done
        for _ in runs:
            pass
        late.follow()
        assert late.writing.other is None
        assert late.state.done == late.state.total > before
        assert grown[-1] == late.state.done

    def test_run_that_began_before_the_click_is_found_and_nothing_is_encoded_twice(
        self, opened, compressing, runner, slide_file, compress_file
    ):
        assert opened.store is None
        compress_file(slide_file, first=RegionPx(400, 600, 64, 64), options=GridOptions(stride=16))
        other = CompressedSlide.open(slide_file.with_name("made.nic.zarr"), mode="r+")
        with other.writing():
            compressing.start()
        assert runner.titles == []
        assert opened.store.path == other.path
        assert [path.name for path in slide_file.parent.glob("*.nic.zarr")] == ["made.nic.zarr"]

    def test_run_that_began_at_the_same_time_is_told(
        self, opened, compressing, answers, monkeypatch, slide_file
    ):
        error = StoreBusyError("busy", path=slide_file, found="process 4711, since 15:02")
        monkeypatch.setattr(compress_job, "iter_compress", fail_with(error))
        compressing.start()
        assert answers.errors == []
        assert "process 4711, since 15:02" in answers.notices[0]
        assert opened.store is not None, "what is there is shown"


def compress_cells(path, encoder, store):
    with open_slide(path) as slide:
        yield from iter_compress(slide, encoder, store, workers=1)
