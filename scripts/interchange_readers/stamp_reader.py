"""Read an export by STAMP's own functions, and count cells as its heatmaps do.

python stamp_reader.py CASE read        (with STAMP's folder on the path)
"""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

import h5py
import numpy as np
import torch
from stamp.modeling.data import get_coords, get_stride
from truth import Truth

case = Path(sys.argv[1])
truth = Truth(case)
with h5py.File(next((case / "stamp").rglob("*.h5"))) as file:
    codes, info = file["feats"][()], get_coords(file)
places = torch.as_tensor(np.asarray(info.coords_um)).float()
index = (places / get_stride(places)).round().long().numpy()
np.testing.assert_array_equal(index[:, ::-1], truth.cells)
np.testing.assert_array_equal(codes.astype(np.float32), truth.codes)
with np.load(case / "true.npz") as archive:
    assert round(float(info.tile_size_um) / float(archive["mpp"])) == truth.side
print(f"STAMP {importlib.metadata.version('stamp')}: {len(truth)} tiles in their cells")
