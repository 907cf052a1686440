"""Word of models and cohorts that were dropped on the window, for the docks that show them."""

from __future__ import annotations

from pathlib import Path

from psygnal import Signal


class ModelNews:
    """Tells what a reader was given; connect with bound methods, which are held weakly."""

    model_opened = Signal(Path)
    """Emitted in the main thread with the folder of a model bundle, or of several."""

    cohort_opened = Signal(Path)
    """Emitted in the main thread with the table of a cohort or the folder of its models."""


MODEL_NEWS = ModelNews()
"""The program's one instance."""
