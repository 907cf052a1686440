"""Cohorts of synthetic slides, painted or composed of real tiles, and slides of real outlined regions.

Importing this room loads no torch; it comes when something is compressed.
"""

from napari_nic.synthetic.cohorts.plan import CohortOptions
from napari_nic.synthetic.cohorts.regions import RegionsWritten, write_regions
from napari_nic.synthetic.cohorts.stock import TissueFolders
from napari_nic.synthetic.cohorts.writing import (
    CLASSES,
    OUTLINE_SUFFIX,
    SLIDE_SUFFIX,
    SLIDES_FOLDER,
    CohortWritten,
    write_cohort,
)

__all__ = [
    "CLASSES",
    "OUTLINE_SUFFIX",
    "SLIDES_FOLDER",
    "SLIDE_SUFFIX",
    "CohortOptions",
    "CohortWritten",
    "RegionsWritten",
    "TissueFolders",
    "write_cohort",
    "write_regions",
]
