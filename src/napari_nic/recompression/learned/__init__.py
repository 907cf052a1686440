"""Learned codecs as users have them: folders of weights and a description, by name; tiles by them.

::

    folder: card.json, codec.json, encoder.safetensors, decoder.safetensors, light.safetensors, CARD.md
                |                 |                    |________________|
              names            analysis          what a slide of its tiles carries with it

Public modules beside this list: ``codec``; ``decoding`` and ``light``, which load PyTorch.
"""

from napari_nic.recompression.learned.spec import CodecSpec, spec_text
from napari_nic.recompression.learned.store import (
    CARD_FILE,
    DECODER_FILE,
    ENCODER_FILE,
    LIGHT_FILE,
    SPEC_FILE,
    find_codec,
    list_codecs,
    read_codec,
    read_part,
    user_codecs_folder,
)

__all__ = [
    "CARD_FILE",
    "DECODER_FILE",
    "ENCODER_FILE",
    "LIGHT_FILE",
    "SPEC_FILE",
    "CodecSpec",
    "find_codec",
    "list_codecs",
    "read_codec",
    "read_part",
    "spec_text",
    "user_codecs_folder",
]
