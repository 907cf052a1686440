"""What a slide-level model says about a slide."""

from __future__ import annotations

import json
from collections.abc import Generator

from napari_nic.disk import write_text
from napari_nic.jobs import Progress
from napari_nic.names import safe_name
from napari_nic.runs.bench import Bench, Made, Step
from napari_nic.runs.settings import Task
from napari_nic.slide_models import predict


def run(task: Task, bench: Bench) -> Generator[Progress, None, Made]:
    """Write the scores as JSON."""
    yield Progress(0, 0, f"predicting by {task.by}")
    bundle = bench.tools.bundle(task.by)
    found = predict(bundle, bench.store(task), device=bench.settings.device, token=bench.token)
    record = found.to_dict()
    out = bench.own(f"prediction-{safe_name(bundle.name)}.json")
    write_text(out, json.dumps(record, indent=1) + "\n")
    scores = {name: score["mean"] for name, score in record["scores"].items()}
    return Made([out], {"text": found.scores_text, "class": record["class"], "scores": scores})


STEP = Step(run)
