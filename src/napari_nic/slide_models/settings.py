"""Settings of a training, and what it reports of each epoch."""

from __future__ import annotations

from dataclasses import dataclass

from napari_nic.encoders.device import PRECISIONS
from napari_nic.errors import InvalidParameterError
from napari_nic.jobs import Progress
from napari_nic.slide_models.bundle import ModelBundle


@dataclass(frozen=True)
class TrainingSettings:
    """How to train; the defaults are those of Tellez et al. 2019 (arXiv v2, appendix).

    Attributes
    ----------
    epochs : int
        At most; training stops earlier when the rate has reached its least and nothing improves.
    batch_size : int
        Crops a step, drawn with replacement, every class with the same odds.
    steps : int or None
        Steps an epoch; by default as many as the slides fill batches.
    rate, least_rate : float
        Learning rate of Adam at the start, and where it stops falling.
    patience : int
        Epochs without a lower validation loss before the rate falls to a tenth.
    l2 : float
        Penalty factor of squared weights (not of batch norm or offsets).
    precision : {"float32", "bfloat16"}
        Of the network's layers while training; weights and loss are always float32.
    seed : int
    """

    epochs: int = 100
    batch_size: int = 16
    steps: int | None = None
    rate: float = 1e-2
    least_rate: float = 1e-5
    patience: int = 4
    l2: float = 1e-5
    precision: str = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"epochs": 1, "batch_size": 2, "patience": 0, "seed": 0}
        wrong = [name for name, value in least.items() if getattr(self, name) < value]
        if wrong or self.precision not in PRECISIONS or not 0 < self.least_rate <= self.rate:
            raise InvalidParameterError(
                "settings of the training are out of range",
                expected="at least 1 epoch, batches of at least 2 crops, 0 < least rate <= rate, "
                f"precision {' or '.join(PRECISIONS)}",
                found=f"{self}",
            )


@dataclass(frozen=True)
class EpochDone(Progress):
    """A finished epoch.

    Attributes
    ----------
    loss, validation_loss : float
        Mean of the training batches (without the penalty); over the validation slides. Of a regression in
        units of the training labels' variance.
    metric : float
        On the validation slides: mean AUC over classes, Spearman's correlation, or concordance index; nan if
        undefined.
    rate : float
        Learning rate of the epoch.
    is_best : bool
        Whether this epoch is the best so far: highest metric, then lowest validation loss.
    best : ModelBundle or None
        The bundle of the best epoch so far; that of the last report is the result.
    further : tuple of ModelBundle
        Of the same epoch, those of the other heads of :func:`~napari_nic.slide_models.train_together`.
    """

    loss: float = 0.0
    validation_loss: float = 0.0
    metric: float = 0.0
    rate: float = 0.0
    is_best: bool = False
    best: ModelBundle | None = None
    further: tuple[ModelBundle, ...] = ()
