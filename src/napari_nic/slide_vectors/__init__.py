"""Slides as one vector each: by others' slide encoders, or as the mean of their patches' codes.

Importing this room loads no torch; it comes when a slide encoder's file is opened.

Public modules beside this list: ``forms``.
"""

from napari_nic.slide_vectors.beside import label_of, vector_beside
from napari_nic.slide_vectors.embedding import SlideEncoder, embed_slide, open_slide_encoder
from napari_nic.slide_vectors.files import holds_vector, read_vector, write_vector
from napari_nic.slide_vectors.forms import InputForm
from napari_nic.slide_vectors.mean import MEAN, is_mean, mean_description, mean_vector
from napari_nic.slide_vectors.vector import SlideVector, check_same_encoder, said_of

__all__ = [
    "MEAN",
    "InputForm",
    "SlideEncoder",
    "SlideVector",
    "check_same_encoder",
    "embed_slide",
    "holds_vector",
    "is_mean",
    "label_of",
    "mean_description",
    "mean_vector",
    "open_slide_encoder",
    "read_vector",
    "said_of",
    "vector_beside",
    "write_vector",
]
