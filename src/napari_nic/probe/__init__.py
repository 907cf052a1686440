"""Learning while drawing: a classifier of cells in closed form on the strokes of one or several slides.

No torch and no napari: a stroke is answered in a tenth of a second, so that the whole slide is repainted
while the next one is drawn.

Public modules beside this list: ``threads``.
"""

from napari_nic.probe.applying import NOTHING, CellClasses, apply_probe, classifying
from napari_nic.probe.asking import least_certain
from napari_nic.probe.bundle import PROBE_FILE, load_probe, save_probe
from napari_nic.probe.check import StrokeCheck
from napari_nic.probe.class_map import LEAST_MM2, ClassMap
from napari_nic.probe.learner import Learner, LearningSlide, Trained
from napari_nic.probe.model import Probe, ProbeCard
from napari_nic.probe.pictures import CLASS_MAP, UNCERTAINTY, class_overlay, uncertainty_overlay
from napari_nic.probe.strokes import CellFinder, Stroke, StrokeSet, strokes_of

__all__ = [
    "CLASS_MAP",
    "LEAST_MM2",
    "NOTHING",
    "PROBE_FILE",
    "UNCERTAINTY",
    "CellClasses",
    "CellFinder",
    "ClassMap",
    "Learner",
    "LearningSlide",
    "Probe",
    "ProbeCard",
    "Stroke",
    "StrokeCheck",
    "StrokeSet",
    "Trained",
    "apply_probe",
    "class_overlay",
    "classifying",
    "least_certain",
    "load_probe",
    "save_probe",
    "strokes_of",
    "uncertainty_overlay",
]
