"""Samples: one made offline, one downloaded and checked."""

from __future__ import annotations

import hashlib
import io
import urllib.error

import pytest

from napari_nic.errors import NicError, SlideNotFoundError
from napari_nic.plugin import sample_data
from napari_nic.plugin.layers import METADATA_KEY

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
