"""Tables of cohorts, and windows of the tiles with a tumour."""

from __future__ import annotations

import csv

import pytest

from napari_nic.synthetic.cohorts.stock import load_stock


@pytest.fixture(scope="session")
def read_table():
    """``read_table(path)`` -> rows of a table as dictionaries."""

    def read(path):
        with path.open(newline="", encoding="utf-8") as lines:
            return list(csv.DictReader(lines))

    return read


@pytest.fixture(scope="session")
def stock(tissue_folders):
    return load_stock(tissue_folders, mpp=0.5)
