"""Training with labels: one labelled set, or several at once with a head each.

Supervised (Tellez et al. 2019, appendix): the encoder, a head, softmax. Multitask (Tellez et al., MIDL 2020):
one encoder, any number of labelled sets, each with its own head, loss and weight, drawn evenly.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from napari_nic.errors import InvalidParameterError
from napari_nic.patches import PatchBatch, PatchSource
from napari_nic.training.objectives.base import Objective, Settings, ToInput, mlp_head, shares
from napari_nic.training.objectives.vicreg import VicregSettings, make_projection, vicreg_loss
from napari_nic.training.options import TrainOptions


@dataclass(frozen=True)
class SupervisedSettings(Settings):
    """Settings of training with labels.

    Attributes
    ----------
    label_smoothing : float
        Share of the target that is spread over all classes.
    """

    label_smoothing: float = 0.0


@dataclass(frozen=True)
class MultitaskSettings(SupervisedSettings):
    """Settings of multitask training.

    Attributes
    ----------
    self_supervision : float
        Weight of a VICReg term over the patches of all sets, those without labels too; 0 is none. With it
        the encoder learns from patches that nobody labelled, beside those with labels.
    """

    self_supervision: float = 0.0


class MultitaskObjective(Objective):
    """One head and one cross-entropy per labelled set; sets without labels take part in self-supervision."""

    name = "multitask"
    title = "Multitask supervised"
    citation = (
        "Tellez et al., Extending unsupervised neural image compression with supervised multitask learning,"
        " MIDL 2020"
    )
    limits = "It knows what its tasks asked for, best on tissue and stains like theirs."
    augmentation = "strong"
    labelled: ClassVar[bool] = True
    settings_type: ClassVar[type[Settings]] = MultitaskSettings
    settings: MultitaskSettings

    def __init__(self, options: TrainOptions, sources: Sequence[PatchSource]) -> None:
        super().__init__(options, sources)
        classes = [len(source.class_names) for source in sources]
        extra = getattr(self.settings, "self_supervision", 0.0)
        if not any(classes) or (0 in classes and not extra):
            raise InvalidParameterError(
                f"{self.name} training needs labels",
                expected="sets of patches with at least two classes each",
                found=", ".join(f"{count} classes" for count in classes),
                hint="name them with --labelled-tiles, or take a method that needs no labels: vicreg, vae",
            )
        self.heads = nn.ModuleList(mlp_head(options.code_size, max(1, count)) for count in classes)
        self.projection = make_projection(options.code_size, VicregSettings().width) if extra else None
        self._extra = extra

    def draw(self, sources: Sequence[PatchSource], count: int, rng: np.random.Generator) -> list[PatchBatch]:
        """Draw one batch per set, evenly."""
        return [source.draw(max(2, part), rng) for source, part in shares(sources, count)]

    def loss(self, batch: list[PatchBatch], to_input: ToInput) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the mean of the sets' cross-entropies, plus the weighted VICReg term where asked for."""
        images = np.concatenate([part.images for part in batch])
        codes = self.encoder(to_input(images)).float()
        losses, right = classify(batch, codes, self.heads, self.settings.label_smoothing)
        loss = torch.stack(losses).mean()
        terms = {"cross_entropy": float(loss.detach()), "accuracy": float(np.mean(right))}
        if self.projection is None:
            return loss, terms
        views = torch.cat([codes, self.encoder(to_input(images, salt=1)).float()])
        first, second = self.projection(views).float().chunk(2)
        extra, _ = vicreg_loss(first, second, VicregSettings())
        return loss + self._extra * extra, terms | {"vicreg": float(extra.detach())}


def classify(
    batch: Sequence[PatchBatch], codes: torch.Tensor, heads: Iterable[nn.Module], smoothing: float
) -> tuple[list[torch.Tensor], list[float]]:
    """Return cross-entropy and share that is right of each set with labels.

    Parameters
    ----------
    batch : sequence of PatchBatch
        One of each set.
    codes : Tensor, (n, C)
        Of all their patches in order.
    heads : iterable of Module
        One for each set, from codes to classes.
    smoothing : float
        Share of the target that is spread over all classes.
    """
    losses, right, start = [], [], 0
    for part, head in zip(batch, heads, strict=True):
        end = start + len(part.images)
        if part.labels is not None:
            labels = torch.from_numpy(part.labels).to(codes.device)
            logits = head(codes[start:end])
            losses.append(nn.functional.cross_entropy(logits, labels, label_smoothing=smoothing))
            right.append(float((logits.argmax(1) == labels).float().mean()))
        start = end
    return losses, right


class SupervisedObjective(MultitaskObjective):
    """A single labelled set."""

    name = "supervised"
    title = "Supervised"
    citation = "Tellez et al., Neural Image Compression for Gigapixel Histopathology, TPAMI 2019"
    settings_type: ClassVar[type[Settings]] = SupervisedSettings

    def __init__(self, options: TrainOptions, sources: Sequence[PatchSource]) -> None:
        super().__init__(options, sources)
        if len(sources) != 1:
            raise InvalidParameterError(
                "supervised training takes one labelled set",
                expected="1 set",
                found=f"{len(sources)} sets",
                hint="take the method multitask for several",
            )
