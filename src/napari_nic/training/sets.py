"""What a user names as training data, and the patch sources that are made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from napari_nic.errors import InvalidParameterError
from napari_nic.jobs import CancellationToken
from napari_nic.patches import PatchSource, TileFolder, TileSet, load_tiles, split_tiles


@dataclass(frozen=True)
class Wanted:
    """What the network needs of its patches.

    Attributes
    ----------
    size : int
        Side, px; somewhat more than the network's input, so that zoom and rotation show real pixels.
    mpp : float
        um/px.
    held_out : float
        Share of the slides or patients that is kept for validation.
    seed : int
        Of the split.
    """

    size: int
    mpp: float
    held_out: float = 0.1
    seed: int = 0


@dataclass(frozen=True, eq=False)
class LoadedSet:
    """A set that is ready to draw from.

    Attributes
    ----------
    train : PatchSource
    held_out : PatchSource or None
        None where there is a single slide or patient: then nothing can be held out.
    facts : mapping
        For the encoder's model card.
    """

    train: PatchSource
    held_out: PatchSource | None
    facts: Mapping[str, Any] = field(default_factory=dict)


class TrainingSet(Protocol):
    """A set of patches that a user names."""

    def load(self, wanted: Wanted, *, token: CancellationToken | None = None) -> LoadedSet:
        """Read it, and split it by slide or patient."""
        ...


@dataclass(frozen=True)
class TileFolders:
    """Folders of tiles that make one set.

    Attributes
    ----------
    folders : sequence of TileFolder
        All labelled or none.
    """

    folders: Sequence[TileFolder]

    def load(self, wanted: Wanted, *, token: CancellationToken | None = None) -> LoadedSet:
        """Read the tiles at the resolution wanted.

        Raises
        ------
        InvalidParameterError
            If no tile can be used.
        """
        loaded = load_tiles(self.folders, mpp=wanted.mpp, least_side=wanted.size, token=token)
        kept, away = split_tiles(loaded.tiles, held_out=wanted.held_out, seed=wanted.seed)
        facts = {
            "folders": [f"{folder.path.name} at {folder.mpp:g} um/px" for folder in self.folders],
            "tiles": len(loaded.tiles),
            "groups": len({tile.group for tile in loaded.tiles}),
            "tiles_skipped": len(loaded.skipped),
        }
        train = TileSet(kept, wanted.size, mpp=wanted.mpp)
        held_out = TileSet(away, wanted.size, mpp=wanted.mpp) if away else None
        if held_out is not None and held_out.class_names != train.class_names:
            # A class that is in one slide only cannot be on both sides.
            held_out, facts = None, facts | {"held_out": "none: a class is in too few slides to be held out"}
        return LoadedSet(train, held_out, facts | _classes(train))


@dataclass(frozen=True)
class StoreSet:
    """A store that ``napari-nic patches extract`` made."""

    path: Path

    def load(self, wanted: Wanted, *, token: CancellationToken | None = None) -> LoadedSet:
        """Open the store and split it.

        Raises
        ------
        InvalidParameterError
            If its patches are of another resolution, or smaller than the network's input.
        """
        from napari_nic.patches import PatchStore, split_by_group

        store = PatchStore.open(self.path)
        _check_patches(store, wanted, self.path)
        if token is not None:
            token.checkpoint()
        everything, away = np.arange(len(store)), np.empty(0, np.int64)
        if len(set(store.groups)) > 1:
            shares = (1 - wanted.held_out, wanted.held_out)
            everything, away = split_by_group(store.groups, shares, labels=store.labels, seed=wanted.seed)
        held_out = store.source(away) if len(away) else None
        facts = {"store": self.path.name, "patches": len(store)}
        source = store.source(everything)
        return LoadedSet(source, held_out, facts | _classes(source))


@dataclass(frozen=True, eq=False)
class GivenSources:
    """Patch sources that are there already, for instance of slides that are open."""

    train: PatchSource
    held_out: PatchSource | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    def load(self, wanted: Wanted, *, token: CancellationToken | None = None) -> LoadedSet:
        """Return them."""
        _check_patches(self.train, wanted, None)
        if token is not None:
            token.checkpoint()
        return LoadedSet(self.train, self.held_out, self.facts)


def _classes(source: PatchSource) -> dict[str, Any]:
    return {"classes": list(source.class_names)} if source.class_names else {}


def _check_patches(source: Any, wanted: Wanted, path: Path | None) -> None:
    tolerance = 0.02 * wanted.mpp
    if abs(source.mpp - wanted.mpp) > tolerance:
        raise InvalidParameterError(
            "the patches have another resolution than the network sees",
            path=path,
            expected=f"{wanted.mpp:g} um/px",
            found=f"{source.mpp:g} um/px",
            hint=f"extract them again with --target-mpp {wanted.mpp:g} --size {wanted.size}",
        )
    if source.size < wanted.size:
        raise InvalidParameterError(
            "the patches are too small for training",
            path=path,
            expected=f"at least {wanted.size} px: the network's input and a margin for zoom and rotation",
            found=f"{source.size} px",
            hint=f"extract them again with --target-mpp {wanted.mpp:g} --size {wanted.size}",
        )
