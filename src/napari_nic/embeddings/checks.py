"""Whether a store fits the slide and the encoder in use, and codes fit the store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from napari_nic.embeddings.header import StoreHeader
from napari_nic.errors import ChannelsError, InvalidParameterError, StoreError, StoreMismatchError
from napari_nic.identity import described, differing
from napari_nic.slides import Slide, choice_options, describe_choice, open_slide


class SlideLike(Protocol):
    """What :func:`check_slide` needs of a slide."""

    @property
    def name(self) -> str:
        """File stem."""

    @property
    def fingerprint(self) -> str:
        """``"sha256:..."``."""


class SpecLike(Protocol):
    """What :func:`check_encoder` needs of an encoder's specification."""

    @property
    def name(self) -> str:
        """Name of the encoder."""

    def identity(self) -> dict[str, Any]:
        """Return what determines the codes."""


def open_slide_of(header: StoreHeader, path: Path) -> Slide:
    """Open the slide of a store as it was compressed: the same channels, scene and planes.

    Whether it is that slide is for :func:`check_slide` to say.

    Raises
    ------
    NicError
        What :func:`~napari_nic.slides.open_slide` raises.
    """
    try:
        return open_slide(path, **choice_options(header.choice))
    except ChannelsError:
        if not header.choice:
            raise
        return open_slide(path)  # the file of this name is another one now


def check_slide(path: Path, header: StoreHeader, slide: SlideLike) -> None:
    """Raise :class:`StoreMismatchError` unless `header` is of this slide."""
    if slide.fingerprint == header.slide_fingerprint:
        return
    choice = json.loads(json.dumps(dict(getattr(slide, "choice", {}))))
    if choice != header.choice:
        raise StoreMismatchError(
            "the store was made of other channels, or of another scene or plane",
            path=path,
            expected=describe_choice(choice),
            found=describe_choice(header.choice),
            hint="open the slide with these; or compress it to another place, or anew with --overwrite",
        )
    raise StoreMismatchError(
        "the store belongs to another slide",
        path=path,
        expected=f"slide {slide.name} ({slide.fingerprint})",
        found=f"made from {header.slide_name} ({header.slide_fingerprint})",
        hint="name the slide that it was made of, or compress this one to another place or with --overwrite",
    )


def check_encoder(path: Path, header: StoreHeader, spec: SpecLike) -> None:
    """Raise :class:`StoreMismatchError` unless the codes come from this encoder."""
    wanted, found = spec.identity(), header.encoder
    different = differing(wanted, found)
    if different:
        raise StoreMismatchError(
            f"the store's codes come from another encoder than {spec.name}",
            path=path,
            expected=f"{spec.name}: {described(wanted, different)}",
            found=f"{header.encoder_name}: {described(found, different)}",
            hint="use that encoder, or compress the slide again into another store",
        )


def check_covered(path: Path, coverage: np.ndarray, hint: str) -> None:
    """Raise :class:`StoreError` if no cell of a slide is to be compressed; `hint` says how to get some."""
    if not coverage.any():
        raise StoreError(
            f"no tissue was found on this slide: none of its {coverage.size:,} cells is compressed",
            path=path,
            hint=hint,
        )


def checked_codes(path: Path, header: StoreHeader, codes: np.ndarray, coverage: np.ndarray) -> np.ndarray:
    """Return codes of cells as they are stored: float16, zeros where nothing is wanted.

    Parameters
    ----------
    path : Path
    header : StoreHeader
    codes : ndarray of float, (rows, cols, C)
        A copy is made.
    coverage : ndarray of bool, (rows, cols)
        Of the same cells.

    Raises
    ------
    InvalidParameterError
        If their shape is another one.
    StoreError
        If float16 cannot hold them.
    """
    expected = (*coverage.shape, header.code_size)
    if codes.shape != expected:
        raise InvalidParameterError(
            "the codes do not fit the block", expected=f"{expected}", found=f"{codes.shape}"
        )
    with np.errstate(over="ignore"):
        stored = codes.astype(np.float16)
    stored[~coverage] = 0
    if not np.isfinite(stored).all():
        raise StoreError(
            f"encoder {header.encoder_name!r} gave codes that float16 cannot hold",
            path=path,
            expected=f"finite numbers within +-{np.finfo(np.float16).max:g}",
            found=f"largest magnitude {np.abs(codes[coverage]).max():g}",
            hint="scale the encoder's output down",
        )
    return stored
