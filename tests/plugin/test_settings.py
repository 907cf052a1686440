"""What is remembered, and what happens when it cannot be."""

from __future__ import annotations

import json

import pytest

from napari_nic.plugin.settings import Settings, settings_file
from napari_nic.slides import open_slide


def test_values_outlive_the_session(settings):
    settings.set("encoder", "mean-rgb")
    settings.set("added_models", ["/a", "/b"])
    again = Settings()
    assert again.get("encoder") == "mean-rgb"
    assert again.get("added_models") == ["/a", "/b"]
    assert again.get("absent", 3) == 3


def test_nothing_but_the_file_is_left(settings):
    settings.set("encoder", "mean-rgb")
    assert list(settings_file().parent.iterdir()) == [settings_file()]


def test_pixel_size_follows_the_slide_and_not_its_path(settings, unscaled_file, tmp_path):
    with open_slide(unscaled_file) as slide:
        assert settings.apply_to(slide).pixel_size is None
        settings.remember_pixel_size(slide.fingerprint, 0.25)
    moved = unscaled_file.rename(tmp_path / "moved.tif")
    with open_slide(moved) as slide:
        assert Settings().apply_to(slide).pixel_size.mean == pytest.approx(0.25)


def test_known_pixel_size_is_not_overruled(settings, slide_file):
    with open_slide(slide_file) as slide:
        settings.remember_pixel_size(slide.fingerprint, 3.0)
        assert settings.apply_to(slide) is slide


@pytest.mark.parametrize("content", ["{", "[]", '{"pixel_sizes": 3}', '{"pixel_sizes": {"x": -99}}', "\x00"])
def test_damaged_file_is_survived(content):
    settings_file().parent.mkdir(parents=True)
    settings_file().write_text(content, "utf-8")
    settings = Settings()
    assert settings.pixel_size("x") is None
    settings.remember_pixel_size("x", 0.5)
    assert json.loads(settings_file().read_text("utf-8"))["pixel_sizes"]["x"] == 0.5


def test_unwritable_home_is_told_and_survived(home):
    home.parent.mkdir(exist_ok=True)
    home.write_text("a file where the folder should be")
    settings = Settings()
    settings.set("encoder", "mean-rgb")
    assert settings.get("encoder") == "mean-rgb"
    assert str(settings_file()) in settings.problem
