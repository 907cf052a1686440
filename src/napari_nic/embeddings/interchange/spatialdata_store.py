"""Folders of SpatialData: their tables, what those annotate, and the shapes' own unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_nic.embeddings.interchange.anndata_nodes import Table, ZarrTable, column
from napari_nic.embeddings.interchange.table import ImportHints
from napari_nic.embeddings.interchange.wsidata_spec import PROPERTIES, SPEC, entry
from napari_nic.embeddings.interchange.zarr_tables import ZarrFolder
from napari_nic.errors import StoreError
from napari_nic.jobs import CancellationToken

TABLES, SHAPES = ("tables", "table"), "shapes"
_SYSTEMS = ("global", "pixels")


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """A table of features in a folder of SpatialData.

    Attributes
    ----------
    name : str
        Its path, ``tables/{name}``.
    table : ZarrTable
    region : str
        Name of the shapes that its rows are of.
    key : str
        Column that numbers them.
    """

    name: str
    table: ZarrTable
    region: str
    key: str

    @property
    def ids(self) -> np.ndarray:
        """Number of each row's shape, (N,) numbers or text."""
        return column(self.table, self.key)


def feature_tables(folder: ZarrFolder, token: CancellationToken) -> tuple[FeatureTable, ...]:
    """Tables whose rows are of one set of shapes."""
    found = []
    for group in TABLES:
        for member in folder.members(group):
            name = f"{group}/{member}"
            table = ZarrTable(folder, name, token)
            said = _annotation(table)
            regions = np.atleast_1d(np.asarray(said.get("region", []), dtype=object)).ravel().tolist()
            if table.kind("X") and said.get("instance_key") and len(regions) == 1:
                found.append(FeatureTable(name, table, str(regions[0]), str(said["instance_key"])))
    return tuple(found)


def _annotation(table: Table) -> Mapping[str, Any]:
    """Where a table says what its rows are: in its attributes, or its unstructured part."""
    attributes = table.attributes()
    if attributes.get("region"):
        return attributes
    found = table.value("uns/spatialdata_attrs")
    return found if isinstance(found, Mapping) else {}


def chosen(
    tables: tuple[FeatureTable, ...], described: Mapping[str, Any], path: Path, hints: ImportHints
) -> FeatureTable:
    """Choose the table of features: the one that is named, or the only one.

    Parameters
    ----------
    tables : tuple of FeatureTable
    described : mapping
        ``tile_spec`` by name of the tiles: where there is one, only tables of these count.
    path : Path
    hints : ImportHints
        Its `features` names the table.

    Raises
    ------
    StoreError
        If there is none of the name, none at all, or several and none is named.
    """
    of_tiles = tuple(table for table in tables if table.region in described) or tables
    names = [table.name.rpartition("/")[2] for table in of_tiles]
    if hints.features is not None:
        wanted = {hints.features, f"{hints.features}_tiles"}
        fitting = [table for table, name in zip(of_tiles, names, strict=True) if name in wanted]
    else:
        fitting = list(of_tiles)
    if len(fitting) == 1:
        return fitting[0]
    raise StoreError(
        "it holds features of several kinds, and which are meant was not said"
        if len(of_tiles) > 1 and hints.features is None
        else "it holds no table of features of tiles"
        if not of_tiles
        else f"it holds no features {hints.features!r}",
        path=path,
        expected="the name of one of its tables" if of_tiles else "a table in tables/",
        found=", ".join(names) or "none",
        hint="name the one (--features)" if of_tiles else "extract features first",
    )


def boxes_file(folder: ZarrFolder, region: str) -> Path | None:
    """File of a set of shapes; None where there is none."""
    if region not in folder.members(SHAPES):
        return None
    file = folder.path / SHAPES / region / "shapes.parquet"
    return file if file.is_file() else None


def unit_of(folder: ZarrFolder, region: str) -> tuple[float, float]:
    """(y, x) pixels of the picture that the unit of a set of shapes measures.

    Raises
    ------
    StoreError
        If they are turned, moved or bent before they lie on the picture.
    """
    path = folder.path / SHAPES / region
    entries = folder.attributes(f"{SHAPES}/{region}").get("coordinateTransformations") or []
    by_system = {_output(given): given for given in entries if isinstance(given, Mapping)}
    given = next((by_system[name] for name in _SYSTEMS if name in by_system), None)
    if given is None and len(by_system) == 1:
        (given,) = by_system.values()
    if given is None and entries:
        raise StoreError(
            "tiles of which it is not clear how they lie on the slide",
            path=path,
            expected=f"a coordinate system called {' or '.join(_SYSTEMS)}",
            found=", ".join(sorted(by_system)),
        )
    return (1.0, 1.0) if given is None else _scale(given, path)


def _output(given: Mapping[str, Any]) -> str:
    output = given.get("output")
    return str(output.get("name") if isinstance(output, Mapping) else output)[:80]


def _scale(given: Mapping[str, Any], path: Path) -> tuple[float, float]:
    kind = given.get("type")
    if kind == "sequence":
        y, x = 1.0, 1.0
        for part in given.get("transformations") or []:
            part_y, part_x = _scale(part, path)
            y, x = y * part_y, x * part_x
        return y, x
    if kind == "identity":
        return 1.0, 1.0
    scale = given.get("scale")
    if kind == "scale" and isinstance(scale, list) and len(scale) == 2 and _axes(given) == ["x", "y"]:
        x, y = (float(side) for side in scale)
        if 0 < x < np.inf and 0 < y < np.inf:
            return y, x
    raise StoreError(
        "tiles that are turned, moved or bent before they lie on the slide",
        path=path,
        expected="an identity, or a scale",
        found=str(kind)[:80],
    )


def _axes(given: Mapping[str, Any]) -> list[str]:
    source = given.get("input")
    axes = source.get("axes") if isinstance(source, Mapping) else None
    return [str(axis.get("name")) for axis in axes or [] if isinstance(axis, Mapping)] or ["x", "y"]


def described_by(folder: ZarrFolder, token: CancellationToken) -> dict[str, Any]:
    """What wsidata says of slide and tiles: in the root's attributes, or before 0.3 within a table."""
    found = {name: entry(folder.attributes(), name) for name in (PROPERTIES, SPEC)}
    for group in TABLES:
        for member in folder.members(group):
            for name in (PROPERTIES, SPEC):
                if not found[name]:
                    token.checkpoint()
                    part = ZarrTable(folder, f"{group}/{member}", token).value(f"uns/{name}")
                    found[name] = entry({name: part}, name)
    return found
