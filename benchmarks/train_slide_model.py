"""How long a training step of the paper's slide network takes at its real size, and how much memory.

    python benchmarks/train_slide_model.py --steps 4 --device cpu

Slides of random codes, larger than a crop, are written as stores; a process of its own trains on them by
`napari_nic.cohorts`: batches of 16 crops of 400 x 400 x 128, read from disk shard by shard or held in
memory, one slide to validate by, one to test on (T = 10 crops times 8 dihedral transforms, as in the paper).
Neither time nor memory depends on what the codes are. Printed are seconds on the clock and of processor time
(which tells more on a machine that does other work), and how far the peak of memory lies above where it was.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from compress_slide import peak_mb
from saliency import CODE_SIZE, make_codes, reset_peak

ENCODER = {
    "name": "none",
    "architecture": "none",
    "code_size": CODE_SIZE,
    "patch_size": 128,
    "mpp": 0.5,
    "input_size": 64,
    "weights_sha256": None,
}
MPP = 0.5
GIBIBYTE = 2**30
LABELS = ("normal", "tumor")


def make_cohort(folder: Path, side: int, training: int) -> Path:
    """Write stores and the table of the cohort; slides for validation and test come last."""
    from napari_nic.embeddings.interchange import ImportHints, import_store
    from napari_nic.geometry import PixelSize

    codes, _ = make_codes(side)
    array = folder / "codes_features.npy"
    np.save(array, codes.transpose(2, 0, 1))
    parts = ["train"] * training + ["validation", "test"]
    with (folder / "cohort.csv").open("w", newline="", encoding="utf-8") as lines:
        table = csv.writer(lines)
        table.writerow(("slide", "label", "split"))
        for number, part in enumerate(parts):
            name = f"slide{number}"
            hints = ImportHints(slide_name=name, pixel_size=PixelSize(MPP, MPP, "made"), encoder=ENCODER)
            import_store(array, folder / f"{name}.nic.zarr", hints=hints).close()
            table.writerow((f"{name}.nic.zarr", LABELS[number % 2], part))
    array.unlink()
    return folder / "cohort.csv"


def measure(table: Path, steps: int, device: str, *, in_memory: bool) -> dict[str, float]:
    """Train two epochs and predict the test slide, in this process; the second epoch counts."""
    from napari_nic.cohorts import CohortTraining, read_cohort, train_cohort
    from napari_nic.cohorts.training import RunProgress
    from napari_nic.slide_models import TrainingSettings

    cohort = read_cohort(table, "classification", classes=LABELS)
    plan = CohortTraining(
        model="cnn",
        folds=1,
        settings=TrainingSettings(epochs=2, steps=steps),
        memory_bytes=64 * GIBIBYTE if in_memory else 0,
    )
    reset_peak()
    before = peak_mb()
    marks: list[tuple[float, float]] = []
    for report in train_cohort(cohort, table.parent / "models", plan, device=device):
        if isinstance(report, RunProgress) and report.epoch is not None:
            marks.append((time.perf_counter(), time.process_time()))
            peak = peak_mb() - before
    marks.append((time.perf_counter(), time.process_time()))
    (epoch, predicting), (epoch_processor, predicting_processor) = np.diff(marks, axis=0).T
    return {
        "step_s": epoch / steps,
        "step_processor_s": epoch_processor / steps,
        "training_peak_mb": peak,
        "predicting_s": predicting,
        "predicting_processor_s": predicting_processor,
    }


def main() -> None:
    """Parse the command line; make the cohort here, measure in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=450, help="rows and columns of cells of a slide")
    parser.add_argument("--slides", type=int, default=4, help="to train on")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--in-memory", action="store_true", help="hold the codes instead of reading crops")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(measure(args.child, args.steps, args.device, in_memory=args.in_memory)))
        return
    with tempfile.TemporaryDirectory(prefix="napari-nic-") as folder:
        table = make_cohort(Path(folder), args.side, args.slides)
        command = [sys.executable, __file__, *sys.argv[1:], "--child", str(table)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    print(
        f"{args.slides} slides of {args.side} x {args.side} x {CODE_SIZE}, batches of 16 crops of 400 x 400"
    )
    print(f"  a step, validation (four crops) shared out  {_seconds(found, 'step')}")
    print(f"  peak of memory while training               {found['training_peak_mb']:.0f} MB")
    print(f"  predicting a slide, T = 10 crops x 8 dihedral transforms     {_seconds(found, 'predicting')}")


def _seconds(found: dict[str, float], what: str) -> str:
    return f"{found[f'{what}_s']:.1f} s, {found[f'{what}_processor_s']:.1f} s of processor time"


if __name__ == "__main__":
    main()
