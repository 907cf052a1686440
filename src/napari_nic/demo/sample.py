"""The sample slide: made by code at first use, so that it needs no network and no patient."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from platformdirs import user_cache_dir

from napari_nic.jobs import Progress
from napari_nic.synthetic import Lesion, SyntheticSlideSpec, write_slide

HOME_VARIABLE = "NAPARI_NIC_HOME"
VERSION = 1
"""Raised when the sample changes: an older one in the cache is then left alone and a new one made."""

SAMPLE_NAME = f"demo-slide-v{VERSION}"

SAMPLE = SyntheticSlideSpec(
    height=4500,
    width=6000,
    seed=5,
    lesions=(Lesion(0.12),),
    stain_variation=0.5,
)
"""3 x 2.25 mm of tissue with one lesion: about 1,600 patches, compressed in seconds on any machine."""


def demo_slide(
    folder: Path | str | None = None, *, told: Callable[[Progress], None] | None = None
) -> tuple[Path, Path]:
    """Return the sample slide and the outlines of its lesion; made at first use, in some seconds.

    Parameters
    ----------
    folder : Path or str, optional
        Where it is kept; by default :func:`samples_folder`.
    told : callable, optional
        Is called with the progress of making it; what it raises ends that.

    Returns
    -------
    slide : Path
        A tiled pyramidal TIFF, 4,500 x 6,000 px at 0.5 um/px.
    annotation : Path
        QuPath GeoJSON in level-0 pixels.
    """
    folder = samples_folder() if folder is None else Path(folder)
    slide, annotation = folder / f"{SAMPLE_NAME}.tif", folder / f"{SAMPLE_NAME}.geojson"
    if not is_made(folder):
        made = write_slide(slide, SAMPLE) if told is None else write_slide(slide, SAMPLE, told=told)
        annotation = made.annotation_path
    return slide, annotation


def is_made(folder: Path | None = None) -> bool:
    """Whether the sample slide and its outlines are there already."""
    folder = folder or samples_folder()
    return all((folder / f"{SAMPLE_NAME}{suffix}").is_file() for suffix in (".tif", ".geojson"))


def samples_folder() -> Path:
    """Return the folder of the samples (it need not exist): in the user's cache, or where
    ``NAPARI_NIC_HOME`` says.
    """
    home = os.environ.get(HOME_VARIABLE)
    return Path(home or user_cache_dir("napari-nic", appauthor=False)) / "samples"
