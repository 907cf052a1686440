"""Word for all docks: new encoders, NIC docks, and what was dropped on the window that is no layer."""

from __future__ import annotations

from pathlib import Path

from psygnal import Signal


class EncoderNews:
    """Tells that the user's encoders changed; connect with bound methods, which are held weakly."""

    changed = Signal(str)
    """Emitted in the main thread with the name of the encoder that is new or was replaced."""


ENCODER_NEWS = EncoderNews()
"""The program's one instance: encoders lie in one folder of the user's, whatever windows are open."""


class ModelNews:
    """Tells what a reader was given; connect with bound methods, which are held weakly."""

    model_opened = Signal(Path)
    """Emitted in the main thread with the folder of a model bundle, or of several."""

    cohort_opened = Signal(Path)
    """Emitted in the main thread with the table of a cohort or the folder of its models."""

    features_opened = Signal(Path)
    """Emitted in the main thread with a file or folder of features of the slide that is open."""

    folder_opened = Signal(Path)
    """Emitted in the main thread with a folder of slides."""

    project_opened = Signal(object)
    """Emitted in the main thread with the :class:`~napari_nic.plugin.projects.OpenedProject` whose layers are
    added next."""


MODEL_NEWS = ModelNews()
"""The program's one instance."""


class DeskNews:
    """Tells that a NIC dock was opened or closed; connect with bound methods, which are held weakly."""

    changed = Signal()
    """Emitted in the main thread when a window may have another NIC dock, or none any more."""


DESK_NEWS = DeskNews()
"""The program's one instance."""
