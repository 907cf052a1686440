"""Read an export by TRIDENT's own function, and count cells as its slide encoders do.

python trident_reader.py CASE read        (with TRIDENT's folder on the path)
"""

from __future__ import annotations

import sys
from pathlib import Path

import h5py
import numpy as np
from trident.IO import read_coords
from truth import Truth

case = Path(sys.argv[1])
truth = Truth(case)
for form, wanted in (("trident", truth.side), ("titan", truth.step)):
    path = next((case / form).rglob("*.h5"))
    attributes, coords = read_coords(str(path))
    with h5py.File(path) as file:
        truth.compare(coords, file["features"][()])
    assert int(attributes["patch_size_level0"]) == wanted, attributes
cells = (coords - coords.min(axis=0)) // int(attributes["patch_size_level0"])
np.testing.assert_array_equal(cells[:, ::-1], truth.cells - truth.cells.min(axis=0))
print(f"TRIDENT: {len(truth)} patches, one cell each")
