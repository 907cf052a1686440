"""Give an export to TIAToolbox, which has no reader of tables: its graph of a slide is built of one.

python tiatoolbox_reader.py CASE read
"""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

import h5py
from tiatoolbox.tools.graph import SlideGraphConstructor
from truth import Truth

case = Path(sys.argv[1])
truth = Truth(case)
with h5py.File(next((case / "trident").rglob("*.h5"))) as file:
    coords, features = file["coords"][()], file["features"][()]
truth.compare(coords, features)
# Patches of a small slide are all alike and near to each other: they are not to be joined into one node.
graph = SlideGraphConstructor.build(coords + truth.side / 2, features, lambda_h=1e-6)
version = importlib.metadata.version("tiatoolbox")
print(f"tiatoolbox {version}: a graph of {len(graph['x'])} nodes, {graph['edge_index'].shape[1]} edges")
