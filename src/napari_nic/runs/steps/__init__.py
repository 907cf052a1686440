"""What is done for every slide, a module each; see :class:`napari_nic.runs.bench.Step`."""

from __future__ import annotations

from napari_nic.registry import Registry
from napari_nic.runs.bench import Step

DOERS: Registry[Step] = Registry("step")
"""Steps that are done for every slide, by name."""

for _name in ("tissue", "compress", "export", "predict", "saliency", "recompress"):
    DOERS.register(_name, f"napari_nic.runs.steps.{_name}:STEP")
