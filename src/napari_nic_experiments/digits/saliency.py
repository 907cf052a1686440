"""Fig. 7 of the paper: does saliency show the tilted rectangle, whose class is the label?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from napari_nic.embeddings.dihedral import N_DIHEDRAL, apply_dihedral, undo_dihedral
from napari_nic.explain import (
    AreaOptions,
    CamMethod,
    SaliencyMap,
    compare_area,
    grad_cam,
    salient_area,
    smoothed,
)
from napari_nic.jobs import CancellationToken, Progress
from napari_nic.slide_models import ModelBundle
from napari_nic_experiments.digits.codes import CodeSource

METHODS: tuple[CamMethod, ...] = ("Grad-CAM", "LayerCAM", "HiResCAM")
"""The paper's, and two relatives that use the same features and gradients."""

SIGMAS = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
SHARES = (0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7)
SPECKS = (4, 16, 48)
"""Values that the training pictures choose among: cells, shares of the highest smoothed value, cells."""


@dataclass(frozen=True)
class Routine:
    """How a map becomes an area: smoothed, cut off at a share of its highest value, without specks.

    Attributes
    ----------
    sigma : float
        Of the Gaussian, in cells.
    share : float
        Of the highest smoothed value.
    min_cells : int
        Smaller parts are specks.
    """

    sigma: float
    share: float
    min_cells: int

    def area(self, saliency: SaliencyMap) -> np.ndarray:
        """Return the salient area, bool (rows, cols); empty where nothing speaks for the target."""
        highest = float(smoothed(saliency.values, saliency.mask, self.sigma).max())
        if highest <= 0:
            return np.zeros(saliency.mask.shape, bool)
        return salient_area(saliency, AreaOptions(self.sigma, self.share * highest, self.min_cells))


@dataclass(frozen=True, eq=False)
class SaliencyDone(Progress):
    """Saliency is measured.

    Attributes
    ----------
    results : mapping
        By method: ``jaccard`` over all pictures, its standard error, that over the pictures whose class was
        predicted right, the ``routine``, and the index on the pictures that chose it.
    """

    results: dict[str, Any] | None = None


def measure_saliency(
    bundle: ModelBundle,
    choosing: CodeSource,
    measuring: CodeSource,
    *,
    count: int,
    first: int = 0,
    device: str = "auto",
    token: CancellationToken | None = None,
) -> Iterator[Progress]:
    """Choose a routine on pictures of the training set, and measure it on pictures that training did not see.

    Parameters
    ----------
    bundle : ModelBundle
    choosing, measuring : CodeSource
    count : int
        Pictures of each.
    first : int
        First picture that chooses.
    device : str
    token : CancellationToken, optional

    Yields
    ------
    Progress
        The last one is :class:`SaliencyDone`.

    Notes
    -----
    Maps explain the class that the model predicts, right or wrong, so that no label is needed; the area is
    compared with the cells of the tilted rectangle (Jaccard index, mean over pictures). Grad-CAM at the first
    convolution is the paper's method.
    """
    token = token or CancellationToken()
    results: dict[str, Any] = {}
    for number, method in enumerate(METHODS):
        stage = f"saliency: {method}"
        yield Progress(number, len(METHODS), stage, "methods")
        chosen = _explain(bundle, choosing, range(first, first + count), method, device, token)
        routine, known = choose_routine(*chosen)
        maps, outlines = _explain(bundle, measuring, range(count), method, device, token)
        found = np.array(jaccards(routine, maps, outlines))
        right = np.array([saliency.target_index for saliency in maps]) == _labels(measuring, count)
        results[method] = {
            "jaccard": float(np.mean(found)),
            "standard_error": float(np.std(found) / np.sqrt(len(found))),
            "images": len(found),
            "jaccard_where_right": float(found[right].mean()) if right.any() else None,
            "images_where_right": int(right.sum()),
            "jaccard_where_chosen": known,
            "routine": asdict(routine),
        }
    yield SaliencyDone(len(METHODS), len(METHODS), "saliency", "methods", results)


def choose_routine(maps: Sequence[SaliencyMap], outlines: Sequence[np.ndarray]) -> tuple[Routine, float]:
    """Return the routine with the highest mean Jaccard index, and that index."""
    candidates = [Routine(*numbers) for numbers in product(SIGMAS, SHARES, SPECKS)]
    means = [float(np.mean(jaccards(routine, maps, outlines))) for routine in candidates]
    best = int(np.argmax(means))
    return candidates[best], means[best]


def jaccards(routine: Routine, maps: Sequence[SaliencyMap], outlines: Sequence[np.ndarray]) -> list[float]:
    """Return the Jaccard index of each map's area with its outline."""
    return [
        compare_area(routine.area(saliency), outline).jaccard
        for saliency, outline in zip(maps, outlines, strict=True)
    ]


def explain_image(
    bundle: ModelBundle,
    source: CodeSource,
    index: int,
    method: CamMethod = "Grad-CAM",
    *,
    device: str = "auto",
) -> SaliencyMap:
    """Explain the class that a model predicts for a picture: the mean map of its eight dihedral transforms.

    The class is the same however a picture is rotated or mirrored; what changes with it is noise.
    """
    from napari_nic_experiments.digits.evaluating import predict_images

    codes = source.codes(index)
    target = int(predict_images(bundle, source, [index], device=device)[0])
    maps = [
        grad_cam(
            bundle,
            apply_dihedral(codes, transform),
            apply_dihedral(source.mask, transform),
            target=target,
            method=method,
            device=device,
        )
        for transform in range(N_DIHEDRAL)
    ]
    mean = np.mean([undo_dihedral(found.values, transform) for transform, found in enumerate(maps)], axis=0)
    return replace(maps[0], values=mean.astype(np.float32))


def _explain(
    bundle: ModelBundle,
    source: CodeSource,
    indices: range,
    method: CamMethod,
    device: str,
    token: CancellationToken,
) -> tuple[list[SaliencyMap], list[np.ndarray]]:
    maps = []
    for index in indices:
        token.checkpoint()
        maps.append(explain_image(bundle, source, index, method, device=device))
    return maps, [source.images[index].tilted for index in indices]


def _labels(source: CodeSource, count: int) -> np.ndarray:
    return np.array([source.images.label(index) for index in range(count)])
