"""Weak supervision on tissue: cohorts with lesions of known outline, and what models make of them.

Importing this room loads no torch; it comes when something is compressed or trained.
"""

from napari_nic.experiments.tissue.cohort import CohortWritten, write_cohort
from napari_nic.experiments.tissue.plan import CohortOptions
from napari_nic.experiments.tissue.regions import RegionsWritten, write_regions
from napari_nic.experiments.tissue.run import PRESETS, TissueDone, TissueExperiment, get_preset, run_tissue
from napari_nic.experiments.tissue.stock import TissueFolders

__all__ = [
    "PRESETS",
    "CohortOptions",
    "CohortWritten",
    "RegionsWritten",
    "TissueDone",
    "TissueExperiment",
    "TissueFolders",
    "get_preset",
    "run_tissue",
    "write_cohort",
    "write_regions",
]
