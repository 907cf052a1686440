"""What a compressed slide says about itself: which slide, grid, encoder and settings made it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from napari_nic import old_names
from napari_nic.geometry import RegionPx
from napari_nic.grid import PatchGrid
from napari_nic.identity import identity
from napari_nic.slides import clean_choice

UNNAMED = "unknown"
"""How the names of encoders begin that are not known."""

UNKNOWN_SLIDE = "unknown"
"""Fingerprint of a slide that was not at hand when codes of it were imported: very many slides have it."""

MOST_CHANNELS = 2**16
MOST_CELLS = 2**28
"""Beyond any slide: 260,000 px square in steps of 16 px. What claims more is damaged or hostile."""


@dataclass(frozen=True)
class StoreHeader:
    """The description stored with the embeddings of a slide.

    Attributes
    ----------
    slide_name : str
        File stem of the slide.
    slide_fingerprint : str
        ``"sha256:..."``, see :attr:`napari_nic.slides.Slide.fingerprint`; :data:`UNKNOWN_SLIDE` of features
        that were imported without their slide. Two stores are compared by :attr:`slide_key`.
    slide_shape : (int, int)
        (height, width) in level-0 pixels.
    reader : str
        Reader that gave the pixels.
    color : dict
        ``{"profile": name or None, "applied": bool}`` of the ICC profile; ``"choice"`` of a slide that holds
        more than one picture, see :attr:`napari_nic.slides.Slide.choice`.
    grid : PatchGrid
        Cells, level, strides; holds the pixel size and where it came from.
    encoder : dict
        The encoder's full description; its ``code_size`` is C.
    precision : str
        Arithmetic of the encoder, ``"float32"`` or ``"bfloat16"``.
    batch_size : int
        Patches a batch; changes codes by rounding only.
    tissue : dict
        How the covered cells were chosen.
    software, created : str
        Program and version; time of creation (ISO 8601, UTC).
    origin : dict
        What an imported store was made from: name and SHA-256 of the file, the folder that stands for its
        encoder, and what was said besides; empty for one that was compressed.
    slide_bounds : RegionPx or None
        The scanned part in level-0 pixels, which QuPath counts from; None if the slide states none, or the
        store was written by a version that did not keep it.
    """

    slide_name: str
    slide_fingerprint: str
    slide_shape: tuple[int, int]
    reader: str
    color: dict[str, Any]
    grid: PatchGrid
    encoder: dict[str, Any]
    precision: str
    batch_size: int
    tissue: dict[str, Any]
    software: str
    created: str
    origin: dict[str, Any] = field(default_factory=dict, compare=False)
    slide_bounds: RegionPx | None = field(default=None, compare=False)

    @property
    def slide_key(self) -> str:
        """What tells slides apart: the fingerprint, or of unknown ones the files that the codes came from."""
        if self.slide_fingerprint != UNKNOWN_SLIDE:
            return self.slide_fingerprint
        made_from = self.origin.get("files") or [self.slide_name, self.slide_shape, self.created]
        text = json.dumps(made_from, sort_keys=True, default=str)
        return f"{UNKNOWN_SLIDE}:{hashlib.sha256(text.encode()).hexdigest()}"

    @property
    def code_size(self) -> int:
        """Number of channels C of the codes."""
        return int(self.encoder["code_size"])

    @property
    def choice(self) -> dict[str, Any]:
        """What was shown of a slide that holds more than one picture: channels, scene, planes."""
        return clean_choice(self.color.get("choice"))

    @property
    def encoder_name(self) -> str:
        """Name of the encoder, for people."""
        return str(self.encoder.get("name", "unnamed encoder"))

    @property
    def is_encoder_named(self) -> bool:
        """Whether it is known which encoder made the codes; features of other programs may not say."""
        return not self.encoder_name.startswith(UNNAMED)

    def differences(self, other: StoreHeader) -> list[str]:
        """List what would make the codes of `other` differ from ours by more than rounding.

        Returns
        -------
        list of str
            ``"what: ours -> theirs"``, empty when a run for `other` may go on in our store.
        """
        ours, theirs = self.identity(), other.identity()
        return [
            f"{name}: {_short(ours.get(name))} -> {_short(theirs.get(name))}"
            for name in dict.fromkeys((*ours, *theirs))
            if ours.get(name) != theirs.get(name)
        ]

    def identity(self) -> dict[str, Any]:
        """Return what determines the codes, as plain JSON."""
        return _identity(self)

    def matches(self, other: StoreHeader) -> bool:
        """Whether a run described by `other` may resume a store described by this header."""
        return not self.differences(other)

    def to_dict(self) -> dict[str, Any]:
        """JSON form; read back by :meth:`from_dict`."""
        return asdict(self) | {"slide_shape": list(self.slide_shape), "grid": self.grid.to_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> StoreHeader:
        """Inverse of :meth:`to_dict`; entries of later versions that are unknown here are ignored.

        Raises
        ------
        KeyError, TypeError, ValueError
            If an entry is missing or of the wrong kind.
        """
        entries = {"origin": {}, "slide_bounds": None} | dict(data)
        values = {name: entries[name] for name in cls.__dataclass_fields__}
        for name in ("color", "encoder", "tissue", "origin"):
            if not isinstance(values[name], dict):
                raise TypeError(f"{name} is no object")
        for name in ("slide_name", "slide_fingerprint", "reader", "precision", "software", "created"):
            values[name] = str(values[name])
        height, width = values["slide_shape"]
        values["slide_shape"] = (int(height), int(width))
        values["slide_bounds"] = _bounds(values["slide_bounds"])
        values["grid"] = PatchGrid.from_dict(values["grid"])
        header = cls(**values)
        if not 1 <= header.code_size <= MOST_CHANNELS:  # also raises where there is none
            raise ValueError(f"code_size is {header.code_size}")
        if header.grid.rows * header.grid.cols > MOST_CELLS:
            raise ValueError(f"a grid of {header.grid.rows} x {header.grid.cols} cells")
        return header


def _bounds(value: Any) -> RegionPx | None:
    if value is None:
        return None
    y, x, height, width = (int(value[name]) for name in ("y", "x", "height", "width"))
    return RegionPx(y, x, height, width)


def _identity(header: StoreHeader) -> dict[str, Any]:
    """Flatten what determines the codes, in the form that it has after a round trip through JSON."""
    grid = header.grid.to_dict()
    # Where the pixel size was read does not change a patch, only its value does.
    grid["pixel_size"] = [header.grid.pixel_size.y, header.grid.pixel_size.x]
    flat = {
        "slide": header.slide_fingerprint,
        "slide shape": list(header.slide_shape),
        "colour profile applied": header.color.get("applied"),
        "channels and planes": header.choice,
        "precision": header.precision,
    }
    flat |= {f"grid {name}": value for name, value in grid.items()}
    flat |= {f"encoder {name}": value for name, value in identity(header.encoder).items()}
    return dict(json.loads(json.dumps(flat)))


def _short(value: object) -> str:
    """Shorten a checksum so that a message stays readable."""
    text = str(value)
    limit = 24
    return text if len(text) <= limit else f"{text[:limit]}..."


if not TYPE_CHECKING:
    __getattr__ = old_names.members_of(__name__)
