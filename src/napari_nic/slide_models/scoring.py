"""A slide of any size scored at once, as often as it is asked for."""

from __future__ import annotations

import numpy as np

from napari_nic.jobs import CancellationToken
from napari_nic.slide_models.bundle import ModelBundle
from napari_nic.slide_models.canvas import Canvas
from napari_nic.slide_models.predict import scores_of


class SlideScorer:
    """Scores slides by the mean of their last feature map, which is the output that saliency explains.

    Parameters
    ----------
    bundle : ModelBundle
        Its network is built once.
    device : str
    token : CancellationToken, optional
        Asked at each strip.
    """

    def __init__(
        self, bundle: ModelBundle, *, device: str = "auto", token: CancellationToken | None = None
    ) -> None:
        from napari_nic.slide_models.inference import Predictor

        self._card, self._token = bundle.card, token
        self._predictor = Predictor(bundle, device=device)

    def __call__(self, canvas: Canvas) -> np.ndarray:
        """Return the scores of a slide in its frame: float32 (K,), probabilities, values or a risk."""
        return scores_of(self._predictor.whole_outputs(canvas, self._token)[None], self._card)[0]
