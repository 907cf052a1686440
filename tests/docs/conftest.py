"""A folder to run a page in: empty for the tutorials, with a few slides for the other pages."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from napari_nic.synthetic import make_test_slide


@pytest.fixture(scope="session")
def few_slides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the commands of README and how-to pages speak of: slides with an outline of the first."""
    folder = tmp_path_factory.mktemp("few-slides")
    first = make_test_slide(folder / "slides" / "a.svs", seed=3)
    shutil.move(first.annotation_path, folder / "a.geojson")
    shutil.copy(first.path, folder / "SLIDE.svs")
    shutil.copy(first.path, folder / "slide.svs")
    shutil.copy(first.path, folder / "slides" / "b.svs")
    return folder
