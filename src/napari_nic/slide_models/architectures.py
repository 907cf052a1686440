"""Descriptions to networks; only imported when a model is used."""

from __future__ import annotations

from napari_nic.slide_models.attention import AttentionNet
from napari_nic.slide_models.config import Kind, SlideNetConfig
from napari_nic.slide_models.gridnet import GridNet
from napari_nic.slide_models.network import SlideNet
from napari_nic.slide_models.vector_net import VectorNet

_NETWORKS: dict[Kind, type[GridNet]] = {
    "cnn": SlideNet,
    "attention": AttentionNet,
    "linear": VectorNet,
    "mlp": VectorNet,
}


def build_network(config: SlideNetConfig) -> GridNet:
    """Make the network that `config` describes, with random weights."""
    return _NETWORKS[config.kind](config)
