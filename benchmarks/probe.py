"""How long a stroke takes while a probe learns: refit, test, classes of the whole slide, picture.

    python benchmarks/probe.py --cells 200000 1000000

Codes are random around the means of three tissues, in memory as float32, as the window has them. Thirty
strokes of fifty cells are known; one more of two hundred cells is drawn and taken back, in turns. Printed are
the medians on the clock and of processor time (which tells more on a machine that does other work): until the
cells in view have their classes, until all cells have, and until the layer holds the picture (what
the window then does to draw it is not in it). For comparison the same strokes are learned from scratch by
scikit-learn's logistic regression, without testing a stroke.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from napari_nic.annotations import Annotation, AnnotationSet
from napari_nic.embeddings import ResidentCodes, StoreHeader
from napari_nic.geometry import LevelGeometry, PixelSize
from napari_nic.grid import PatchGrid
from napari_nic.jobs import CancellationToken
from napari_nic.plugin.layers import overlay_layer
from napari_nic.probe import (
    CellFinder,
    Learner,
    LearningSlide,
    class_overlay,
    classifying,
    strokes_of,
)

CODE_SIZE = 128
CLASSES = ("dermis", "epidermis", "glass")
COLORS = {"dermis": (0, 158, 115), "epidermis": (204, 121, 167), "glass": (86, 180, 233)}
STROKES, STROKE_CELLS, NEW_CELLS = 30, 50, 200
VIEW = (48, 64)
"""Rows and columns of cells in view."""

PATCH = 128


def make_slide(cells: int) -> ResidentCodes:
    """Return a slide of about so many cells: bands of three tissues."""
    side = round(cells**0.5)
    shape = (side * PATCH, side * PATCH)
    header = StoreHeader(
        slide_name="made",
        slide_fingerprint="sha256:made",
        slide_shape=shape,
        reader="none",
        color={"profile": None, "applied": False},
        grid=PatchGrid.plan([LevelGeometry(*shape)], PixelSize(0.5, 0.5, "made")),
        encoder={"name": "none", "code_size": CODE_SIZE},
        precision="float32",
        batch_size=1,
        tissue={"method": "none"},
        software="benchmark",
        created="",
    )
    rng = np.random.default_rng(0)
    means = rng.standard_normal((len(CLASSES), CODE_SIZE), np.float32)
    codes = rng.standard_normal((side * side, CODE_SIZE), np.float32)
    codes += means[np.tile(np.arange(side) * len(CLASSES) // side, side)]
    return ResidentCodes.of_array(header, codes, np.ones((side, side), bool))


def line(resident: ResidentCodes, number: int, cells: int) -> Annotation:
    """An upright line through so many cells of one of the bands."""
    import shapely

    side = resident.shape[0]
    band, place = number % len(CLASSES), number // len(CLASSES)
    x = (band * side // len(CLASSES) + 2 * place + 2.5) * PATCH
    top = 0.5 * PATCH
    return Annotation(CLASSES[band], "line", shapely.LineString([(x, top), (x, top + (cells - 1) * PATCH)]))


@dataclass
class Times:
    """Seconds of each step, on the clock and of the processor, run by run."""

    steps: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    @contextmanager
    def of(self, step: str) -> Iterator[None]:
        """Time the body."""
        clock, processor = time.perf_counter(), time.process_time()
        yield
        took = time.perf_counter() - clock, time.process_time() - processor
        self.steps.setdefault(step, []).append(took)

    def medians(self, step: str) -> tuple[float, float]:
        """Milliseconds on the clock, and of processor time."""
        clocks, processors = zip(*self.steps[step], strict=True)
        return 1e3 * statistics.median(clocks), 1e3 * statistics.median(processors)


def measure(resident: ResidentCodes, repeats: int) -> Times:
    """Draw a stroke and take it back, again and again."""
    times, token = Times(), CancellationToken()
    learner, finder = Learner(), CellFinder(resident.grid)
    with times.of("once: moments of the slide"):
        slide = LearningSlide.of(resident)
    known = [line(resident, number, STROKE_CELLS) for number in range(STROKES)]
    seen = resident.within(slice(0, VIEW[0]), slice(0, VIEW[1]))
    before = None
    for turn in range(2 * repeats + 2):
        shapes = known if turn % 2 else [*known, line(resident, STROKES, NEW_CELLS)]
        with times.of("all"):
            with times.of("cells of the strokes"):
                strokes = strokes_of(AnnotationSet(tuple(shapes)), resident, finder, token=token).strokes
            with times.of("learn, and test each stroke without itself"):
                learner.set_strokes(slide, strokes)
                trained = learner.train(COLORS, token=token)
            with times.of("classes of all cells"):
                steps = classifying(trained.probe, resident, first=seen, before=before, token=token)
                with times.of("of that: cells in view"):
                    next(steps)
                for _, before in steps:  # noqa: B007 -- the last one is the result
                    pass
            with times.of("picture, and the layer's values"):
                overlay_layer(class_overlay(before), None, title="map")
    for name, found in times.steps.items():
        if len(found) > 2:
            times.steps[name] = found[2:]  # the first turn of each sets the libraries up
    with_logistic(strokes, times, repeats)
    return times


def with_logistic(strokes: tuple, times: Times, repeats: int) -> None:
    """Learn the same strokes by lbfgs."""
    from sklearn.linear_model import LogisticRegression

    codes = np.concatenate([stroke.codes for stroke in strokes])
    labels = np.concatenate([[stroke.label] * len(stroke) for stroke in strokes])
    for _ in range(repeats):
        with times.of("for comparison: logistic regression from scratch"):
            LogisticRegression(max_iter=1000).fit(codes, labels)


def main() -> None:
    """Parse the command line, measure each size and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, nargs="*", default=[200_000, 1_000_000])
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    for cells in args.cells:
        resident = make_slide(cells)
        times = measure(resident, args.repeats)
        print(
            f"\n{len(resident):,} cells x {CODE_SIZE}, {STROKES} strokes of {STROKE_CELLS} cells and one more"
        )
        for step in (name for name in times.steps if name != "all"):
            report(step, times.medians(step))
        report("from stroke to picture", times.medians("all"))
        ratio = times.medians("for comparison: logistic regression from scratch")[0]
        learning = times.medians("learn, and test each stroke without itself")[0]
        print(f"  logistic regression takes {ratio / learning:.1f} times as long as to learn and test")


def report(step: str, took: tuple[float, float]) -> None:
    """Print one line."""
    print(f"  {step:<52}{took[0]:8.1f} ms {took[1]:8.1f} ms of processor time")


if __name__ == "__main__":
    main()
