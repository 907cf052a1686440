"""Vectors that lie beside a compressed slide, where slide-embed puts them."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from napari_nic.embeddings import CompressedSlide
from napari_nic.errors import StoreError, StoreMismatchError
from napari_nic.names import safe_name, slide_stem
from napari_nic.slide_vectors.files import VECTOR_SUFFIX, read_vector
from napari_nic.slide_vectors.vector import SlideVector, check_same_encoder

LABEL = "vector"
"""Before the suffix of a vector's file: ``slide.titan.vector.h5``."""


def label_of(name: str) -> str:
    """Return what stands between a slide's name and the suffix, for a slide encoder's name."""
    return f"{safe_name(name)}.{LABEL}"


def vector_beside(store: CompressedSlide, encoder: Mapping[str, Any]) -> SlideVector | None:
    """Find the vector of a compressed slide that one slide encoder gave, among the files beside it.

    Parameters
    ----------
    store : CompressedSlide
    encoder : mapping
        Description of the slide encoder.

    Returns
    -------
    SlideVector or None
        None where there is none, or those that are there were made of other codes than the store now holds.
    """
    for file in _files(store.path):
        try:
            vector = read_vector(file)
            check_same_encoder(encoder, vector.encoder, path=file, error=StoreMismatchError)
        except (StoreError, StoreMismatchError):
            continue  # of another slide encoder, or none that can be read
        if is_made_of(vector, store):
            return vector
    return None


def is_made_of(vector: SlideVector, store: CompressedSlide) -> bool:
    """Whether a vector was made of just the codes that a store holds."""
    origin, header = vector.origin, store.header
    return (
        origin.get("slide_key") == header.slide_key
        and origin.get("grid") == header.grid.to_dict()
        and origin.get("patches") == int(store.encoded().sum())
    )


def _files(store: Path) -> Iterator[Path]:
    pattern = f"{glob.escape(slide_stem(store))}.*{LABEL}{VECTOR_SUFFIX}"
    yield from sorted(store.parent.glob(pattern))
