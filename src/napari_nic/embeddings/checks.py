"""Whether a store fits the slide and the encoder in use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Protocol

from napari_nic.embeddings.header import StoreHeader
from napari_nic.errors import ChannelsError, StoreMismatchError
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
