"""Models of whole slides on their embeddings: networks, bundles, training, prediction.

Importing this room loads no torch; it comes when a network is built.

Public modules beside this list: ``canvas``, ``config``, ``features``, ``gridnet``, ``inputs``,
``striped``.
"""

from typing import TYPE_CHECKING

from napari_nic import old_names
from napari_nic.slide_models.bundle import BUILT_IN, CARD_FILE, ModelBundle, list_bundles, user_models_folder
from napari_nic.slide_models.card import ModelCard, Task, outputs_for
from napari_nic.slide_models.config import SlideNetConfig
from napari_nic.slide_models.heads import Head, Outcome
from napari_nic.slide_models.inputs import Standardiser
from napari_nic.slide_models.predict import Prediction, predict, predict_codes, predict_vector
from napari_nic.slide_models.scoring import SlideScorer
from napari_nic.slide_models.settings import EpochDone, TrainingSettings
from napari_nic.slide_models.sources import LabelledSlide, StoredSlide, TrainingSlide
from napari_nic.slide_models.train import train, train_together

__all__ = [
    "BUILT_IN",
    "CARD_FILE",
    "EpochDone",
    "Head",
    "LabelledSlide",
    "ModelBundle",
    "ModelCard",
    "Outcome",
    "Prediction",
    "SlideNetConfig",
    "SlideScorer",
    "Standardiser",
    "StoredSlide",
    "Task",
    "TrainingSettings",
    "TrainingSlide",
    "list_bundles",
    "outputs_for",
    "predict",
    "predict_codes",
    "predict_vector",
    "train",
    "train_together",
    "user_models_folder",
]

if not TYPE_CHECKING:
    __getattr__ = old_names.members_of(__name__)
