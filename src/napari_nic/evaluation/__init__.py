"""How good codes are: tasks on labelled patches with the encoder frozen.

Public modules beside this list: ``classifiers``, ``pictures``, ``plots``, ``report``.
"""

from napari_nic.evaluation.cutting import LabelledPatches
from napari_nic.evaluation.encoding import EncodedSet, encode_patches, encode_set
from napari_nic.evaluation.evaluate import Evaluation, evaluate_codes
from napari_nic.evaluation.run import EvaluationPlan, EvaluationProgress, Outcome, evaluate_encoders
from napari_nic.evaluation.scores import Scores
from napari_nic.evaluation.sets import LabelledSet, read_sets

__all__ = [
    "EncodedSet",
    "Evaluation",
    "EvaluationPlan",
    "EvaluationProgress",
    "LabelledPatches",
    "LabelledSet",
    "Outcome",
    "Scores",
    "encode_patches",
    "encode_set",
    "evaluate_codes",
    "evaluate_encoders",
    "read_sets",
]
