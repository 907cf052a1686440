"""What codes and models see, as rasters over the slide; no torch until a network is asked for."""

from napari_nic.explain.area import AreaOptions, compare_area, salient_area, smoothed
from napari_nic.explain.channel import channel_overlay
from napari_nic.explain.colormaps import color_table
from napari_nic.explain.integrated import integrated_gradients
from napari_nic.explain.overlay import Overlay, robust_limits, symmetric_limits
from napari_nic.explain.pca import LivePca, PcaModel, pca_overlay, store_preview
from napari_nic.explain.prediction import prediction_overlay
from napari_nic.explain.saliency import NO_PLACES, CamMethod, SaliencyMap, grad_cam, saliency_overlay

__all__ = [
    "NO_PLACES",
    "AreaOptions",
    "CamMethod",
    "LivePca",
    "Overlay",
    "PcaModel",
    "SaliencyMap",
    "channel_overlay",
    "color_table",
    "compare_area",
    "grad_cam",
    "integrated_gradients",
    "pca_overlay",
    "prediction_overlay",
    "robust_limits",
    "saliency_overlay",
    "salient_area",
    "smoothed",
    "store_preview",
    "symmetric_limits",
]
