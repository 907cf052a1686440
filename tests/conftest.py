"""Fixtures shared by all rooms: slides and pictures made by code, and the folder of real data."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import settings
from skimage.filters import gaussian
from skimage.transform import downscale_local_mean

if TYPE_CHECKING:
    from pydicom import Dataset

# A machine that others use too is no fault of the code; whatever hangs is stopped elsewhere.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

GLASS = np.array([243, 243, 243], np.float32)
STROMA = np.array([225, 170, 205], np.float32)
NUCLEI = np.array([95, 60, 140], np.float32)

TILE_SIDE = 420
PINK, VIOLET = (225, 150, 190), (120, 70, 150)


def tissue_image(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Return an H&E-like picture (height, width, 3) uint8: an ellipse of tissue in the middle of glass."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    radius = ((y - height / 2) / (0.36 * height)) ** 2 + ((x - width / 2) / (0.36 * width)) ** 2
    noise = gaussian(rng.random((height, width), np.float32), 3)
    nuclei = (noise > np.quantile(noise, 0.8)).astype(np.float32)[..., None]
    inside = (radius < 1).astype(np.float32)[..., None]
    color = (STROMA * (1 - nuclei) + NUCLEI * nuclei) * inside + GLASS * (1 - inside)
    color += rng.normal(0, 2, (height, width, 1))
    return np.clip(color, 0, 255).astype(np.uint8)


def write_tiff(
    path: Path,
    image: np.ndarray,
    *,
    factors: tuple[int, ...] = (1, 4),
    tile: int | None = 256,
    compression: str | None = "jpeg",
    mpp: float | None = 0.5,
    **options: object,
) -> Path:
    """Write a tiled pyramid; `factors` are its levels, `options` go to tifffile for every level."""
    if compression == "jpeg":
        options = {"compressionargs": {"level": 90}} | options
    if tile is not None:
        options["tile"] = (tile, tile)
    with tifffile.TiffWriter(path) as tif:
        for factor in factors:
            height, width = image.shape[0] // factor, image.shape[1] // factor
            level = downscale_local_mean(image[: height * factor, : width * factor], (factor, factor, 1))
            resolution = {} if mpp is None else {"resolution": (1e4 / mpp / factor,) * 2}
            tif.write(
                np.rint(level).astype(image.dtype),
                photometric="rgb",
                compression=compression,
                subfiletype=int(factor > 1),
                resolutionunit="CENTIMETER",
                metadata=None,
                **resolution,
                **options,
            )
    return path


_HOME = pytest.StashKey[str]()


def _synced(handle: int) -> None:
    os.fstat(handle)


def pytest_configure(config: pytest.Config) -> None:
    """Keep what the user has and remembers out of the tests, from before the first of them is collected.

    Nor do they wait for the disk: only a power cut could tell. That files are synchronised, and when, is
    tested by listening to the calls; programs that tests start wait as ever.
    """
    os.fsync = _synced
    config.stash[_HOME] = os.environ["NAPARI_NIC_HOME"] = tempfile.mkdtemp(prefix="napari-nic-tests-")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the empty home of the tests."""
    shutil.rmtree(config.stash[_HOME], ignore_errors=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Generator[None, None, None]:
    """Leave no OpenGL context current in the main thread.

    A window that is never shown leaves one of vispy's. Whichever thread collects garbage next deletes it;
    when that is another one, Qt still holds it as the main thread's, and crashes at the program's end.
    """
    qt = sys.modules.get("qtpy.QtGui")
    context = None if qt is None else qt.QOpenGLContext.currentContext()
    if context is not None:
        context.doneCurrent()
    return (yield)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Small networks are faster on one thread, and the test machine has few."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def make_tissue() -> Callable[..., np.ndarray]:
    """``make_tissue(height, width, seed=0)`` -> H&E-like picture, tissue in the middle of glass."""
    return tissue_image


@pytest.fixture(scope="session")
def make_tiff() -> Callable[..., Path]:
    """``make_tiff(path, image, factors=(1, 4), tile=256, compression="jpeg", mpp=0.5)`` -> path."""
    return write_tiff


@pytest.fixture(scope="session")
def slide_image() -> np.ndarray:
    """The picture in `slide_path` before compression, (1100, 1500, 3)."""
    return tissue_image(1100, 1500)


@pytest.fixture(scope="session")
def slide_path(tmp_path_factory: pytest.TempPathFactory, slide_image: np.ndarray) -> Path:
    """A tiled JPEG TIFF of levels 1, 4 and 16 at 0.5 um/px; 1100 x 1500 px,
    256 px tiles. Do not change it.
    """
    return write_tiff(tmp_path_factory.mktemp("slide") / "made.tif", slide_image, factors=(1, 4, 16))


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of real data, $NAPARI_NIC_TEST_DATA or ../shared/data; the test is skipped without it."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("NAPARI_NIC_TEST_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set NAPARI_NIC_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def cmu_path(data_dir: Path) -> Path:
    """CMU-1-Small-Region.svs: 2967 x 2220 px (rows x cols), 0.499 um/px, one level, 240 px JPEG tiles."""
    path = data_dir / "slides" / "CMU-1-Small-Region.svs"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    return path


@pytest.fixture(scope="session")
def tile_folder(tmp_path_factory, make_tissue):
    """Twelve tiles of 160 x 200 px that are tissue all over, in two class folders, and a folder of masks."""
    folder = tmp_path_factory.mktemp("tiles")
    for index in range(12):
        kind = folder / ("a" if index % 2 else "b")
        kind.mkdir(exist_ok=True)
        tile = make_tissue(700, 800, seed=index)[270:430, 300:500]
        cv2.imwrite(str(kind / f"{index}.png"), tile[..., ::-1])
    (folder / "masks").mkdir()
    cv2.imwrite(str(folder / "masks" / "0.png"), np.zeros((160, 200, 3), np.uint8))
    return folder


def tumour_tile(index: int) -> tuple[np.ndarray, np.ndarray]:
    """Picture (TILE_SIDE, TILE_SIDE, 3), half violet, half pink; the violet one's mask."""
    rng = np.random.default_rng(index)
    mask = np.zeros((TILE_SIDE, TILE_SIDE), bool)
    mask[:, : TILE_SIDE // 2] = True
    image = np.where(mask[..., None], VIOLET, PINK) + rng.normal(0, 12, (TILE_SIDE, TILE_SIDE, 1))
    return np.clip(image, 0, 255).astype(np.uint8), mask


@pytest.fixture(scope="session")
def tumour_folder(tmp_path_factory):
    """Six tiles of six patients at 0.5 um/px, half tumour, with masks, and one tile without a mask."""
    from napari_nic.patches import TileFolder

    folder = tmp_path_factory.mktemp("tiles") / "outlined"
    (folder / "masks").mkdir(parents=True)
    for index in range(6):
        image, mask = tumour_tile(index)
        cv2.imwrite(str(folder / f"p{index}_a.png"), image[..., ::-1])
        cv2.imwrite(str(folder / "masks" / f"p{index}_a.png"), mask.astype(np.uint8) * 255)
    cv2.imwrite(str(folder / "bare.png"), image)
    return TileFolder(folder, 0.5, group=r"^(p\d)_")


@pytest.fixture(scope="session")
def tissue_folders(tumour_folder):
    """The tiles of `tumour_folder`, as what slides are composed of."""
    from napari_nic.synthetic.cohorts import TissueFolders

    return TissueFolders((tumour_folder,))


def dicom_header(shape: tuple[int, int], *, series: str, frame: str = "", resampled: bool = False) -> Dataset:
    """Header of a level of a DICOM slide; its pixels do not matter here."""
    import pydicom
    from pydicom.uid import generate_uid

    header = pydicom.Dataset()
    header.SOPClassUID, header.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.77.1.6", generate_uid()
    header.StudyInstanceUID, header.SeriesInstanceUID = generate_uid(), series
    header.Modality, header.PatientID = "SM", "patient-7"
    header.ImageType = ["DERIVED", "PRIMARY", "VOLUME", "RESAMPLED" if resampled else "NONE"]
    header.TotalPixelMatrixRows, header.TotalPixelMatrixColumns = shape
    header.Rows = header.Columns = 256
    if frame:
        header.FrameOfReferenceUID = frame
    return header


def write_dicom_headers(folder: Path, *headers: Dataset) -> Path:
    """Write a DICOM slide of levels that have no pixels."""
    from pydicom.dataset import FileMetaDataset

    folder.mkdir()
    for number, header in enumerate(headers):
        header.file_meta = FileMetaDataset()
        header.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
        header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID
        header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
        header.save_as(folder / f"level-{number}.dcm", enforce_file_format=True)
    return folder


@pytest.fixture(scope="session")
def dicom_slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DICOM slide of 60,000 x 80,000 px without pixels."""
    from pydicom.uid import generate_uid

    folder = tmp_path_factory.mktemp("dicom") / "slide"
    return write_dicom_headers(folder, dicom_header((60_000, 80_000), series=generate_uid()))


@pytest.fixture(scope="session")
def make_dicom_headers() -> tuple[Callable[..., Path], Callable[..., Dataset]]:
    """``make_dicom_headers(folder, dicom_header(...), ...)``; also gives `dicom_header`."""
    return write_dicom_headers, dicom_header


@pytest.fixture(scope="session")
def wavelet() -> Any:
    """The module that makes a learned codec without training; it loads PyTorch."""
    path = Path(__file__).parent / "recompression" / "learned_nets.py"
    spec = importlib.util.spec_from_file_location("learned_nets", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def learned_folder(wavelet: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A learned codec in a folder, small and good."""
    return wavelet.write_codec(tmp_path_factory.mktemp("learned") / "wavelet")
