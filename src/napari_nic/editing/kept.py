"""What is kept of a document: its objects and classes, the files it came from, the layers that show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from napari_nic.editing.edits import Classes
from napari_nic.editing.objects import AnnotationObject, Edited


@dataclass(frozen=True)
class KnownFile:
    """An annotation file that a document was opened from or saved to.

    Attributes
    ----------
    path : str
        Where it lies.
    sha256 : str
        Of its content as it was read or written last.
    copy : str
        Name of the copy of that content in the document's folder; empty if there is none.
    dx_px, dy_px : float
        By how much its shapes were moved to lie on the slide, see :meth:`AnnotationSet.shifted`.
    """

    path: str
    sha256: str
    copy: str = ""
    dx_px: float = 0.0
    dy_px: float = 0.0


@dataclass(frozen=True)
class KeptLayer:
    """A layer of a window in which objects of a document are shown.

    Attributes
    ----------
    key : str
        Tells it from others of its name.
    name : str
        As the user sees it.
    path : str
        The annotation file that it shows; empty if none.
    """

    key: str
    name: str
    path: str = ""


@dataclass(frozen=True)
class State:
    """All of a document.

    Attributes
    ----------
    objects : tuple of AnnotationObject
        In their order.
    classes : tuple of DrawingClass
    files : tuple of KnownFile
    ranks : mapping of str to int
        Places of the objects among all that ever were, see :meth:`Document.rank`; by default their order.
    homes : mapping of str to str
        By object, the key of the layer that it is shown in; objects that are in none are missing.
    layers : tuple of KeptLayer
        Those that hold objects or did.
    """

    objects: tuple[AnnotationObject, ...] = ()
    classes: Classes = ()
    files: tuple[KnownFile, ...] = ()
    ranks: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)
    homes: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    layers: tuple[KeptLayer, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class Kept:
    """What a journal says.

    Attributes
    ----------
    state : State
    edited : Edited
        Who edited last, and when.
    notes : tuple of str
        What was damaged and is left out, for the user to see.
    """

    state: State
    edited: Edited = field(default=Edited())
    notes: tuple[str, ...] = ()
