"""Comparing readings of the open slide, and examining its objects, as jobs in a worker thread."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from napari_nic.annotations import AnnotationSet, SlideExtent
from napari_nic.embeddings import CompressedSlide, ResidentCodes
from napari_nic.explain import Overlay, grad_cam
from napari_nic.geometry import PixelSize, RegionPx
from napari_nic.jobs import CancellationToken
from napari_nic.reader_study import (
    PairComparison,
    Reading,
    ReadSlide,
    compare_readings,
    difference_overlay,
    prediction_reading,
    saliency_reading,
)
from napari_nic.reader_study.doctor import Diagnosis, DoctorSlide, examine
from napari_nic.reader_study.kappa import KappaResult
from napari_nic.reader_study.object_codes import object_codes
from napari_nic.reader_study.votes import kappa_of_votes, votes_on
from napari_nic.slide_models import ModelBundle, predict


@dataclass(frozen=True, eq=False)
class Asked:
    """A side of a comparison.

    Attributes
    ----------
    kind : {"annotations", "prediction", "saliency"}
    name : str
    annotations : AnnotationSet
        Of a reader; empty of a model.
    bundle : ModelBundle or None
        Of a prediction or saliency.
    target : int
        Class of the saliency.
    """

    kind: Literal["annotations", "prediction", "saliency"]
    name: str
    annotations: AnnotationSet = field(default_factory=AnnotationSet)
    bundle: ModelBundle | None = None
    target: int = 0

    def reading(self, store: CompressedSlide | None, token: CancellationToken) -> Reading:
        """Return what this side says; a model is run."""
        if self.kind == "annotations" or self.bundle is None or store is None:
            return Reading(self.name, self.annotations)
        if self.kind == "prediction":
            return prediction_reading(predict(self.bundle, store, token=token), store.grid, token=token)
        codes, mask = store.read(token=token), store.encoded()
        saliency = grad_cam(self.bundle, codes, mask, target=self.target, token=token)
        return saliency_reading(saliency, store.grid, token=token)


@dataclass(frozen=True, eq=False)
class Place:
    """The slide that is compared on.

    Attributes
    ----------
    name : str
    extent : RegionPx
        Of level 0.
    pixel : PixelSize
    store : CompressedSlide or None
    """

    name: str
    extent: RegionPx
    pixel: PixelSize
    store: CompressedSlide | None


@dataclass(frozen=True, eq=False)
class Compared:
    """What came of a comparison.

    Attributes
    ----------
    readings : (Reading, Reading)
    classes : tuple of PairComparison
        One for each class that either has.
    kappa : KappaResult or None
        Agreement on all classes beyond chance; None where nobody has any area.
    """

    readings: tuple[Reading, Reading]
    classes: tuple[PairComparison, ...]
    kappa: KappaResult | None = None


def compare_job(
    place: Place, sides: Sequence[Asked], token: CancellationToken
) -> Generator[None, None, Compared]:
    """Compare two sides class by class."""
    yield
    first, second = (side.reading(place.store, token) for side in sides)
    yield
    classes = compare_readings(place.name, (first, second), place.pixel, token=token)
    return Compared((first, second), classes, _kappa(place, (first, second), token))


def _kappa(place: Place, readings: tuple[Reading, Reading], token: CancellationToken) -> KappaResult | None:
    shape = place.extent.height, place.extent.width
    read = ReadSlide(place.name, place.pixel, readings, SlideExtent(shape, place.pixel), place.store)
    return kappa_of_votes([votes_on(read, token=token)], [reading.name for reading in readings])


def difference_job(
    place: Place, compared: Compared, label: str, token: CancellationToken
) -> Generator[None, None, Overlay]:
    """Paint where two readings differ on a class."""
    yield
    return difference_overlay(*compared.readings, label, place.extent, place.pixel, token=token)


def examine_job(
    name: str, annotations: AnnotationSet, store: CompressedSlide, token: CancellationToken
) -> Generator[None, None, Diagnosis]:
    """Rank the objects of a slide by how little they look like their class."""
    yield
    resident = ResidentCodes.load(store, token=token)
    yield
    objects = object_codes(annotations, resident, token=token)
    return examine([DoctorSlide(name, annotations, objects)], token=token)
