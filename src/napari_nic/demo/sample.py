"""The sample slide: made by code at first use, so that it needs no network and no patient."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_dir

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


def demo_slide(folder: Path | str | None = None) -> tuple[Path, Path]:
    """Return the sample slide and the outlines of its lesion; made at first use, in some seconds.

    Parameters
    ----------
    folder : Path or str, optional
        Where it is kept; by default :func:`samples_folder`.

    Returns
    -------
    slide : Path
        A tiled pyramidal TIFF, 4,500 x 6,000 px at 0.5 um/px.
    annotation : Path
        QuPath GeoJSON in level-0 pixels.
    """
    folder = samples_folder() if folder is None else Path(folder)
    slide, annotation = folder / f"{SAMPLE_NAME}.tif", folder / f"{SAMPLE_NAME}.geojson"
    if not (slide.is_file() and annotation.is_file()):
        made = write_slide(slide, SAMPLE)
        annotation = made.annotation_path
    return slide, annotation


def samples_folder() -> Path:
    """Return the folder of the samples (it need not exist): in the user's cache, or where
    ``NAPARI_NIC_HOME`` says.
    """
    home = os.environ.get(HOME_VARIABLE)
    return Path(home or user_cache_dir("napari-nic", appauthor=False)) / "samples"
