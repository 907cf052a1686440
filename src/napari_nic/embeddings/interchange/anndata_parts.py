"""The parts of an AnnData table of patches, written by the anndata library into an HDF5 or Zarr group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_nic.embeddings.interchange.table import CodeTable
from napari_nic.extras import require

if TYPE_CHECKING:
    import pandas as pd

VERSION = {"encoding-type": "anndata", "encoding-version": "0.1.0"}
ARRAY = {"encoding-type": "array", "encoding-version": "0.2.0"}
"""Attributes by which anndata knows a table, and the array of numbers in it."""


def patches_frame(table: CodeTable, ids: np.ndarray | None = None) -> pd.DataFrame:
    """Columns of the patches: tile_id, row, col, and x, y of the top left corner in level-0 pixels.

    Parameters
    ----------
    table : CodeTable
    ids : ndarray of int64, (N,), optional
        Numbers of the tiles; by default they are counted.
    """
    import pandas as pd

    numbers = np.arange(len(table)) if ids is None else ids
    xy = table.coords_xy
    columns = {
        "tile_id": numbers,
        "row": table.cells[:, 0],
        "col": table.cells[:, 1],
        "x": xy[:, 0],
        "y": xy[:, 1],
    }
    return pd.DataFrame(columns, index=pd.Index(numbers.astype(str), dtype=object))


def write_parts(group: Any, obs: pd.DataFrame, parts: Mapping[str, Mapping[str, Any]], codes: int) -> None:
    """Write all of a table but X.

    Parameters
    ----------
    group : h5py.Group or zarr.Group
    obs : DataFrame
        Of the patches.
    parts : mapping
        ``obsm`` and ``uns``; what is left out is written empty.
    codes : int
        Numbers C of a code.
    """
    import pandas as pd

    write_elem = require("anndata", "files of AnnData").io.write_elem
    group.attrs.update(VERSION)
    write_elem(group, "obs", obs)
    write_elem(group, "var", pd.DataFrame(index=pd.Index(np.arange(codes).astype(str), dtype=object)))
    for name in ("layers", "obsm", "obsp", "uns", "varm", "varp"):
        write_elem(group, name, dict(parts.get(name, {})))
