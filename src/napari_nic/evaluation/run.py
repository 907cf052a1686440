"""Evaluate several encoders on several sets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from napari_nic.encoders import EncoderSpec, load_encoder
from napari_nic.errors import InvalidParameterError
from napari_nic.evaluation.classifiers import CLASSIFIERS, get_classifier
from napari_nic.evaluation.cutting import PATCHES_PER_TILE, LabelledPatches, Sight, cut_set
from napari_nic.evaluation.encoding import EncodedSet, encode_patches
from napari_nic.evaluation.evaluate import Evaluation, evaluate_codes
from napari_nic.evaluation.sets import LabelledSet
from napari_nic.jobs import CancellationToken, Progress


@dataclass(frozen=True)
class EvaluationPlan:
    """What is evaluated.

    Attributes
    ----------
    encoders : tuple of str
        Names or folders.
    sets : tuple of LabelledSet
    classifiers : tuple of str
        Of ``knn``, ``linear``, ``mlp``.
    seeds : int
    patches_per_tile : int
        At most.
    device : str
        Where encoders run; see :func:`napari_nic.encoders.load_encoder`.
    """

    encoders: tuple[str, ...]
    sets: tuple[LabelledSet, ...]
    classifiers: tuple[str, ...] = tuple(CLASSIFIERS)
    seeds: int = 5
    patches_per_tile: int = PATCHES_PER_TILE
    device: str = "auto"


@dataclass(frozen=True, eq=False)
class Outcome:
    """One encoder on one set.

    Attributes
    ----------
    encoder : EncoderSpec
    labelled : LabelledSet
    encoded : EncodedSet or None
        None if the set has no patches for this encoder.
    evaluations : tuple of Evaluation
        One per classifier.
    reason : str
        Why there are none.
    """

    encoder: EncoderSpec
    labelled: LabelledSet
    encoded: EncodedSet | None = None
    evaluations: tuple[Evaluation, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class EvaluationProgress(Progress):
    """Report after each encoder on each set.

    Attributes
    ----------
    outcome : Outcome or None
        What was found; None in the reports before.
    """

    outcome: Outcome | None = None


def evaluate_encoders(
    plan: EvaluationPlan, *, token: CancellationToken | None = None
) -> Iterator[EvaluationProgress]:
    """Evaluate encoders on sets; a set that an encoder cannot be evaluated on has the reason in its outcome.

    Patches are cut once for all encoders that see the same.

    Parameters
    ----------
    plan : EvaluationPlan
    token : CancellationToken, optional

    Yields
    ------
    EvaluationProgress
        Before and after each pair of encoder and set.

    Raises
    ------
    UnknownNameError, MissingDependencyError, WeightsError, DeviceError
        Before anything is computed, where an encoder or classifier is not there.
    CancelledError
    """
    token = token or CancellationToken()
    for classifier in plan.classifiers:
        get_classifier(classifier)
    encoders = [load_encoder(name, device=plan.device) for name in plan.encoders]
    total = len(encoders) * len(plan.sets)
    done = 0
    for labelled in plan.sets:
        cut = _Cuts(labelled, plan.patches_per_tile, token)
        for encoder in encoders:
            spec = encoder.spec
            yield EvaluationProgress(done, total, f"{spec.name} on {labelled.name}", "pairs")
            try:
                patches = cut.patches(Sight.of(spec))
                encoded = EncodedSet(patches, encode_patches(encoder, patches.images, token=token))
                evaluations = tuple(_evaluate(encoded, name, plan.seeds, token) for name in plan.classifiers)
                outcome = Outcome(spec, labelled, encoded, evaluations)
            except InvalidParameterError as error:
                outcome = Outcome(spec, labelled, reason=str(error))
            done += 1
            yield EvaluationProgress(done, total, f"{spec.name} on {labelled.name}", "pairs", outcome)


def _evaluate(encoded: EncodedSet, classifier: str, seeds: int, token: CancellationToken) -> Evaluation:
    return evaluate_codes(
        encoded.codes,
        encoded.labels,
        encoded.groups,
        seeds=seeds,
        classifier=classifier,
        tiles=encoded.tiles,
        class_names=encoded.patches.class_names,
        token=token,
    )


class _Cuts:
    """The patches of one set, kept for encoders that see the same."""

    def __init__(self, labelled: LabelledSet, patches_per_tile: int, token: CancellationToken) -> None:
        self._set, self._most, self._token = labelled, patches_per_tile, token
        self._kept: dict[Sight, LabelledPatches] = {}

    def patches(self, sight: Sight) -> LabelledPatches:
        if sight not in self._kept:
            self._kept[sight] = cut_set(self._set, sight, patches_per_tile=self._most, token=self._token)
        return self._kept[sight]
