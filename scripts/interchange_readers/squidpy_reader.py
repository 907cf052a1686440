"""Read an AnnData export by squidpy: neighbours, and a plot.

python squidpy_reader.py CASE read
"""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

import anndata
import matplotlib as mpl
import numpy as np
import squidpy
from truth import Truth

mpl.use("Agg")
case = Path(sys.argv[1])
truth = Truth(case)
table = anndata.read_h5ad(next((case / "anndata").glob("*.h5ad")))
truth.compare(table.obsm["spatial"], table.X)
truth.compare(table.obsm["spatial_centre"] - truth.side / 2, table.X)
squidpy.gr.spatial_neighbors(table, coord_type="generic", radius=(0, truth.step * 1.01))
there = {tuple(cell) for cell in truth.cells}
steps = ((0, 1), (1, 0), (0, -1), (-1, 0))
wanted = [sum((row + down, col + right) in there for down, right in steps) for row, col in truth.cells]
found = np.asarray((table.obsp["spatial_connectivities"] > 0).sum(axis=1)).ravel()
np.testing.assert_array_equal(found, wanted)
squidpy.pl.spatial_scatter(table, color="row", shape=None, spatial_key="spatial_centre")
version = importlib.metadata.version("squidpy")
print(f"squidpy {version}: {len(truth)} patches, {sum(wanted)} neighbours; plotted")
