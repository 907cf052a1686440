"""Cohorts of compressed slides: a table of labels in, models, scores and a report out.

Public modules beside this list: ``plots``, ``predictions``, ``report``.
"""

from typing import TYPE_CHECKING

from napari_nic import old_names
from napari_nic.cohorts.cohort import Absent, Cohort, CohortSlide, Understood
from napari_nic.cohorts.columns import Columns
from napari_nic.cohorts.comparison import ComparedTraining, Comparison, compare_folders
from napari_nic.cohorts.evaluation import Evaluated, evaluate_bundle, evaluate_folder
from napari_nic.cohorts.listing import ListedSlide, Listing, read_listing
from napari_nic.cohorts.plan import CohortTraining, Plan
from napari_nic.cohorts.previews import Preview, preview
from napari_nic.cohorts.slides import Imported, import_foreign
from napari_nic.cohorts.splits import Fold, check_folds, make_folds
from napari_nic.cohorts.table import TableOptions, read_cohort
from napari_nic.cohorts.training import RunProgress, run_folder, train_cohort

__all__ = [
    "Absent",
    "Cohort",
    "CohortSlide",
    "CohortTraining",
    "Columns",
    "ComparedTraining",
    "Comparison",
    "Evaluated",
    "Fold",
    "Imported",
    "ListedSlide",
    "Listing",
    "Plan",
    "Preview",
    "RunProgress",
    "TableOptions",
    "Understood",
    "check_folds",
    "compare_folders",
    "evaluate_bundle",
    "evaluate_folder",
    "import_foreign",
    "make_folds",
    "preview",
    "read_cohort",
    "read_listing",
    "run_folder",
    "train_cohort",
]

if not TYPE_CHECKING:
    __getattr__ = old_names.members_of(__name__)
