"""Weak supervision on tissue: what models make of cohorts with lesions of known outline.

Importing this room loads no torch; it comes when something is compressed or trained.
"""

from napari_nic_experiments.tissue.run import PRESETS, TissueDone, TissueExperiment, get_preset, run_tissue

__all__ = ["PRESETS", "TissueDone", "TissueExperiment", "get_preset", "run_tissue"]
