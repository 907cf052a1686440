"""How many planted label errors the annotation doctor puts at the head of its list.

    python benchmarks/annotation_doctor.py
    python benchmarks/annotation_doctor.py --slides 4 --objects 400 --encoder mean-rgb

Slides are painted by code, each with its own stain and a lesion; objects are discs in the tissue that lie
wholly in the lesion or wholly outside of it, in equal numbers. The labels of some of them, drawn at random,
are exchanged. Printed is which share of these stands in the first tenth of the list, and in as long a head of
it as there are errors, with slides held out (several slides) and with parts of a slide held out (each alone).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import shapely

from napari_nic.annotations import Annotation, AnnotationSet
from napari_nic.embeddings import CompressedSlide, ResidentCodes
from napari_nic.encoders import load_encoder
from napari_nic.pipeline import GridOptions, iter_compress, prepare_store
from napari_nic.reader_study.doctor import Diagnosis, DoctorSlide, examine
from napari_nic.reader_study.object_codes import object_codes
from napari_nic.slides import open_slide
from napari_nic.synthetic import Lesion, Scene, SyntheticSlideSpec, write_slide

CLASSES = ("lesion", "normal tissue")
RADIUS_PX = (60, 160)
TRIES = 200_000
HEAD = 0.1


def paint(folder: Path, number: int, side: int, encoder: str) -> tuple[CompressedSlide, Scene]:
    """Paint and compress a slide."""
    spec = SyntheticSlideSpec(side, side, seed=1000 + number, lesions=(Lesion(0.35),), coverage=0.7)
    path = write_slide(folder / f"s{number}.tif", spec).path
    net = load_encoder(encoder)
    with open_slide(path) as slide:
        store = prepare_store(slide, net, path=folder / f"s{number}.nic.zarr", options=GridOptions(stride=64))
        for _ in iter_compress(slide, net, store):
            pass
    return store, Scene(spec)


def draw_objects(scene: Scene, count: int, rng: np.random.Generator) -> AnnotationSet:
    """Draw discs inside and outside of the lesion, half of each."""
    lesion = shapely.union_all(scene.lesion_polygons())
    shapely.prepare(lesion)
    found: dict[str, list[Annotation]] = {label: [] for label in CLASSES}
    side = scene.spec.height
    for _ in range(TRIES):
        y, x = rng.uniform(0, side, 2)
        disc = shapely.Point(x, y).buffer(rng.uniform(*RADIUS_PX))
        label = CLASSES[0] if lesion.contains(disc) else CLASSES[1] if lesion.disjoint(disc) else ""
        if label and len(found[label]) < count // 2 and scene.is_tissue(y, x):
            found[label].append(Annotation(label, "polygon", disc))
        if all(len(own) == count // 2 for own in found.values()):
            break
    return AnnotationSet(tuple(a for own in found.values() for a in own))


def flip(annotations: AnnotationSet, wrong: np.ndarray) -> AnnotationSet:
    """Exchange the labels of the objects that are marked."""
    other = dict(zip(CLASSES, CLASSES[::-1], strict=True))
    shapes = zip(annotations.annotations, wrong, strict=True)
    return AnnotationSet(tuple(replace(a, label=other[a.label]) if is_wrong else a for a, is_wrong in shapes))


def tell(title: str, found: Diagnosis, wrong: dict[str, np.ndarray]) -> float:
    """Print where the planted errors stand; return the share of them in the head of the list."""
    planted = np.array([wrong[one.slide][one.index] for one in found.suspects])
    total = sum(int(marks.sum()) for marks in wrong.values())
    head = planted[: round(len(planted) * HEAD)].sum()
    first = planted[:total].sum()
    print(
        f"{title:28} {len(planted):6,} objects, {total:4} labels wrong: {head / total:6.1%} of them in the "
        f"first {HEAD:.0%}, {first / total:6.1%} in the first {total}; balanced accuracy "
        f"{found.balanced_accuracy:.3f}, {len(found.left_out)} left out"
    )
    return float(head / total)


def main() -> None:
    """Paint, plant, examine, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--slides", type=int, default=8)
    parser.add_argument("--objects", type=int, default=2000, help="on all slides together")
    parser.add_argument("--wrong", type=float, default=0.05, help="share of labels that are exchanged")
    parser.add_argument("--side", type=int, default=3072, help="of a slide, px at 0.5 um/px")
    parser.add_argument("--encoder", default="nic-default")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    slides, wrong = [], {}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(args.slides):
            store, scene = paint(Path(folder), number, args.side, args.encoder)
            right = draw_objects(scene, args.objects // args.slides, rng)
            marks = np.zeros(len(right), bool)
            marks[rng.choice(len(right), round(len(right) * args.wrong), replace=False)] = True
            annotations, name = flip(right, marks), f"s{number}"
            wrong[name] = marks
            slides.append(
                DoctorSlide(name, annotations, object_codes(annotations, ResidentCodes.load(store)))
            )
        start = time.perf_counter()
        found = examine(slides)
        seconds = time.perf_counter() - start
        tell(f"{args.encoder}, by slide", found, wrong)
        for slide in slides:
            tell(f"{args.encoder}, {slide.name} alone", examine([slide]), {slide.name: wrong[slide.name]})
        print(f"{seconds:.2f} s to examine all objects")


if __name__ == "__main__":
    main()
