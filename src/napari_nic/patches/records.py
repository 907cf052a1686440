"""What a patch store says of itself: where its patches come from, and what was left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

SourceKind = Literal["slide", "tile"]


@dataclass(frozen=True)
class PatchOrigin:
    """A slide or tile that patches were cut from, on a grid of its own.

    Attributes
    ----------
    name : str
        File name; of a tile its path below the folder that was given.
    group : str
        Slide or patient; patches of one group never fall on two sides of a split.
    kind : {"slide", "tile"}
    mpp : float
        Micrometres per pixel of the frame that positions are in: level 0 of a slide, the file of a tile.
    step_px : (float, float)
        (y, x) distance between neighbouring patches, and so their side, in that frame.
    fingerprint : str or None
        Of a slide, as in :attr:`napari_nic.slides.Slide.fingerprint`.
    left_out : mapping of str to int
        Reason -> number of patches that were not taken for it.
    """

    name: str
    group: str
    kind: SourceKind
    mpp: float
    step_px: tuple[float, float]
    fingerprint: str | None = None
    left_out: Mapping[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """JSON form; read back by :meth:`from_dict`."""
        return asdict(self) | {"step_px": list(self.step_px), "left_out": dict(self.left_out)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PatchOrigin:
        """Inverse of :meth:`to_dict`."""
        y, x = data["step_px"]
        return cls(**{**data, "step_px": (float(y), float(x))})


@dataclass(frozen=True)
class StoreRecord:
    """The attributes of a patch store.

    Attributes
    ----------
    size : int
        Side of a patch in pixels.
    mpp : float
        Resolution of the patches, um/px.
    class_names : tuple of str
        What labels count in; empty if no patch has one.
    origins : tuple of PatchOrigin
        The column `source` counts in these.
    skipped : tuple of (str, str)
        Files that gave no patch, and why.
    seed : int
        Of the random choice of patches.
    software : str
        What wrote the store.
    """

    size: int
    mpp: float
    class_names: tuple[str, ...] = ()
    origins: tuple[PatchOrigin, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    seed: int = 0
    software: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON form; read back by :meth:`from_dict`."""
        return {
            "size": self.size,
            "mpp": self.mpp,
            "class_names": list(self.class_names),
            "sources": [origin.to_dict() for origin in self.origins],
            "skipped": [list(entry) for entry in self.skipped],
            "seed": self.seed,
            "software": self.software,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> StoreRecord:
        """Inverse of :meth:`to_dict`; raises KeyError, TypeError or ValueError on what is none."""
        return cls(
            size=int(data["size"]),
            mpp=float(data["mpp"]),
            class_names=tuple(str(name) for name in data["class_names"]),
            origins=tuple(PatchOrigin.from_dict(origin) for origin in data["sources"]),
            skipped=tuple((str(file), str(why)) for file, why in data["skipped"]),
            seed=int(data["seed"]),
            software=str(data["software"]),
        )
