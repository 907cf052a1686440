"""Training a slide-level model on labels of whole slides: the entry; the loop is in ``loop.py``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from napari_nic.errors import InvalidParameterError
from napari_nic.jobs import CancellationToken
from napari_nic.slide_models.card import ModelCard
from napari_nic.slide_models.heads import Head, Outcome, check_heads
from napari_nic.slide_models.settings import EpochDone, TrainingSettings
from napari_nic.slide_models.sources import TrainingSlide


def train(
    card: ModelCard,
    slides: Sequence[TrainingSlide],
    validation: Sequence[TrainingSlide],
    *,
    settings: TrainingSettings | None = None,
    device: str = "auto",
    checkpoint: Path | None = None,
    token: CancellationToken | None = None,
) -> Iterator[EpochDone]:
    """Train the network that `card` describes: :func:`train_together` with a single head."""
    return train_together(
        [Head(card)],
        slides,
        validation,
        settings=settings,
        device=device,
        checkpoint=checkpoint,
        token=token,
    )


def train_together(
    heads: Sequence[Head],
    slides: Sequence[TrainingSlide],
    validation: Sequence[TrainingSlide],
    *,
    settings: TrainingSettings | None = None,
    device: str = "auto",
    checkpoint: Path | None = None,
    token: CancellationToken | None = None,
) -> Iterator[EpochDone]:
    """Train one network for one or several tasks, each of which becomes a bundle of its own.

    Parameters
    ----------
    heads : sequence of Head
        The first one learns the labels that the slides bear, balances the batches and chooses the epoch. The
        loss is the weighted sum of all. Settings and validation results are added to each card's
        ``training`` and ``metrics``.
    slides, validation : sequence of TrainingSlide
        In memory (:class:`LabelledSlide`) or on disk (:class:`StoredSlide`). `validation` chooses the epoch;
        it is no test set.
    settings : TrainingSettings, optional
    device : str
    checkpoint : Path, optional
        File that holds the state after each epoch. One that is there is gone on from: its epochs are
        reported again, and the rest gives the weights that an undisturbed training gives (on a CPU to the
        last bit).
    token : CancellationToken, optional
        Checked at every step; what the last report holds is the best model so far.

    Yields
    ------
    EpochDone

    Raises
    ------
    InvalidParameterError
        If heads cannot share a network, a class has no training slide, a label is no class, there is no
        event, codes have another length, or the checkpoint is that of another training.
    WeightsError
        If the checkpoint is damaged.
    CancelledError

    Notes
    -----
    Crops are centred on cells drawn by the distance map and padded with zeros; each is rotated and mirrored
    at random (places only). The same seed, data, machine and number of threads give the same model.
    """
    settings = settings or TrainingSettings()
    check_heads(heads)
    for head in heads:
        check_slides(head, slides, name="training")
        check_slides(head, validation, name="validation", every_class=False)

    from napari_nic.slide_models.loop import TrainingLoop

    loop = TrainingLoop(heads, slides, validation, settings, device=device, checkpoint=checkpoint)
    return loop.run(token or CancellationToken())


def check_slides(head: Head, slides: Sequence[TrainingSlide], *, name: str, every_class: bool = True) -> None:
    """Raise :class:`InvalidParameterError` unless the slides can be learned from.

    Parameters
    ----------
    head : Head
    slides : sequence of TrainingSlide
    name : str
        What the slides are for, in the error.
    every_class : bool
        Whether there must be a slide of each class, or an event.
    """
    card = head.card
    if not slides:
        raise InvalidParameterError(f"there is no {name} slide")
    for slide in slides:
        if slide.code_size != card.network.code_size or not slide.mask.any():
            raise InvalidParameterError(
                f"slide {slide.name!r} cannot be used",
                expected=f"codes (rows, cols, {card.network.code_size}) with at least one encoded cell",
                found=f"{slide.code_size} channels, {int(slide.mask.sum())} encoded cells",
            )
    found = zip(slides, head.of(slides), strict=True)
    known = [(slide.name, outcome) for slide, outcome in found if outcome is not None]
    if card.task == "classification":
        _check_classes(card, known, name, every_class)
    elif card.task == "survival":
        _check_times(known, name, every_class)
    elif len(card.class_names) != 1 or (every_class and not known):
        raise InvalidParameterError(
            "a head regresses one value, which some slides must have",
            found=f"{len(card.class_names)} values in the card, {len(known)} {name} slides with a value",
        )


def _check_classes(
    card: ModelCard, known: Sequence[tuple[str, Outcome]], name: str, every_class: bool
) -> None:
    classes = set(range(len(card.class_names)))
    labels = {outcome.label for _, outcome in known}
    if labels - classes or (every_class and classes - labels):
        raise InvalidParameterError(
            f"the labels of the {name} slides do not fit the model's classes",
            expected="at least one slide of each: "
            + ", ".join(f"{number} ({text})" for number, text in enumerate(card.class_names)),
            found=", ".join(f"{label:g}" for label in sorted(labels)),
            hint="add slides of the rare class, or share them out otherwise (--folds, --seed)",
        )


def _check_times(known: Sequence[tuple[str, Outcome]], name: str, any_event: bool) -> None:
    wrong = [slide for slide, outcome in known if not outcome.label > 0]
    if wrong or (any_event and not any(outcome.event for _, outcome in known)):
        raise InvalidParameterError(
            f"the {name} slides cannot tell of survival",
            expected="times above 0, and at least one event",
            found=f"no event, or times of 0 or below ({', '.join(wrong) or 'none'})",
        )
