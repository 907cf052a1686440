"""Read an export by CLAM's own data set, from its tensors and from its HDF5 files.

python clam_reader.py CASE read        (with CLAM's folder on the path)
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np
from dataset_modules.dataset_generic import Generic_MIL_Dataset
from truth import Truth

case = Path(sys.argv[1])
truth = Truth(case)
(features,) = (case / "clam" / "h5_files").glob("*.h5")
with tempfile.TemporaryDirectory() as folder:
    table = Path(folder, "slides.csv")
    table.write_text(f"case_id,slide_id,label\np,{features.stem},yes\n")
    slides = Generic_MIL_Dataset(
        data_dir=str(case / "clam"), csv_path=str(table), label_dict={"no": 0, "yes": 1}, print_info=False
    )
    tensor, label = slides[0]
    slides.load_from_h5(True)
    rows, label, coords = slides[0]
np.testing.assert_array_equal(np.asarray(tensor), np.asarray(rows))
truth.compare(coords, rows)
with h5py.File(case / "clam" / "patches" / features.name) as file:
    attributes = file["coords"].attrs
    assert attributes["patch_size"] * int(attributes["downsample"][0]) == truth.side
    np.testing.assert_array_equal(file["coords"][()], np.asarray(coords))
print(f"CLAM: {len(truth)} patches, tensor and HDF5 alike, label {label}")
