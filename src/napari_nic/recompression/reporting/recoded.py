"""A slide as it would be after a codec, without a file, and how well a model still orders such slides."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np

from napari_nic.encoders import Encoder, load_encoder
from napari_nic.errors import InvalidParameterError
from napari_nic.jobs import CancellationToken, Progress, checked
from napari_nic.metrics import mean_class_auc
from napari_nic.pipeline import iter_compress, iter_prepare_store
from napari_nic.recompression.reporting.contenders import Contender
from napari_nic.slide_models import ModelBundle, predict
from napari_nic.slides import READERS, RgbArray, Slide, SlideSource, open_slide

ORIGINAL = "original"
"""The slides as they are, among the contenders."""


class RecodedSource:
    """An open file whose tiles go through a codec; see :class:`napari_nic.slides.model.SlideSource`.

    Parameters
    ----------
    source : SlideSource
    through : Contender

    Attributes
    ----------
    info : SourceInfo
    """

    def __init__(self, source: SlideSource, through: Contender) -> None:
        self.info = source.info
        self._source, self._through = source, through

    def read_tile(self, level: int, row: int, col: int) -> RgbArray | None:
        """Decode one tile, encode it, and decode that."""
        tile = self._source.read_tile(level, row, col)
        return (
            None if tile is None else self._through.decode(self._through.encode(np.ascontiguousarray(tile)))
        )

    def read_associated(self, name: str) -> RgbArray:
        """Decode an associated image as it is."""
        return self._source.read_associated(name)

    def close(self) -> None:
        """Let the file go."""
        self._source.close()


def open_recoded(path: Path, through: Contender | None) -> Slide:
    """Open a slide as it would be after a codec; as it is with None."""
    slide = open_slide(path)
    if through is None:
        return slide
    with slide:
        reader, pixel = slide.reader, slide.pixel_size
    source = cast("SlideSource", READERS.get(reader)(path))  # open_slide would have refused channels
    source = RecodedSource(source, through)
    recoded = Slide(path, reader, source)
    return recoded if pixel is None else recoded.with_pixel_size(pixel)


def aucs_of(
    labels: Mapping[Path, str],
    contenders: Sequence[Contender],
    model: str | Path,
    *,
    token: CancellationToken | None = None,
) -> Generator[Progress, None, dict[str, float]]:
    """Predict slides as they are and after each codec; return how well the scores order them.

    Parameters
    ----------
    labels : mapping of Path to str
        Slides, and the class of each: one of the model's.
    contenders : sequence of Contender
    model : str or Path
        Name or folder of a model that classifies slides.
    token : CancellationToken, optional

    Returns
    -------
    dict of str to float
        Mean AUC over classes, by the contender's name and :data:`ORIGINAL`; nan where all are of one class.

    Raises
    ------
    InvalidParameterError
        If the model is no classifier, or does not know a class.
    """
    bundle = ModelBundle.load(model)
    names = bundle.card.class_names
    if bundle.card.task != "classification" or not set(labels.values()) <= set(names):
        raise InvalidParameterError(
            "the labels are none that this model knows",
            expected=", ".join(names),
            found=", ".join(sorted(set(labels.values()))),
        )
    encoder = load_encoder(bundle.card.encoder_name)
    truth = np.array([names.index(label) for label in labels.values()])
    aucs = {}
    every: tuple[Contender | None, ...] = (None, *contenders)
    for done, through in enumerate(checked(every, token)):
        name = ORIGINAL if through is None else through.name
        yield Progress(done, len(every), f"predictions: {name}", "codecs")
        scores = []
        for path in labels:
            with open_recoded(path, through) as slide:
                scores.append((yield from _scores(slide, bundle, encoder, token)))
        aucs[name] = mean_class_auc(np.stack(scores), truth)
    return aucs


def _scores(
    slide: Slide, bundle: ModelBundle, encoder: Encoder, token: CancellationToken | None
) -> Generator[Progress, None, np.ndarray]:
    with tempfile.TemporaryDirectory(prefix="napari-nic-") as folder:
        path = Path(folder, "slide.nic.zarr")
        with (yield from iter_prepare_store(slide, encoder, path=path, token=token)) as store:
            yield from iter_compress(slide, encoder, store, token=token)
            return predict(bundle, store, token=token).mean
