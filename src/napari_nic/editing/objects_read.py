"""Objects of a file that was read, with all that their document must know: made where no window waits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Self

from napari_nic.annotations import AnnotationSet
from napari_nic.editing.exchange import objects_of
from napari_nic.editing.objects import AnnotationObject
from napari_nic.jobs import CancellationToken


@dataclass(frozen=True, eq=False)
class ObjectsRead:
    """Objects of a file by their ids.

    Attributes
    ----------
    by_id : mapping of str to AnnotationObject
        In the order of the file.
    notes : tuple of str
        What had to be changed, for the user to see.
    labels : Counter of str
        How many objects each class has.
    has_parents : bool
        Whether some belong to others.
    """

    by_id: Mapping[str, AnnotationObject]
    notes: tuple[str, ...]
    labels: Counter[str]
    has_parents: bool

    @classmethod
    def of(cls, annotations: AnnotationSet, token: CancellationToken | None = None) -> Self:
        """Make objects of the shapes of a file, see :func:`~napari_nic.editing.objects_of`."""
        objects, notes = objects_of(annotations, token=token)
        by_id = {item.id: item for item in objects}
        labels = Counter(map(attrgetter("label"), objects))
        return cls(by_id, notes, labels, any(map(attrgetter("parent"), objects)))
