"""What a probe says, as rasters over the slide."""

from __future__ import annotations

import numpy as np

from napari_nic.explain import Overlay
from napari_nic.probe.applying import NOTHING, CellClasses

CLASS_MAP, UNCERTAINTY = "Class map", "Uncertainty"
UNCERTAINTY_COLORS = "magma"


def class_overlay(found: CellClasses) -> Overlay:
    """Show the likeliest class of each cell that was classified."""
    card = found.probe.card
    raster = found.raster()
    mask = raster != NOTHING
    return Overlay(
        name=CLASS_MAP,
        kind="probe",
        data=np.where(mask, raster, 0).astype(np.uint8),
        mask=mask,
        placement=found.resident.grid.placement,
        legend=tuple(zip(card.class_names, card.class_colors, strict=True)),
        note="The likeliest class of each patch, learned from the strokes; all classes count alike.",
    )


def uncertainty_overlay(found: CellClasses) -> Overlay:
    """Show where the probe is not certain."""
    mask = found.raster() != NOTHING
    return Overlay(
        name=UNCERTAINTY,
        kind="probe",
        data=found.resident.raster(found.uncertainty),
        mask=mask,
        placement=found.resident.grid.placement,
        limits=(0.0, 1.0),
        colormap=UNCERTAINTY_COLORS,
        note="Entropy of the class probabilities: 0 is certain, 1 is no idea.",
        ends=("certain", "no idea"),
    )
