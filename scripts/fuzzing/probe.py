"""The child: opens one file after the other as a user's command would, and says what it found.

One JSON line comes in for each file, one goes out. What is no error of napari-nic's own ends as a traceback.
"""

from __future__ import annotations

import atexit
import json
import resource
import shutil
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from fuzzing.dicom_slide import SIDE_PX, write_dicom_slide
from napari_nic.errors import AnnotationError, NicError

MEMORY_LIMIT = 3 * 2**30
"""Bytes of data that a child may have; the shared libraries of PyTorch take a third of it."""

_TILES_A_LEVEL = 4
Facts = dict[str, Any]


def open_slide_file(path: Path) -> Facts:
    """Open a slide; read tiles of all levels, its overview and its associated images."""
    from napari_nic.geometry import RegionPx
    from napari_nic.slides import open_slide

    with open_slide(path) as slide:
        size = slide.pixel_size
        facts: Facts = {
            "reader": slide.reader,
            "levels": [[level.height, level.width] for level in slide.levels],
            "mpp": None if size is None else [size.y, size.x],
            "fingerprint": slide.fingerprint,
        }
        damaged: set[str] = set()
        for index, level in enumerate(slide.levels):
            rows, cols = level.tile_grid
            for row, col in {(0, 0), (rows - 1, cols - 1), (rows // 2, cols // 2), (0, cols - 1)}:
                _try(damaged, lambda i=index, r=row, c=col: slide.read_tile(i, r, c))
        for name in slide.associated_images:
            _try(damaged, lambda n=name: slide.read_associated(n))
        _try(damaged, lambda: slide.read_region(0, RegionPx(-10, -10, 300, 300)))
        return facts | {"damaged": sorted(damaged)}


def _try(damaged: set[str], read: Callable[[], object]) -> None:
    try:
        read()
    except NicError as error:
        damaged.add(type(error).__name__)


def open_annotation(path: Path) -> Facts:
    """Read annotations, write them in every format, and read those back."""
    from napari_nic.annotations import (
        FORMATS,
        SlideExtent,
        losses,
        read_annotations,
        writable_formats,
        write_annotations,
    )
    from napari_nic.geometry import PixelSize

    # Formats that count from the middle of the glass, or in parts of a slide, need one.
    extent = SlideExtent((SIDE_PX, SIDE_PX), PixelSize(0.5, 0.5, "given"), (0.0, 0.0), path=_dicom_slide())
    annotations = read_annotations(path, extent=extent)
    shapes = [shape.geometry for shape in annotations.annotations]
    facts: Facts = {
        "labels": sorted(annotations.labels()),
        "shapes": len(shapes),
        "area": round(sum(float(shape.area) for shape in shapes), 3),
    }
    rounding = 0.01 + sum(float(shape.length) for shape in shapes)  # to whole pixels, in some formats
    for name in writable_formats():
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / f"copy{FORMATS.get(name).suffixes[0]}"
            write_annotations(annotations, target, format=name, extent=extent)
            again = read_annotations(target, format=name, extent=extent)
        total = sum(float(shape.geometry.area) for shape in again.annotations)
        is_same = np.isclose(total, facts["area"], rtol=1e-6, atol=rounding)
        if not is_same and not losses(annotations, name):
            raise AssertionError(f"{name}: area {total} was written as {facts['area']}")
    return facts


@cache
def _dicom_slide() -> Path:
    """The slide that annotations in DICOM refer to; it goes with the process."""
    folder = tempfile.mkdtemp(prefix="napari-nic-fuzz-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return write_dicom_slide(Path(folder) / "slide")


def open_store(path: Path) -> Facts:
    """Open a store, read all codes, and make the picture of its components."""
    from napari_nic.embeddings import CompressedSlide
    from napari_nic.explain import pca_overlay

    with CompressedSlide.open(path) as store:
        codes = store.read()
        grid = store.grid
        pca_overlay(codes, store.encoded(), grid.placement)
        return {
            "shape": list(codes.shape),
            "status": store.status,
            "cells": int(store.encoded().sum()),
            "grid": repr(grid),
            "encoder": store.header.encoder_name,
            "sum": float(np.abs(codes.astype(np.float64)).sum()),
        }


def open_bundle(path: Path) -> Facts:
    """Load a model and apply it to codes of its encoder."""
    from napari_nic.geometry import Placement
    from napari_nic.slide_models import ModelBundle, predict_codes

    bundle = ModelBundle.load(path)
    codes = np.random.default_rng(0).random((12, 14, 3), np.float32).astype(np.float16)
    mask = np.ones((12, 14), bool)
    prediction = predict_codes(bundle, codes, mask, Placement((0.0, 0.0), (64.0, 64.0)), device="cpu")
    return {"name": bundle.name, "scores": [round(float(score), 5) for score in np.ravel(prediction.mean)]}


def open_encoder(path: Path) -> Facts:
    """Load an encoder and encode two patches."""
    from napari_nic.encoders import load_encoder

    encoder = load_encoder(path, device="cpu", precision="float32")
    size = encoder.spec.input_size
    patches = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), np.uint8)
    codes = np.asarray(encoder.encode(patches), np.float64)
    spec = encoder.spec
    return {
        "identity": [spec.code_size, spec.patch_size, spec.mpp, spec.input_size],
        "sum": round(float(codes.sum()), 3),
    }


def open_features(path: Path) -> Facts:
    """Make a store of another program's features."""
    from napari_nic.embeddings import ImportHints, import_store
    from napari_nic.geometry import PixelSize

    # As a slide says it: one that the user gives is held against the magnification, which differs here.
    hints = ImportHints(pixel_size=PixelSize(0.5, 0.5, "the slide"))
    with (
        tempfile.TemporaryDirectory() as folder,
        import_store(path, Path(folder) / "a.nic.zarr", hints=hints) as store,
    ):
        codes = store.read()
        sums = float(np.abs(codes.astype(np.float64)).sum())
        return {"shape": list(codes.shape), "grid": repr(store.grid), "sum": sums}


def open_document(path: Path) -> Facts:
    """Read the journal of a document as it is read with its slide."""
    from napari_nic.editing import read_journal

    kept = read_journal(path.parent, "f")
    if kept is None:
        raise AnnotationError("there is none", path=path)
    objects = {item.id: f"{item.label} {item.annotation.geometry.wkt}" for item in kept.state.objects}
    return {"objects": objects, "notes": list(kept.notes)}


OPENERS: dict[str, Callable[[Path], Facts]] = {
    "slide": open_slide_file,
    "annotation": open_annotation,
    "store": open_store,
    "bundle": open_bundle,
    "encoder": open_encoder,
    "features": open_features,
    "document": open_document,
}


def answer(kind: str, path: Path) -> Facts:
    """Open a file and say how it ended: opened with its facts, refused, or traceback."""
    try:
        return {"end": "opened", "facts": OPENERS[kind](path)}
    except NicError as error:
        return {"end": "refused", "error": type(error).__name__, "text": str(error)[:300]}
    except MemoryError:
        return {"end": "memory", "text": traceback.format_exc()[-1500:]}
    except BaseException as error:  # noqa: BLE001 - to catch what nobody expected is what this is for
        return {"end": "traceback", "error": type(error).__name__, "text": traceback.format_exc()[-1500:]}


def main() -> None:
    """Answer until the input ends."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_LIMIT, MEMORY_LIMIT))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")
    out, sys.stdout = sys.stdout, sys.stderr  # what a library prints is no answer
    for line in sys.stdin:
        question = json.loads(line)
        print(json.dumps(answer(question["kind"], Path(question["path"]))), file=out, flush=True)


if __name__ == "__main__":
    main()
