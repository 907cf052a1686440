"""A store of some channels is not one of others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from napari_nic.embeddings.checks import check_slide
from napari_nic.errors import StoreMismatchError

DAPI = {"channels": [{"index": 0, "name": "DAPI", "color": [0, 0, 255], "window": [0.0, 9.0]}], "scene": 2}


class Slide:
    name = "made"

    def __init__(self, fingerprint: str, choice: dict) -> None:
        self.fingerprint, self.choice = fingerprint, choice


def test_other_channels_are_named(toy, tmp_path):
    header = replace(toy.header(), color={"profile": None, "applied": False, "choice": DAPI})
    check_slide(tmp_path, header, Slide(header.slide_fingerprint, DAPI))
    other = {"channels": [DAPI["channels"][0] | {"index": 1, "name": "Cy3"}], "scene": 2}
    with pytest.raises(StoreMismatchError, match="made of other channels") as caught:
        check_slide(tmp_path, header, Slide("sha256:other", other))
    assert caught.value.expected == "Cy3; scene 2"
    assert caught.value.found == "DAPI; scene 2"
    with pytest.raises(StoreMismatchError, match="belongs to another slide"):
        check_slide(tmp_path, header, Slide("sha256:other", DAPI))


def test_a_run_of_other_channels_does_not_go_on(toy):
    header = replace(toy.header(), color={"profile": None, "applied": False, "choice": DAPI})
    plain = toy.header()
    assert header.matches(header)
    assert any("channels and planes" in text for text in header.differences(plain))
    assert plain.choice == {}
