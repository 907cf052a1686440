"""A cohort's slides as one vector each: of files that slide encoders gave, or means of patches' codes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_nic.cohorts.cohort import Cohort, CohortSlide
from napari_nic.cohorts.slides import OpenCohort, open_cohort, tell_of_twins
from napari_nic.embeddings import UNKNOWN_SLIDE
from napari_nic.errors import InvalidParameterError, NicError, StoreMismatchError
from napari_nic.jobs import CancellationToken
from napari_nic.names import STORE_SUFFIX, has_suffix
from napari_nic.slide_models import LabelledSlide, ModelBundle, Prediction, TrainingSlide, predict_vector
from napari_nic.slide_vectors import SlideVector, check_same_encoder, mean_vector, read_vector, said_of
from napari_nic.slides import open_slide
from napari_nic.wording import counted

_ONE = np.ones((1, 1), bool)


@dataclass(frozen=True, eq=False)
class VectorCohort:
    """The vectors of a cohort, all of one slide encoder; learned from as grids of one cell.

    Attributes
    ----------
    vectors : mapping of str to SlideVector
        By the slides' names.
    """

    vectors: Mapping[str, SlideVector]

    @property
    def encoder(self) -> Mapping[str, Any]:
        """Description of the slide encoder."""
        return next(iter(self.vectors.values())).encoder

    @property
    def code_size(self) -> int:
        """Numbers D of a vector."""
        return int(self.encoder["code_size"])

    @property
    def longest_side(self) -> int:
        """Of a vector's grid."""
        return 1

    @property
    def transforms_patches(self) -> bool:
        """Whether patches were transformed and encoded anew: a vector is taken as it is."""
        return False

    @property
    def checksums(self) -> dict[str, str]:
        """Slide -> checksum of its vector and of what made it."""
        return {name: _checksum(vector) for name, vector in self.vectors.items()}

    def slides(
        self,
        cohort: Cohort,
        *,
        memory_bytes: int,  # noqa: ARG002 - vectors always fit
        token: CancellationToken | None = None,
    ) -> list[TrainingSlide]:
        """Give the cohort's slides with their labels."""
        if token is not None:
            token.checkpoint()
        return [self._labelled(slide) for slide in cohort.slides]

    def predict(
        self,
        bundle: ModelBundle,
        name: str,
        *,
        device: str = "auto",
        token: CancellationToken | None = None,
    ) -> Prediction:
        """Predict a slide by its vector."""
        if token is not None:
            token.checkpoint()
        return predict_vector(bundle, self.vectors[name], device=device)

    def _labelled(self, slide: CohortSlide) -> LabelledSlide:
        values = self.vectors[slide.name].values
        return LabelledSlide(slide.name, values[None, None], _ONE, slide.label, slide.event)


def open_for(
    cohort: Cohort,
    *,
    vectors: bool,
    allow_partial: bool = False,
    token: CancellationToken | None = None,
) -> OpenCohort | VectorCohort:
    """Open what a kind of model learns from: grids of codes, or one vector a slide.

    Parameters
    ----------
    cohort : Cohort
        Of stores, or of files of slide vectors.
    vectors : bool
        Whether the model sees vectors. Of stores the mean of the patches' codes is taken.
    allow_partial : bool
        See :func:`open_cohort`.
    token : CancellationToken, optional

    Raises
    ------
    InvalidParameterError
        If a model of grids is to learn from vectors.
    StoreError
        If a file is damaged, or a slide has no patch.
    StoreMismatchError
        If stores and vectors are mixed, or vectors are of several slide encoders.
    CancelledError
    """
    files = [slide for slide in cohort.slides if not has_suffix(slide.store, STORE_SUFFIX)]
    if not vectors:
        _check_grids(files)
        return open_cohort(cohort, allow_partial=allow_partial)
    if not files:
        return _means(cohort, allow_partial=allow_partial, token=token or CancellationToken())
    if len(files) < len(cohort.slides):
        raise StoreMismatchError(
            "the cohort mixes slide vectors and compressed slides",
            expected="all slides as vectors of one slide encoder, or all compressed",
            found=f"{counted(len(files), 'vector')} of {counted(len(cohort.slides), 'slide')}",
            hint="make the vectors of all (napari-nic slide-embed), and name their folder (--stores)",
        )
    return _read(cohort, token or CancellationToken())


def _check_grids(files: list[CohortSlide]) -> None:
    if files:
        raise InvalidParameterError(
            "slide vectors have no grid that this architecture could see",
            path=files[0].store,
            found=f"{counted(len(files), 'slide')} as one vector each",
            hint="learn from them with --architecture linear or mlp",
        )


def _means(cohort: Cohort, *, allow_partial: bool, token: CancellationToken) -> VectorCohort:
    opened = open_cohort(cohort, allow_partial=allow_partial)
    return VectorCohort({name: mean_vector(store, token=token) for name, store in opened.stores.items()})


def _read(cohort: Cohort, token: CancellationToken) -> VectorCohort:
    found: dict[str, SlideVector] = {}
    known: dict[str, list[str]] = {}
    for slide in cohort.slides:
        token.checkpoint()
        vector = found[slide.name] = read_vector(slide.store)
        first = found[cohort.slides[0].name]
        check_same_encoder(first.encoder, vector.encoder, path=slide.store, error=StoreMismatchError)
        _check_picture(slide, vector)
        known[slide.name] = [_content(vector)] + (
            [] if vector.slide_fingerprint == UNKNOWN_SLIDE else [vector.slide_fingerprint]
        )
    tell_of_twins(cohort, known)
    return VectorCohort(found)


def _check_picture(slide: CohortSlide, vector: SlideVector) -> None:
    """Make sure that a vector is of the slide that the table names, where both are known."""
    if slide.picture is None or vector.slide_fingerprint == UNKNOWN_SLIDE:
        return
    try:
        with open_slide(slide.picture) as opened:
            fingerprint = opened.fingerprint
    except NicError:
        return  # learning needs vectors alone
    if fingerprint != vector.slide_fingerprint:
        raise StoreMismatchError(
            "the vector was made from another slide",
            path=slide.store,
            expected=str(slide.picture),
            found=f"fingerprint {vector.slide_fingerprint}",
        )


def _content(vector: SlideVector) -> str:
    return hashlib.sha256(np.ascontiguousarray(vector.values, "<f4").tobytes()).hexdigest()


def _checksum(vector: SlideVector) -> str:
    described = json.dumps([vector.slide_fingerprint, dict(vector.encoder)], sort_keys=True)
    return hashlib.sha256(f"{_content(vector)}{described}".encode()).hexdigest()


def with_encoder(settings: Mapping[str, Any], vectors: VectorCohort) -> dict[str, Any]:
    """Add to a plan's settings which slide encoder gave the vectors."""
    return dict(settings) | {"slide_encoder": said_of(vectors.encoder), "augmentation": "none of vectors"}
