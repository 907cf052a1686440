"""Many slides through the same steps: skipped where done, gone on with where stopped, never half.

Public modules beside this list: ``cluster``, ``copying``, ``handing_out``, ``slurm``.
"""

from napari_nic.runs.folder import PLAN_FILE, RunFolder
from napari_nic.runs.records import SlideRecord, Source, TaskRecord
from napari_nic.runs.running import RunProgress, iter_run
from napari_nic.runs.settings import STEPS, RunSettings, plan_tasks
from napari_nic.runs.slide_work import SlideResult
from napari_nic.runs.status import RunStatus, SlideStatus, read_status
from napari_nic.runs.summary import write_summary
from napari_nic.runs.tally import Tally
from napari_nic.runs.watching import RunView, RunWatch, store_paths

__all__ = [
    "PLAN_FILE",
    "STEPS",
    "RunFolder",
    "RunProgress",
    "RunSettings",
    "RunStatus",
    "RunView",
    "RunWatch",
    "SlideRecord",
    "SlideResult",
    "SlideStatus",
    "Source",
    "Tally",
    "TaskRecord",
    "iter_run",
    "plan_tasks",
    "read_status",
    "store_paths",
    "write_summary",
]
