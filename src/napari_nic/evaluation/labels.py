"""How the class of a patch follows from its tile: from a folder's name, an outline, or counted nuclei."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from napari_nic.errors import InvalidParameterError
from napari_nic.patches.tiles import Tile
from napari_nic.patches.tileset import INSIDE, MASK_CLASSES, OUTSIDE

Place = tuple[int, int]
"""Top left corner (y, x) of a patch in pixels of its tile."""


@dataclass(frozen=True, eq=False)
class TilePatches:
    """A tile and where patches are cut from it.

    Attributes
    ----------
    file : Path
        Of the tile.
    tile : Tile
    places : sequence of (y, x)
    side : int
        Of the patches, in pixels of the tile.
    """

    file: Path
    tile: Tile
    places: Sequence[Place]
    side: int


class LabelRule(Protocol):
    """Gives patches of a tile their classes."""

    def label(self, patches: TilePatches) -> list[str | None]:
        """Return the class of each patch, None for one that belongs to none."""
        ...


@dataclass(frozen=True)
class FolderLabels:
    """A tile's class is the folder it lies in, directly below the set's.

    Attributes
    ----------
    classes : mapping of str to str
        Folder to class; tiles of other folders have none. Empty: every folder is a class.
    """

    classes: Mapping[str, str] = field(default_factory=dict)

    def label(self, patches: TilePatches) -> list[str | None]:
        """Return the tile's class for each patch; see :class:`LabelRule`."""
        name = patches.tile.class_name
        if self.classes:
            name = self.classes.get(name or "")
        return [name] * len(patches.places)


@dataclass(frozen=True)
class OutlineLabels:
    """A patch is ``inside`` an expert's outline by more than half of it, ``outside`` by less than 1 %."""

    def label(self, patches: TilePatches) -> list[str | None]:
        """Return the class of each patch, None at the outline; see :class:`LabelRule`."""
        mask, side = patches.tile.mask, patches.side
        if mask is None:
            return [None] * len(patches.places)
        shares = [float(mask[y : y + side, x : x + side].mean()) for y, x in patches.places]
        outside, inside = MASK_CLASSES
        return [inside if share > INSIDE else outside if share < OUTSIDE else None for share in shares]


@dataclass(frozen=True)
class NucleiLabels:
    """A tile's class is the type that most of its nuclei have.

    Attributes
    ----------
    folder : str
        Of one MATLAB file per tile, of the tile's name; relative to the set's folder.
    key : str
        Its array of types, one whole number per nucleus.
    names : mapping of str to str
        Type (as JSON writes the key) to class.
    least_share : float
        Tiles where the commonest type has a smaller share of the nuclei have no class.
    least_count : int
        Nor have tiles with fewer nuclei.
    """

    folder: str
    key: str
    names: Mapping[str, str]
    least_share: float = 0.6
    least_count: int = 5

    def label(self, patches: TilePatches) -> list[str | None]:
        """Return the tile's class for each patch; see :class:`LabelRule`.

        Raises
        ------
        InvalidParameterError
            If the file of nuclei is missing or holds no such array.
        """
        return [self.commonest(self._types(patches.file))] * len(patches.places)

    def commonest(self, types: np.ndarray) -> str | None:
        """Return the class for types (n,) of nuclei, or None where they are too few or too mixed."""
        values, counts = np.unique(types, return_counts=True)
        if counts.sum() < self.least_count or counts.max() < self.least_share * counts.sum():
            return None
        return self.names.get(str(int(values[counts.argmax()])))

    def _types(self, file: Path) -> np.ndarray:
        from scipy.io import loadmat
        from scipy.io.matlab import MatReadError

        source = file.parent / self.folder / f"{file.stem}.mat"
        try:
            content = loadmat(source, variable_names=[self.key])
        except (OSError, ValueError, MatReadError) as error:
            raise InvalidParameterError(
                "the nuclei of a tile cannot be read", path=source, expected="a MATLAB file", found=str(error)
            ) from error
        return np.asarray(content.get(self.key, ())).ravel()


RULES = {"folders": FolderLabels, "outlines": OutlineLabels, "nuclei": NucleiLabels}
"""Rules by their name in a file of sets."""


def parse_rule(value: Any) -> LabelRule:
    """Read a rule as a file of sets states it: a name, or an object with ``rule`` and the rule's fields.

    Raises
    ------
    InvalidParameterError
        If the rule or a field of it is not known.
    """
    stated = {"rule": value} if isinstance(value, str) else dict(value)
    name = stated.pop("rule", None)
    if name not in RULES:
        raise InvalidParameterError(
            "unknown rule for labels", expected=f"one of {', '.join(RULES)}", found=repr(name)
        )
    try:
        rule: LabelRule = RULES[name](**stated)
    except TypeError as error:
        raise InvalidParameterError(f"the rule {name!r} is stated wrongly", found=str(error)) from error
    return rule
