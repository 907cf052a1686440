"""Digits of 9 x 9 px: those of MNIST, read from its files, or those that come with scikit-learn."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from napari_nic.errors import InvalidParameterError, MissingDependencyError

GLYPH = 9
"""Side of a digit, of a patch and of a cell, px."""

CLASSES = 10
WHITE = 255
FAINT = 63
"""Pixels brighter than this become white; fainter ones stay as they are (published code)."""

THIRD = 3
MNIST_SIDE = 28
PARTS = {"train": "train", "test": "t10k"}
"""Parts of MNIST to the beginnings of its file names."""

_IMAGES_MAGIC, _LABELS_MAGIC = 2051, 2049
_SKLEARN_WHITE, _SKLEARN_SIDE = 16, 8
_SKLEARN_TEST = 0.2


@dataclass(frozen=True, eq=False)
class Glyphs:
    """Pictures of digits.

    Attributes
    ----------
    images : ndarray of uint8, (n, 9, 9)
        White on black.
    labels : ndarray of int64, (n,)
        0 to 9, each at least once.
    name : str
        Where they are from.
    """

    images: np.ndarray
    labels: np.ndarray
    name: str

    def __post_init__(self) -> None:
        fits = self.images.shape == (len(self.labels), GLYPH, GLYPH) and self.images.dtype == np.uint8
        if not fits or set(np.unique(self.labels).tolist()) != set(range(CLASSES)):
            raise InvalidParameterError(
                "these are no digits for the experiment",
                expected=f"uint8 (n, {GLYPH}, {GLYPH}) with labels of all {CLASSES} classes",
                found=f"{self.images.dtype} {self.images.shape}, classes {np.unique(self.labels).tolist()}",
            )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def empty(self) -> int:
        """Number that stands for no digit: that of the black picture at the end of :attr:`table`."""
        return len(self)

    @cached_property
    def table(self) -> np.ndarray:
        """All pictures that a cell can hold, uint8 (n + 1, 9, 9); the last one is black."""
        return np.concatenate([self.images, np.zeros((1, GLYPH, GLYPH), np.uint8)])

    @cached_property
    def _sorted(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Numbers of the digits class by class, where each class starts, and how many it has."""
        counts = np.bincount(self.labels, minlength=CLASSES)
        return np.argsort(self.labels, kind="stable"), np.cumsum(counts) - counts, counts

    def pick(self, classes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Pick a digit of each wanted class, all of a class with the same odds: int64, like `classes`."""
        order, starts, counts = self._sorted
        return order[starts[classes] + rng.integers(counts[classes])]

    def split(self, share: float, rng: np.random.Generator) -> tuple[Glyphs, Glyphs]:
        """Put a share of each class, at least one digit, aside; return what is kept and what is aside."""
        members = [rng.permutation(np.flatnonzero(self.labels == label)) for label in range(CLASSES)]
        counts = [max(1, round(share * len(each))) for each in members]
        away = np.sort(np.concatenate([each[:count] for each, count in zip(members, counts, strict=True)]))
        kept = np.setdiff1d(np.arange(len(self)), away)
        return (
            Glyphs(self.images[kept], self.labels[kept], self.name),
            Glyphs(self.images[away], self.labels[away], self.name),
        )


def read_mnist(folder: Path | str, part: str = "train") -> Glyphs:
    """Read MNIST's idx files, plain or gzipped, and make digits of 9 x 9 px.

    Parameters
    ----------
    folder : Path or str
        Holds ``train-images-idx3-ubyte`` and so on, with or without ``.gz``.
    part : {"train", "test"}

    Raises
    ------
    InvalidParameterError
        If a file is missing, damaged or of another kind.

    Notes
    -----
    As in the published code: pixels above 63 become white, then every third pixel is taken. The tenth row
    and column that this leaves lie in MNIST's empty margin and are dropped.
    """
    images = _read_idx(Path(folder), f"{PARTS[part]}-images-idx3-ubyte", _IMAGES_MAGIC, axes=3)
    labels = _read_idx(Path(folder), f"{PARTS[part]}-labels-idx1-ubyte", _LABELS_MAGIC, axes=1)
    small = whiten(images)[:, ::THIRD, ::THIRD][:, :GLYPH, :GLYPH]
    return Glyphs(np.ascontiguousarray(small), labels.astype(np.int64), f"MNIST, {part}")


def whiten(images: np.ndarray, white: int = WHITE) -> np.ndarray:
    """Scale grey values 0 to `white` to uint8, and make those above a quarter white."""
    scaled = (images.astype(np.uint16) * WHITE // white).astype(np.uint8)
    scaled[scaled > FAINT] = WHITE
    return scaled


def sklearn_glyphs(part: str = "train") -> Glyphs:
    """Make digits of the 1,797 of 8 x 8 px that come with scikit-learn: the last fifth is for testing.

    Raises
    ------
    MissingDependencyError
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingDependencyError(
            "digits come from MNIST's files or from scikit-learn, and neither is there",
            hint='name the folder of the files (--digits), or: pip install "napari-nic[train]"',
        ) from error
    found = load_digits()
    first = round(len(found.target) * (1 - _SKLEARN_TEST))
    chosen = slice(first) if part == "train" else slice(first, None)
    images = whiten(found.images[chosen], _SKLEARN_WHITE)
    margin = GLYPH - _SKLEARN_SIDE
    padded = np.pad(images, ((0, 0), (0, margin), (0, margin)))
    return Glyphs(padded, found.target[chosen].astype(np.int64), f"scikit-learn, {part}")


def load_glyphs(folder: Path | str | None, part: str = "train") -> Glyphs:
    """Read MNIST where a folder is given, else take scikit-learn's digits."""
    return sklearn_glyphs(part) if folder is None else read_mnist(folder, part)


def _read_idx(folder: Path, name: str, magic: int, *, axes: int) -> np.ndarray:
    file = next((f for f in (folder / name, folder / f"{name}.gz") if f.is_file()), None)
    if file is None:
        raise InvalidParameterError(
            "a file of MNIST is missing", path=folder, expected=f"{name} or {name}.gz", found="neither"
        )
    try:
        content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    except (OSError, EOFError) as error:
        raise InvalidParameterError("the file cannot be read", path=file, found=str(error)) from error
    header = struct.Struct(f">{axes + 1}I")
    found, *shape = header.unpack(content[: header.size]) if len(content) >= header.size else (0, 0)
    if found != magic or len(content) - header.size != np.prod(shape) or not _is_mnist(shape):
        raise InvalidParameterError(
            "this is no file of MNIST",
            path=file,
            expected=f"idx format {magic}, pictures of {MNIST_SIDE} x {MNIST_SIDE} px, or their labels",
            found=f"format {found}, shape {tuple(shape)}, {len(content)} bytes",
        )
    return np.frombuffer(content, np.uint8, offset=header.size).reshape(shape)


def _is_mnist(shape: Sequence[int]) -> bool:
    return len(shape) == 1 or tuple(shape[1:]) == (MNIST_SIDE, MNIST_SIDE)
