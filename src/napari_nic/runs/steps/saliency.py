"""A picture of what a model looks at on a slide."""

from __future__ import annotations

from collections.abc import Generator

from napari_nic.explain import grad_cam, saliency_overlay
from napari_nic.jobs import Progress
from napari_nic.names import safe_name
from napari_nic.runs.bench import Bench, Made, Step
from napari_nic.runs.pictures import save_png
from napari_nic.runs.settings import Task

CELL_PX = 8


def run(task: Task, bench: Bench) -> Generator[Progress, None, Made]:
    """Write the signed map of the model's last class, the finest layer, as a picture."""
    yield Progress(0, 0, f"explaining {task.by}")
    bundle, store = bench.tools.bundle(task.by), bench.store(task)
    bundle.check_store(store)
    codes = store.read(token=bench.token)
    found = grad_cam(bundle, codes, store.encoded(), device=bench.settings.device, token=bench.token)
    overlay = saliency_overlay(found, store.grid.placement)
    out = bench.own(f"saliency-{safe_name(bundle.name)}.png")
    save_png(overlay.to_rgba(), out, cell_px=CELL_PX)
    limits = overlay.limits or (0.0, 0.0)
    return Made([out], {"target": found.target, "limits": [float(value) for value in limits]})


STEP = Step(run)
