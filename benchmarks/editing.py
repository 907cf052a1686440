"""What do edits cost in a document of very many objects: processor time.

    python benchmarks/editing.py
    python benchmarks/editing.py --objects 1000000

Opening goes through all objects; an edit, undo and autosave should not.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from napari_nic.annotations import Annotation, AnnotationSet
from napari_nic.editing import (
    AnnotationObject,
    Document,
    Edited,
    Journal,
    ObjectIndex,
    State,
    objects_of,
    read_journal,
)

FINGERPRINT = "sha256:" + "a" * 64
SIDE_PX = 60_000


def timed(what: str, work: Callable[[], Any], times: int = 1) -> Any:
    """Print the processor time of a call, the mean of several."""
    start = time.process_time()
    for _ in range(times):
        found = work()
    print(f"{what:42}{(time.process_time() - start) / times * 1000:10.2f} ms", flush=True)
    return found


def made(number: int) -> AnnotationSet:
    """Outlines of 20 corners, of three classes."""
    rng = np.random.default_rng(0)
    turns = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    ring = np.stack([np.cos(turns), np.sin(turns)], axis=1) * 8
    areas = shapely.polygons(rng.uniform(0, SIDE_PX, (number, 1, 2)) + ring)
    names = ("Tumour", "Stroma", "Lymphocyte")
    return AnnotationSet(
        tuple(Annotation(names[n % 3], "polygon", area, id=f"id-{n}") for n, area in enumerate(areas))
    )


def edits(document: Document) -> None:
    """Print what edits cost."""
    index, ids, at = ObjectIndex(document), list(document), count()

    def move() -> None:
        item = document[ids[next(at)]]
        moved = shapely.transform(item.annotation.geometry, lambda xy: xy + 1)
        document.put("move", item.with_geometry(moved))

    def draw() -> None:
        document.put("draw", AnnotationObject.new(Annotation("Tumour", "polygon", shapely.box(0, 0, 9, 9))))

    timed("change one", move, 50)
    timed("undo that", document.undo, 50)
    timed("draw one", draw, 50)
    timed("remove one", lambda: document.remove("delete", ids[next(at)]), 50)
    timed("undo that", document.undo, 50)
    timed("exchange the classes", lambda: document.set_classes("classes", document.classes), 50)
    box = shapely.box(0, 0, 1500, 1500)
    timed("find what touches a box", lambda: index.touching(box), 50)


def journal(document: Document, folder: Path) -> None:
    """Print what autosave and opening cost."""
    writer, item = Journal(folder, FINGERPRINT, "slide"), document[next(iter(document))]
    state = State(document.objects(), document.classes, ranks=document.ranks)
    timed("write all", lambda: writer.write_all(state, Edited()))

    widths = count()

    def save() -> None:
        edit = document.put("move", item.with_geometry(shapely.box(0, 0, 9 + next(widths), 9)))
        now = State(document.objects(), document.classes, ranks=document.ranks)
        writer.write([edit], now, Edited())

    timed("autosave one edit", save, 50)
    writer.close()
    kept = timed("read", lambda: read_journal(folder, FINGERPRINT))
    timed("make the document", lambda: Document(kept.state.objects, kept.state.classes))


def main() -> None:
    """Print a line for each operation."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--objects", type=int, default=100_000)
    args = parser.parse_args()
    drawn = made(args.objects)
    print(f"{args.objects:,} objects")
    objects, _ = timed("objects of a file's shapes", lambda: objects_of(drawn))
    document = timed("make the document", lambda: Document(objects))
    edits(document)
    with tempfile.TemporaryDirectory() as folder:
        journal(document, Path(folder) / "slide.nic.document")


if __name__ == "__main__":
    main()
