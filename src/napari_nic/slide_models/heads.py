"""Several tasks on one network: what each of them learns, and the bundle that it becomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from napari_nic.errors import InvalidParameterError
from napari_nic.slide_models.card import ModelCard
from napari_nic.slide_models.config import SlideNetConfig
from napari_nic.slide_models.sources import TrainingSlide
from napari_nic.wording import counted


@dataclass(frozen=True)
class Outcome:
    """What is known of a slide for one task.

    Attributes
    ----------
    label : float
        Class number, value, or time; see :class:`~napari_nic.slide_models.LabelledSlide`.
    event : bool
        Whether the event was observed; for survival only.
    """

    label: float
    event: bool = True


@dataclass(frozen=True, eq=False)
class Head:
    """One of several tasks that share all layers but the output.

    Attributes
    ----------
    card : ModelCard
        Of the bundle that it becomes.
    outcomes : mapping of str to Outcome, optional
        By the slides' names; slides without one teach the other heads only. By default the labels that the
        slides bear themselves.
    weight : float
        Of its loss.
    """

    card: ModelCard
    outcomes: Mapping[str, Outcome] | None = None
    weight: float = 1.0

    def of(self, slides: Sequence[TrainingSlide]) -> list[Outcome | None]:
        """Look up what is known of each slide; None where nothing is."""
        if self.outcomes is None:
            return [Outcome(float(slide.label), bool(slide.event)) for slide in slides]
        return [self.outcomes.get(slide.name) for slide in slides]


def check_heads(heads: Sequence[Head]) -> None:
    """Raise :class:`InvalidParameterError` unless the heads can share a network.

    Parameters
    ----------
    heads : sequence of Head
        Networks may differ in their outputs only, and encoders not at all; each has a name of its own and a
        weight above 0; the first learns the labels that the slides bear.
    """
    if not heads or heads[0].outcomes is not None:
        raise InvalidParameterError(
            "the first head must learn the labels of the slides themselves",
            expected="a first head without outcomes of its own",
            found=f"{counted(len(heads), 'head')}",
        )
    first = heads[0].card
    names = [head.card.name for head in heads]
    for head in heads:
        network = replace(head.card.network, outputs=first.network.outputs)
        if network != first.network or head.card.encoder != first.encoder:
            raise InvalidParameterError(
                f"head {head.card.name!r} cannot share the network of {first.name!r}",
                expected=f"the same encoder, and but for its outputs {first.network}",
                found=f"{head.card.network}",
            )
        if head.weight <= 0 or names.count(head.card.name) > 1:
            raise InvalidParameterError(
                "each head needs a name of its own and a weight above 0",
                found=f"{', '.join(names)}; weight {head.weight:g} of {head.card.name!r}",
            )


def joint_network(heads: Sequence[Head]) -> SlideNetConfig:
    """Describe the network that has the outputs of all heads, side by side."""
    return replace(heads[0].card.network, outputs=sum(head.card.network.outputs for head in heads))
