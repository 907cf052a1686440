"""Slides that are painted while they are read are the same as the files."""

import numpy as np
import pytest

from napari_nic.errors import OutOfBoundsError
from napari_nic.slides import open_slide
from napari_nic.synthetic import Lesion, Scene, SyntheticSlideSpec, open_painting, write_pyramid

SPEC = SyntheticSlideSpec(600, 700, seed=3, lesions=(Lesion(0.3),), coverage=0.6)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    path = tmp_path_factory.mktemp("live") / "made.json"
    path.write_text("{}")
    return path


def test_pixels_are_those_of_the_file(recipe):
    scene = Scene(SPEC)
    file = recipe.with_name("made.tif")
    write_pyramid(file, scene)
    with open_slide(file) as written, open_painting(scene, recipe) as live:
        assert live.levels[0].shape == written.levels[0].shape
        assert live.require_pixel_size().mean == pytest.approx(written.require_pixel_size().mean)
        region = written.levels[0].region
        assert np.array_equal(live.read_region(0, region), written.read_region(0, region))


def test_the_recipe_names_and_identifies_the_slide(recipe):
    other = recipe.with_name("other.json")
    other.write_text('{"seed": 1}')
    scene = Scene(SPEC)
    with open_painting(scene, recipe) as first, open_painting(scene, other) as second:
        assert first.name == "made"
        assert first.fingerprint != second.fingerprint
        with pytest.raises(OutOfBoundsError):
            first.read_associated("label")
