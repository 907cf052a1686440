"""Annotations that count from the scanned part of a slide; see :mod:`napari_nic.annotations.frames`."""

from napari_nic.annotations.frames import counts_from_bounds

__all__ = ["counts_from_bounds"]
