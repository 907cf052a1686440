"""Read a Parquet export by Polars.

python polars_reader.py CASE read
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import polars as pl
from truth import Truth

case = Path(sys.argv[1])
truth = Truth(case)
table = pl.read_parquet(next((case / "parquet").glob("*.parquet")))
truth.compare(table.select("x", "y").to_numpy(), np.stack(table["features"].to_numpy()))
print(f"polars {pl.__version__}: {table.height} rows, {', '.join(table.columns)}")
