"""Weak supervision on tissue: cohorts with lesions of known outline, and what models make of them."""

from napari_nic.experiments.tissue.cohort import CohortWritten, write_cohort
from napari_nic.experiments.tissue.plan import CohortOptions
from napari_nic.experiments.tissue.regions import RegionsWritten, write_regions
from napari_nic.experiments.tissue.stock import TissueFolders

__all__ = [
    "CohortOptions",
    "CohortWritten",
    "RegionsWritten",
    "TissueFolders",
    "write_cohort",
    "write_regions",
]
