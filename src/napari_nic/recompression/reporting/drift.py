"""What encoders and models see of the difference: cosine of codes before and after, and changed predictions.

That similarity of features between original and compressed pictures follows the accuracy of what is built on
them was shown by Fischer et al. (arXiv 2412.13137 and 2503.11350); a cosine is no accuracy by itself.
"""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_nic.encoders import Encoder, load_encoder
from napari_nic.errors import InvalidParameterError
from napari_nic.jobs import CancellationToken, Progress, checked
from napari_nic.pipeline import iter_compress, iter_prepare_store
from napari_nic.recompression.reporting.views import View, choose_views, plan_sampling
from napari_nic.slide_models import ModelBundle, Prediction, predict
from napari_nic.slides import RgbArray, Slide
from napari_nic.slides.shrink import shrink
from napari_nic.tissue import TissueMask


@dataclass(frozen=True)
class EmbeddingDrift:
    """How far an encoder's codes moved.

    Attributes
    ----------
    encoder : str
    patches : int
    mpp : float
        um per pixel at which they were cut.
    mean, least, p5 : float
        Cosine between the codes of a patch before and after: mean, least, and what 5 % are below.
    others : float or None
        Mean cosine between the codes of different patches: what an unrelated patch has; None of one patch.
    """

    encoder: str
    patches: int
    mpp: float
    mean: float
    least: float
    p5: float
    others: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class PredictionDrift:
    """What a model of slides says before and after.

    Attributes
    ----------
    model : str
    names : tuple of str
        Classes, or names of the regressed values.
    before, after : tuple of float
        Scores of the slide.
    largest_cell : float
        Largest difference of a cell's scores, where both are encoded.
    """

    model: str
    names: tuple[str, ...]
    before: tuple[float, ...]
    after: tuple[float, ...]
    largest_cell: float

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


def cosines(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the cosine between rows of two arrays, (n,); of two rows of zeros it is 1.

    Parameters
    ----------
    one, other : ndarray of float, (n, C)
    """
    a, b = np.asarray(one, float), np.asarray(other, float)
    lengths = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
    product = lengths[0] * lengths[1]
    known = product > 0
    found = np.where(lengths[0] == lengths[1], 1.0, 0.0)
    found[known] = (a[known] * b[known]).sum(axis=1) / product[known]
    return np.clip(found, -1, 1)


def drift_of(
    encoder: Encoder,
    before: np.ndarray,
    after: np.ndarray,
    mpp: float,
    *,
    token: CancellationToken | None = None,
) -> EmbeddingDrift:
    """Encode patches before and after, and compare their codes.

    Parameters
    ----------
    encoder : Encoder
    before, after : ndarray of uint8, (n, s, s, 3)
        Of the encoder's input size; n is at least 1.
    mpp : float
        At which they were cut.
    token : CancellationToken, optional
    """
    codes = [_encoded(encoder, patches, token) for patches in (before, after)]
    found = cosines(*codes)
    unlike = cosines(codes[0], np.roll(codes[0], 1, axis=0))
    others = float(unlike.mean()) if len(before) > 1 else None
    mean, least, low = float(found.mean()), float(found.min()), float(np.quantile(found, 0.05))
    return EmbeddingDrift(encoder.spec.name, len(before), mpp, mean, least, low, others)


def _encoded(encoder: Encoder, patches: np.ndarray, token: CancellationToken | None) -> np.ndarray:
    step = encoder.batch_size
    starts = checked(range(0, len(patches), step), token)
    return np.concatenate([encoder.encode(patches[at : at + step]) for at in starts])


def embedding_drift(
    before: Slide,
    after: Slide,
    tissue: TissueMask,
    encoder: Encoder,
    *,
    count: int,
    token: CancellationToken | None = None,
) -> EmbeddingDrift | None:
    """Compare an encoder's codes of patches of tissue, as the encoder was made to see them.

    Returns
    -------
    EmbeddingDrift or None
        None if the slide is too coarse or too small for the encoder's patches.
    """
    spec = encoder.spec
    sampling = plan_sampling(before, before.require_pixel_size(), spec.mpp)
    if sampling is None:
        return None
    views = choose_views(before, tissue, sampling, side=spec.patch_size, count=count)
    if not views:
        return None
    encoder.prepare_thread()
    one = patches_of(before, views, spec.input_size, token)
    other = patches_of(after, views, spec.input_size, token)
    return drift_of(encoder, one, other, sampling.mpp, token=token)


def patches_of(
    slide: Slide, views: Sequence[View], input_size: int, token: CancellationToken | None = None
) -> np.ndarray:
    """Return views as an encoder takes them, (n, input size, input size, 3) uint8."""
    return np.stack([fitted(view.read(slide), input_size) for view in checked(views, token)])


def fitted(patch: RgbArray, input_size: int) -> RgbArray:
    """Average a patch to an encoder's input.

    Raises
    ------
    InvalidParameterError
        If its side is no whole multiple.
    """
    factor, rest = divmod(patch.shape[0], input_size)
    if rest or not factor:
        raise InvalidParameterError(
            "a patch cannot be averaged to the encoder's input", expected=f"a multiple of {input_size} px"
        )
    return shrink(patch, factor)


def prediction_drift(
    before: Slide, after: Slide, model: str | Path, *, token: CancellationToken | None = None
) -> Generator[Progress, None, PredictionDrift]:
    """Compress both slides as a model of slides takes them, and compare what it says of them.

    Parameters
    ----------
    before, after : Slide
    model : str or Path
        Name or folder of a bundle.
    token : CancellationToken, optional
    """
    bundle = ModelBundle.load(model)
    encoder = load_encoder(bundle.card.encoder_name)
    found: list[Prediction] = []
    with tempfile.TemporaryDirectory(prefix="napari-nic-") as folder:
        for number, slide in enumerate((before, after)):
            path = Path(folder, f"{number}.nic.zarr")
            store = yield from iter_prepare_store(slide, encoder, path=path, token=token)
            with store:
                yield from iter_compress(slide, encoder, store, token=token)
                found.append(predict(bundle, store, token=token))
    first, second = found
    both = first.mask & second.mask
    cells = np.abs(first.of_cells() - second.of_cells())[both]
    largest = float(cells.max()) if cells.size else 0.0
    scores = [tuple(float(score) for score in one.mean) for one in found]
    return PredictionDrift(bundle.name, first.class_names, scores[0], scores[1], largest)
