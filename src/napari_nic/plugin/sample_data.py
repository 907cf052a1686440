"""Sample data of napari's menu: a slide made by code, offline, and a real one by download."""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from pathlib import Path
from tempfile import NamedTemporaryFile

from napari_nic.annotations import read_annotations
from napari_nic.demo import demo_slide, is_made, samples_folder
from napari_nic.errors import NicError, SlideNotFoundError
from napari_nic.plugin.annotation_layers import annotation_layers
from napari_nic.plugin.layers import METADATA_KEY, LayerData
from napari_nic.plugin.readers import has_window, read_slide
from napari_nic.wording import counted

CMU_URL = "https://github.com/AstraZeneca/napari-wsi/raw/d8d6429/tests/data/CMU-1-Small-Region.svs"
CMU_SHA256 = "ed92d5a9f2e86df67640d6f92ce3e231419ce127131697fbbce42ad5e002c8a7"
CMU_NAME = "CMU-1-Small-Region.svs"
"""OpenSlide's test slide, CC0: H&E skin, 2220 x 2967 px at 0.499 um/px, 1.9 MB."""

TIMEOUT_SECONDS = 30


def synthetic_slide() -> list[LayerData]:
    """Open a slide of synthetic histology with lesions of known outline, made at first use.

    That takes some seconds, in which the window lives and the user may cancel; there is no layer then.
    """
    made = demo_slide() if is_made() or not has_window() else _make_in_window()
    if made is None:
        return []
    slide, outlines = made
    layers = read_slide(slide)
    opened = layers[0][1]["metadata"][METADATA_KEY].slide
    return layers + annotation_layers(read_annotations(outlines), opened, "Lesion outline")


def _make_in_window() -> tuple[Path, Path] | None:
    from napari_nic.plugin.widgets.dialogs import napari_window
    from napari_nic.plugin.widgets.waiting import wait_for

    return wait_for("Painting the sample slide", lambda told: demo_slide(told=told), napari_window())


def cmu_small_region() -> list[LayerData]:
    """Open CMU-1-Small-Region, downloaded at first use and checked by its SHA-256."""
    path = samples_folder() / CMU_NAME
    if not path.is_file() or _sha256(path.read_bytes()) != CMU_SHA256:
        download(CMU_URL, path, CMU_SHA256)
    return read_slide(path)


def download(url: str, path: Path, sha256: str) -> None:
    """Fetch a small file; it appears under its name only when its checksum is right.

    Raises
    ------
    SlideNotFoundError
        If the address cannot be reached.
    NicError
        If something else came than was expected.
    """
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 -- our own https
            content = answer.read()
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise SlideNotFoundError(
            "the sample cannot be downloaded",
            path=path,
            expected=url,
            found=str(error),
            hint="check the connection, or use the synthetic sample, which needs none",
        ) from error
    found = _sha256(content)
    if found != sha256:
        raise NicError(
            "the download is not the expected file",
            path=path,
            expected=f"SHA-256 {sha256}",
            found=f"SHA-256 {found} ({counted(len(content), 'byte')})",
            hint="try again later; a proxy may have answered instead",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, delete=False) as temporary:
        temporary.write(content)
    Path(temporary.name).replace(path)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
