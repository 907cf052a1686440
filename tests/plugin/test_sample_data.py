"""Samples: one made offline, one downloaded and checked."""

from __future__ import annotations

import hashlib
import io
import threading
import urllib.error

import pytest

from napari_nic.errors import NicError, SlideNotFoundError
from napari_nic.jobs import Progress
from napari_nic.plugin import annotation_jobs, readers, sample_data
from napari_nic.plugin.layers import METADATA_KEY
from napari_nic.plugin.widgets import waiting

URL = "https://example.invalid/slide.svs"
CONTENT = b"a slide"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def answer(url: str, **_: object) -> io.BytesIO:
    """Stand in for the network."""
    assert url == URL
    return io.BytesIO(CONTENT)


def refuse(url: str, **_: object) -> io.BytesIO:
    """Stand in for no network."""
    raise urllib.error.URLError(f"no route to host of {url}")


def test_download_is_checked_and_placed(tmp_path, monkeypatch):
    monkeypatch.setattr("urllib.request.urlopen", answer)
    target = tmp_path / "samples" / "slide.svs"
    sample_data.download(URL, target, SHA256)
    assert target.read_bytes() == CONTENT
    assert list(target.parent.iterdir()) == [target]


def test_wrong_content_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr("urllib.request.urlopen", answer)
    target = tmp_path / "samples" / "slide.svs"
    with pytest.raises(NicError, match="not the expected file"):
        sample_data.download(URL, target, "0" * 64)
    assert not target.exists()


def test_no_network_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr("urllib.request.urlopen", refuse)
    with pytest.raises(SlideNotFoundError) as caught:
        sample_data.download(URL, tmp_path / "slide.svs", SHA256)
    assert "synthetic" in caught.value.hint
    assert "no route" in caught.value.found


def test_downloaded_slide_is_used_again(cmu_path, monkeypatch):
    monkeypatch.setattr("urllib.request.urlopen", refuse)
    folder = sample_data.samples_folder()
    folder.mkdir(parents=True)
    (folder / sample_data.CMU_NAME).write_bytes(cmu_path.read_bytes())
    ((levels, options, _),) = sample_data.cmu_small_region()
    assert levels[0].shape[1] == 2220
    options["metadata"][METADATA_KEY].slide.close()


@pytest.fixture
def small_sample(monkeypatch):
    """The sample slide, small enough for a test."""
    from napari_nic.demo import sample
    from napari_nic.synthetic import Lesion, SyntheticSlideSpec

    spec = SyntheticSlideSpec(height=2100, width=700, seed=5, lesions=(Lesion(0.12),))
    monkeypatch.setattr(sample, "SAMPLE", spec)
    monkeypatch.setattr(waiting, "LOOK_MS", 1)
    return sample.samples_folder()


@pytest.mark.gui
def test_first_sample_tells_its_progress_while_the_window_lives(small_sample, qapp, monkeypatch):
    shown = []
    monkeypatch.setattr(waiting.QProgressDialog, "setValue", lambda _, value: shown.append(value))
    layers = sample_data.synthetic_slide()
    assert len(layers) == 2
    layers[0][1]["metadata"][METADATA_KEY].slide.close()
    assert shown, "the event loop went on"
    assert shown == sorted(shown)
    assert len(list(small_sample.iterdir())) == 2
    shown.clear()
    again = sample_data.synthetic_slide()
    assert shown == [], "the second time there is nothing to wait for"
    again[0][1]["metadata"][METADATA_KEY].slide.close()


@pytest.mark.gui
@pytest.mark.parametrize("limit", [0, 1_000_000])
def test_the_window_lives_while_many_outlines_are_read(outlines_file, qapp, monkeypatch, limit):
    shown = []
    monkeypatch.setattr(waiting, "LOOK_MS", 1)
    monkeypatch.setattr(readers, "LARGE_BYTES", limit)
    monkeypatch.setattr(waiting.QProgressDialog, "show", lambda _: shown.append(1))
    threads = []
    read = annotation_jobs.iter_look_up

    def noted(path, **options):
        threads.append(threading.get_ident())
        return (yield from read(path, **options))

    monkeypatch.setattr(annotation_jobs, "iter_look_up", noted)
    assert len(readers.read_annotation_file(outlines_file)) == 2
    assert (threads != [threading.get_ident()]) == bool(shown) == (limit == 0)


@pytest.mark.gui
def test_reading_many_outlines_can_be_cancelled(outlines_file, qapp, monkeypatch):
    monkeypatch.setattr(readers, "LARGE_BYTES", 0)
    read = annotation_jobs.iter_look_up

    def cancelled(path, *, token, **options):
        token.cancel()
        return (yield from read(path, token=token, **options))

    monkeypatch.setattr(annotation_jobs, "iter_look_up", cancelled)
    assert readers.read_annotation_file(outlines_file) == []


@pytest.mark.gui
def test_making_the_sample_can_be_cancelled(small_sample, qapp, monkeypatch):
    tell = waiting._Waiting._tell

    def cancel_first(self, progress, token):
        if progress.done < progress.total:
            token.cancel()
        tell(self, progress, token)

    monkeypatch.setattr(waiting._Waiting, "_tell", cancel_first)
    assert sample_data.synthetic_slide() == []
    assert not list(small_sample.iterdir()), "nothing half-made is left"


@pytest.mark.gui
def test_cancel_button_cancels_the_work(qapp, monkeypatch):
    began = threading.Event()
    told = []

    def work(tell):
        began.set()
        while len(told) < 10_000:
            told.append(1)
            tell(Progress(1, 2))
        raise AssertionError("nobody cancelled")

    def press(dialog, value):
        if began.is_set():
            dialog.canceled.emit()

    monkeypatch.setattr(waiting, "LOOK_MS", 1)
    monkeypatch.setattr(waiting.QProgressDialog, "setValue", press)
    pause = threading.Event()
    assert (
        waiting.wait_for("Working", lambda tell: work(lambda p: (pause.wait(0.005), tell(p))), None) is None
    )


@pytest.mark.gui
def test_what_goes_wrong_while_one_waits_is_raised(qapp):
    def fail(told):
        raise NicError("no paint left")

    with pytest.raises(NicError, match="no paint left"):
        waiting.wait_for("Painting", fail, None)
