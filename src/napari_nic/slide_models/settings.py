"""Settings of a training, and what it reports of each epoch."""

from __future__ import annotations

from dataclasses import dataclass

from napari_nic.device import PRECISIONS
from napari_nic.errors import InvalidParameterError
from napari_nic.jobs import Progress
from napari_nic.slide_models.bundle import ModelBundle


@dataclass(frozen=True)
class TrainingSettings:
    """How to train; the defaults are those of Tellez et al. 2019 (arXiv v2, appendix).

    Attributes
    ----------
    epochs : int
        At most; training stops earlier when the learning rate has reached its final value and nothing
        improves.
    batch_size : int
        Crops a step, drawn with replacement, every class with the same odds.
    steps : int or None
        Steps an epoch; by default as many as the slides fill batches.
    learning_rate, final_learning_rate : float
        Of Adam: at the start, and where it stops falling.
    patience : int
        Epochs without a lower validation loss before the learning rate falls to a tenth.
    weight_decay : float
        As :class:`torch.optim.Adam` has it: `weight_decay` times each weight (not those of batch norm, nor
        offsets) is added to its gradient. That is an L2 penalty of half of it times the squared weights, and
        not the decoupled decay of AdamW. The paper's penalty of 1e-5 times the squared weights is 2e-5 here.
    precision : {"float32", "bfloat16"}
        Of the network's layers while training; weights and loss are always float32.
    seed : int
    """

    epochs: int = 100
    batch_size: int = 16
    steps: int | None = None
    learning_rate: float = 1e-2
    final_learning_rate: float = 1e-5
    patience: int = 4
    weight_decay: float = 2e-5
    precision: str = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"epochs": 1, "batch_size": 2, "patience": 0, "seed": 0}
        wrong = [name for name, value in least.items() if getattr(self, name) < value]
        falls = 0 < self.final_learning_rate <= self.learning_rate
        if wrong or self.precision not in PRECISIONS or not falls or not self.weight_decay >= 0:
            raise InvalidParameterError(
                "settings of the training are out of range",
                expected="at least 1 epoch, batches of at least 2 crops, "
                "0 < final learning rate <= learning rate, weight decay 0 or more, "
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
    learning_rate : float
        Of the epoch.
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
    learning_rate: float = 0.0
    is_best: bool = False
    best: ModelBundle | None = None
    further: tuple[ModelBundle, ...] = ()
