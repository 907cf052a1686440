"""Patch encoders: what they are (specs), where they live, and how they are loaded.

Public modules beside this list: ``cost``, ``external``, ``mean_rgb``, ``nets``, ``networks``,
``prepared``, ``speeds``, ``store``, ``torch_encoder``.
"""

from napari_nic.encoders.keras_import import import_keras
from napari_nic.encoders.loading import load_encoder
from napari_nic.encoders.spec import Encoder, EncoderSpec
from napari_nic.encoders.store import DEFAULT_ENCODER, get_spec, list_encoders

__all__ = [
    "DEFAULT_ENCODER",
    "Encoder",
    "EncoderSpec",
    "get_spec",
    "import_keras",
    "list_encoders",
    "load_encoder",
]
