"""What files of earlier versions call by another name, and what it is called now."""

from __future__ import annotations

PLAN_AUGMENTATION = {
    "turned patches, encoded anew": "transformed patches, encoded anew",
    "turned places of codes": "transformed places of codes",
}
"""Values of ``augmentation`` among the settings of a training's plan (``plan.json``)."""
