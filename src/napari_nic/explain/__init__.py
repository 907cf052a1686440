"""What codes and models see, as rasters over the slide; no torch until a network is asked for."""

from napari_nic.explain.area import AreaOptions, compare_area, salient_area, smoothed
from napari_nic.explain.channel import channel_overlay
from napari_nic.explain.checking import check_saliency
from napari_nic.explain.colormaps import color_table
from napari_nic.explain.curves import Curve, measure_curves
from napari_nic.explain.integrated import integrated_gradients
from napari_nic.explain.overlay import Overlay, robust_limits, symmetric_limits
from napari_nic.explain.pca import LivePca, PcaModel, pca_overlay, store_preview
from napari_nic.explain.prediction import prediction_overlay
from napari_nic.explain.randomisation import Randomised, randomise_layers
from napari_nic.explain.reliability import CHECKS, MARKS, VERDICT_COLORS, Reliability, Verdict, verdict_of
from napari_nic.explain.saliency import NO_PLACES, CamMethod, SaliencyMap, grad_cam, saliency_overlay

__all__ = [
    "CHECKS",
    "MARKS",
    "NO_PLACES",
    "VERDICT_COLORS",
    "AreaOptions",
    "CamMethod",
    "Curve",
    "LivePca",
    "Overlay",
    "PcaModel",
    "Randomised",
    "Reliability",
    "SaliencyMap",
    "Verdict",
    "channel_overlay",
    "check_saliency",
    "color_table",
    "compare_area",
    "grad_cam",
    "integrated_gradients",
    "measure_curves",
    "pca_overlay",
    "prediction_overlay",
    "randomise_layers",
    "robust_limits",
    "saliency_overlay",
    "salient_area",
    "smoothed",
    "store_preview",
    "symmetric_limits",
    "verdict_of",
]
