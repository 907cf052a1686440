"""Arrays as the authors of Neural Image Compression keep them.

``{name}_features.npy`` is float16 **(C, rows, cols)** with background cells 0;
``{name}_features_distance_map.npy`` the probability by which training draws crops. Neither says where the
cells lie on the slide, so ``{name}_features.json`` is written beside them with our header.
"""

from __future__ import annotations

import json
import tokenize
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from napari_nic.descriptions import read_json
from napari_nic.disk import check_regular, replacing
from napari_nic.embeddings.header import StoreHeader
from napari_nic.embeddings.interchange.exporter import Exporter, moved
from napari_nic.embeddings.interchange.naming import named_header
from napari_nic.embeddings.interchange.registry import Importer
from napari_nic.embeddings.interchange.table import (
    CodeTable,
    ForeignCodes,
    ImportHints,
    corners_of,
    header_from_text,
    header_to_text,
    slabs,
)
from napari_nic.embeddings.store import CompressedSlide
from napari_nic.errors import StoreError
from napari_nic.geometry import PixelSize
from napari_nic.jobs import CancellationToken, checked
from napari_nic.names import safe_name
from napari_nic.telling import Notices, tell
from napari_nic.wording import counted

NPY_MAGIC = b"\x93NUMPY"

PATCH, MPP = 128, 0.5
"""Side and distance of the authors' patches in pixels, and the resolution of these."""

_UNREADABLE = (
    *(ValueError, OSError, EOFError, OverflowError, MemoryError),
    *(SyntaxError, RecursionError, tokenize.TokenError),  # of the header, which is Python's text of a dict
)


def to_channels_first(codes: np.ndarray) -> np.ndarray:
    """Convert our (rows, cols, C) to the authors' (C, rows, cols); the only place where this is done."""
    return np.ascontiguousarray(np.moveaxis(codes, -1, 0))


def from_channels_first(codes: np.ndarray) -> np.ndarray:
    """Inverse of :func:`to_channels_first`."""
    return np.ascontiguousarray(np.moveaxis(codes, 0, -1))


def distance_map(occupied: np.ndarray) -> np.ndarray:
    """Probability of each cell to be the centre of a training crop.

    Euclidean distance of each occupied cell to the nearest empty one, divided by the largest, squared, and
    normalised to sum 1, as in the published code of Tellez et al. 2019 (TPAMI, section 4).

    Parameters
    ----------
    occupied : ndarray of bool, (rows, cols)

    Returns
    -------
    ndarray of float64, (rows, cols)
        Uniform where no cell is empty, 0 where all are.
    """
    if occupied.all() or not occupied.any():
        return occupied / max(1, occupied.size)
    from scipy.ndimage import distance_transform_edt

    # OpenCV's, in several threads on a busy machine, did not always give the same bits.
    distance = distance_transform_edt(occupied)
    squared = np.square(distance / distance.max())
    return np.asarray(squared / squared.sum())


def write(store: CompressedSlide, path: Path, token: CancellationToken) -> None:
    """Write the array, its distance map and our header."""
    map_path, header_path = companions(path)
    encoded = store.encoded()
    # All are written before the first gets its name, and the array gets its own last: without the header
    # beside it, it would be read as lying on another grid.
    with (
        replacing(path) as new_array,
        replacing(header_path) as new_header,
        replacing(map_path) as new_map,
    ):
        _save(new_map, distance_map(encoded), token)
        codes = store.read(token=token)
        _save(new_array, to_channels_first(codes), token)
        new_header.write_bytes(header_to_text(named_header(store)).encode("utf-8", "surrogatepass"))
    notes = (*moved(CodeTable(store, encoded), "the array is of one grid"), *_lost(encoded, codes))
    if notes:
        tell(Notices(path.name, notes))


def _lost(encoded: np.ndarray, codes: np.ndarray) -> tuple[str, ...]:
    """Say which patches whoever reads the array takes for background."""
    zero = int((encoded & ~codes.any(axis=-1)).sum())
    if not zero:
        return ()
    return (
        f"the codes of {counted(zero, 'patch', 'patches')} are all 0, which is background in this format",
    )


def _save(path: Path, array: np.ndarray, token: CancellationToken) -> None:
    with path.open("wb") as file:
        token.checkpoint()
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
        for rows in checked(slabs(array), token):
            file.write(array[rows].data)


def companions(path: Path) -> tuple[Path, ...]:
    """(distance map, header) that belong to an array."""
    return path.with_name(f"{path.stem}_distance_map.npy"), path.with_suffix(".json")


def default_name(header: StoreHeader) -> Path:
    """``{slide}_features.npy``."""
    return Path(f"{safe_name(header.slide_name)}_features.npy")


def recognises(path: Path) -> bool:
    """Whether the file is a NumPy array."""
    try:
        with path.open("rb") as file:
            return file.read(len(NPY_MAGIC)) == NPY_MAGIC
    except OSError:
        return False


@contextmanager
def read(path: Path, hints: ImportHints, token: CancellationToken) -> Iterator[ForeignCodes]:
    """Read an array; cells whose code is all 0 are background.

    Without our header beside it, the grid is the one of `hints`: 128 px at 0.5 um/px unless said otherwise.
    """
    check_regular(path, StoreError)
    try:
        # Mapped, so that a header that promises more than the file holds is refused and fills no memory.
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except _UNREADABLE as error:
        raise StoreError("not a readable NumPy array", path=path, found=f"{error}") from error
    if array.ndim != 3 or array.dtype.kind != "f":
        raise StoreError(
            "not an array of codes",
            path=path,
            expected="float (C, rows, cols)",
            found=f"{array.dtype} {array.shape}",
        )
    token.checkpoint()
    codes = from_channels_first(array)
    token.checkpoint()
    cells = np.argwhere(codes.any(axis=-1))
    token.checkpoint()
    yield _located(codes[tuple(cells.T)], cells, _header_beside(path), hints, codes.shape[:2])


def files(path: Path, _hints: ImportHints) -> tuple[Path, ...]:
    """The array, and our header beside it if there is one."""
    _, header_path = companions(path)
    return (path, header_path) if header_path.is_file() else (path,)


def _header_beside(path: Path) -> StoreHeader | None:
    _, header_path = companions(path)
    if not header_path.is_file():
        return None
    described = read_json(header_path, StoreError, what="the description beside the array")
    return header_from_text(json.dumps(described), header_path)


def _located(
    features: np.ndarray,
    cells: np.ndarray,
    header: StoreHeader | None,
    hints: ImportHints,
    shape: tuple[int, int],
) -> ForeignCodes:
    if header is not None:
        return ForeignCodes(features, corners_of(header.grid, cells), header=header)
    mpp, patch = hints.mpp or MPP, hints.patch_size or PATCH
    stride = hints.stride or hints.patch_size or PATCH
    pixel = hints.pixel_size or PixelSize(mpp, mpp, "assumed resolution of the codes")
    step = round(stride * mpp / pixel.mean)
    return ForeignCodes(
        features=features,
        corners=cells * float(step),
        patch=patch * mpp / pixel.mean,
        stride=step,
        patch_size=patch,
        mpp=mpp,
        pixel_size=pixel,
        encoder_name="unknown (NIC array)",
        slide_shape=None if hints.slide_shape else (shape[0] * step, shape[1] * step),
    )


EXPORTER = Exporter("NIC array (.npy)", ".npy", default_name, write, companions)
IMPORTER = Importer("NIC array (.npy)", recognises, read, files)
