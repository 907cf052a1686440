"""Objects of an annotation document: shapes with a stable id, and who edited them last."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from napari_nic.annotations import RGB, Annotation, true_kind


@dataclass(frozen=True)
class Edited:
    """Who edited an object last, and when.

    Attributes
    ----------
    by : str
        A name, as the system knows it or the user chose it; empty if unknown.
    at : str
        ISO 8601 in UTC, to the second; empty if unknown.
    """

    by: str = ""
    at: str = ""

    @classmethod
    def now(cls, by: str) -> Edited:
        """Return the mark of an edit that is made now."""
        return cls(by, datetime.now(UTC).isoformat(timespec="seconds"))


@dataclass(frozen=True)
class AnnotationObject:
    """One object of a document; to change it means to put another one of the same id in its place.

    Attributes
    ----------
    id : str
        Never changes, and is that of one object alone.
    annotation : Annotation
        Class, kind, geometry in level-0 pixels (x, y), name, and what files say beside these.
    color : (r, g, b), optional
        Its own colour; that of its class if there is none.
    locked : bool
        Whether edits of it are refused.
    parent : str
        Id of the object that it belongs to; empty if to none.
    measurements : mapping of str to float
    metadata : mapping of str to str
        What files note of it in words.
    edited : Edited
    """

    id: str
    annotation: Annotation
    color: RGB | None = None
    locked: bool = False
    parent: str = ""
    measurements: Mapping[str, float] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    edited: Edited = field(default=Edited(), compare=False)

    @classmethod
    def new(cls, annotation: Annotation, **marks: Any) -> AnnotationObject:
        """Return an object of an id that no other one has."""
        return cls(str(uuid.uuid4()), annotation, **marks)

    @property
    def label(self) -> str:
        """Its class."""
        return self.annotation.label

    def with_label(self, label: str) -> AnnotationObject:
        """Return it in another class."""
        return replace(self, annotation=replace(self.annotation, label=label))

    def with_geometry(self, geometry: Any) -> AnnotationObject:
        """Return it in another shape; what was measured of the old one is not true any more, and goes."""
        extra = {key: value for key, value in self.annotation.extra.items() if key != _NUCLEUS}
        kind = true_kind(self.annotation.kind, geometry)
        annotation = replace(self.annotation, kind=kind, geometry=geometry, extra=extra)
        return replace(self, annotation=annotation, measurements={})


_NUCLEUS = "nucleusGeometry"
"""In a file's details: the outline of a cell's nucleus, which does not follow its cell."""
