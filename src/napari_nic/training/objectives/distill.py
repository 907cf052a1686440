"""Distillation: a small, fast encoder learns to say what one or several others say of the same patch.

::

    place -> teacher's view, as it is, at the teacher's own size and um/px -> teacher's code, standardised
          -> encoder's view, augmented -> code -> head -> the teacher's code again         (features)
                                          code -> how alike the patches of a batch are     (relations)

Both terms, VICReg (Bardes et al. 2022), cross-entropy where sets have labels, and crops at twice the
magnification (Caron et al. 2020, SwAV) are added up in one loop with their weights. Features are regressed
as by Hinton et al. 2015 and Romero et al. 2015; relations are those of Tung and Mori 2019.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from napari_nic.encoders.networks import get_architecture
from napari_nic.errors import InvalidParameterError
from napari_nic.jobs import CancellationToken
from napari_nic.patches import FixedPatches, PatchBatch, PatchSource
from napari_nic.training.objectives.base import Objective, Settings, ToInput, mlp_head, shares
from napari_nic.training.objectives.codes import LEAST_SPREAD, principal_codes
from napari_nic.training.objectives.neighbours import neighbour_accuracy
from napari_nic.training.objectives.supervised import classify
from napari_nic.training.objectives.vicreg import VicregSettings, make_projection, vicreg_loss
from napari_nic.training.options import TrainOptions
from napari_nic.training.recipe import MARGIN
from napari_nic.training.teachers import CodeBook, Teacher, View, cut, drawn_for, resize

SCALE_PATCHES, BANK_PATCHES, CHUNK = 512, 512, 64
SCALE_SALT, BANK_SALT = 2**33, 2**34
LOCAL_SHARE = 0.5
"""Side of a local crop, of what the encoder is shown with its margin: it is seen twice as large."""


@dataclass(frozen=True)
class DistillSettings(Settings):
    """Weights of the terms, and how the encoder is tied to its teachers.

    Attributes
    ----------
    features : float
        Weight of the distance between what a head makes of the code and the teacher's standardised code.
    relations : float
        Weight of the squared difference of the cosine similarities of the patches of a batch.
    local : float
        Weight of the features' distance for a crop at twice the magnification of the same place.
    vicreg : float
        Weight of VICReg's terms of two views; 0 is none.
    supervision : float
        Weight of the cross-entropy of the sets with labels.
    cosine : bool
        Whether the distance is 1 - cosine instead of the mean squared error.
    head_width : int
        Of the hidden layer of a teacher's head; 0 is a linear head.
    principal : bool
        Whether the code becomes the principal components of the encoder's features when training ends.
    """

    features: float = 1.0
    relations: float = 0.0
    local: float = 0.0
    vicreg: float = 0.0
    supervision: float = 1.0
    cosine: bool = False
    head_width: int = 0
    principal: bool = False


@dataclass(frozen=True, eq=False)
class Shown:
    """What the teachers are shown of one set's patches.

    Attributes
    ----------
    source : PatchSource
    numbers : ndarray of int64, (n,), or None
        Of patches that are the same whenever they are drawn: their codes are kept.
    images : tuple of ndarray of uint8, (n, s', s', 3)
        Of patches that are cut anywhere: for each teacher.
    """

    source: PatchSource
    numbers: np.ndarray | None
    images: tuple[np.ndarray, ...]


@dataclass(frozen=True, eq=False)
class DistillBatch:
    """Patches of a step, cut for everybody who is shown them.

    Attributes
    ----------
    near : tuple of PatchBatch
        What the encoder is shown, with its margin, and labels: one of each set.
    local : ndarray of uint8, (n, s, s, 3), or None
        Crops at twice the magnification, of all sets in order.
    shown : tuple of Shown
        What the teachers are shown: one of each set.
    """

    near: tuple[PatchBatch, ...]
    local: np.ndarray | None
    shown: tuple[Shown, ...]


class DistillObjective(Objective):
    """Encoder and one head for each teacher; see the module's diagram."""

    name = "distill"
    title = "Distillation"
    citation = (
        "Hinton, Vinyals, Dean: Distilling the knowledge in a neural network, 2015; Romero et al., FitNets, "
        "ICLR 2015; in the frame of Tellez et al. 2019"
    )
    limits = "It knows what its teachers know, and less of it; it does not know diagnoses."
    augmentation = "tissue"
    settings_type: ClassVar[type[Settings]] = DistillSettings
    settings: DistillSettings

    def __init__(self, options: TrainOptions, sources: Sequence[PatchSource]) -> None:
        super().__init__(options, sources)
        self.teachers = open_teachers(options)
        self.near_view = near_view(options)
        self._seed, self._sources = options.seed, tuple(sources)
        settings, size = self.settings, options.code_size
        codes = [teacher.spec.code_size for teacher in self.teachers]
        self.heads = nn.ModuleList(make_head(size, length, settings.head_width) for length in codes)
        for number, length in enumerate(codes):
            self.register_buffer(f"mean_{number}", torch.zeros(length))
            self.register_buffer(f"spread_{number}", torch.ones(length))
        self.register_buffer("is_scaled", torch.zeros(1))
        self.projection = make_projection(size, VicregSettings().width) if settings.vicreg else None
        classes = [len(source.class_names) for source in sources] if settings.supervision else []
        self.tasks = nn.ModuleList(mlp_head(size, max(1, count)) for count in classes if any(classes))
        self._held: tuple[bytes, list[torch.Tensor]] | None = None
        self._bank: DistillBatch | None = None
        self._books: dict[tuple[int, int], CodeBook] = {}

    @classmethod
    def wanted(cls, options: TrainOptions) -> tuple[int, float]:
        """Return side, px, and resolution, um/px, that all views can be cut from, the teachers' too."""
        return drawn_for([near_view(options), *(teacher.view for teacher in open_teachers(options))])

    def learned_from(self) -> list[dict[str, Any]]:
        """Return name, licence and checksum of each teacher."""
        return [teacher.described() for teacher in self.teachers]

    def draw_near(self, sources: Sequence[PatchSource], count: int, rng: np.random.Generator) -> np.ndarray:
        """Draw patches as the encoder sees them; few at a time, since teachers may want large ones."""
        parts = [min(CHUNK, count - start) for start in range(0, count, CHUNK)]
        drawn = [
            cut(source.draw(part, rng).images, source.mpp, self.near_view)
            for size in parts
            for source, part in shares(sources, size)
            if part
        ]
        return np.concatenate(drawn)

    def draw(self, sources: Sequence[PatchSource], count: int, rng: np.random.Generator) -> DistillBatch:
        """Draw one batch of each set, evenly, and cut it for everybody."""
        drawn = [(source.draw(max(2, part), rng), source) for source, part in shares(sources, count)]
        view = self.near_view
        near = tuple(PatchBatch(cut(part.images, source.mpp, view), part.labels) for part, source in drawn)
        shown = tuple(self._show(part, source) for part, source in drawn)
        local = None
        if self.settings.local:
            crops = [local_crops(part.images, source.mpp, view, rng) for part, source in drawn]
            local = np.concatenate(crops)
        return DistillBatch(near, local, shown)

    def _show(self, part: PatchBatch, source: PatchSource) -> Shown:
        """Cut for the teachers what they have to be asked about; numbered patches are looked up."""
        fixed = isinstance(source, FixedPatches) and all(CodeBook.fits(one, source) for one in self.teachers)
        if fixed and part.numbers is not None:
            return Shown(source, part.numbers, ())
        return Shown(source, None, tuple(cut(part.images, source.mpp, one.view) for one in self.teachers))

    def loss(self, batch: DistillBatch, to_input: ToInput) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the weighted sum of the terms; in evaluation mode what early stopping looks at."""
        if not self.training:
            return self._validation(batch, to_input)
        targets = self._targets(batch)
        views = self._views(batch, to_input)
        codes = dict(zip(views, self.encoder(torch.cat(list(views.values()))).chunk(len(views)), strict=True))
        codes = {name: code.float() for name, code in codes.items()}
        terms = self._terms(batch, codes, targets)
        weights = self._weights()
        loss = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
        return loss, {name: float(term.detach()) for name, term in terms.items()}

    def _weights(self) -> dict[str, float]:
        settings = self.settings
        return {
            "distance": settings.features,
            "relations": settings.relations,
            "local": settings.local,
            "vicreg": settings.vicreg,
            "cross_entropy": settings.supervision,
        }

    def _terms(
        self, batch: DistillBatch, codes: Mapping[str, torch.Tensor], targets: Sequence[torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        """Return the terms that have a weight, unweighted."""
        first = codes["first"]
        terms = {"distance": self._distance(first, targets)}
        if self.settings.relations:
            terms["relations"] = relations_gap(first, targets)
        if "local" in codes:
            terms["local"] = self._distance(codes["local"], targets)
        if self.projection is not None:
            pair = [self.projection(codes[name]).float() for name in ("first", "second")]
            terms["vicreg"], _ = vicreg_loss(pair[0], pair[1], VicregSettings())
        if len(self.tasks):
            terms["cross_entropy"] = torch.stack(classify(batch.near, first, self.tasks, 0.0)[0]).mean()
        return terms

    def finish(self, patches: np.ndarray, token: CancellationToken | None = None) -> None:
        """Read the code off the features, where the settings say so, and bring it to mean 0 and spread 1."""
        if self.settings.principal:
            principal_codes(self.encoder, patches, token)
        super().finish(patches, token)

    def _views(self, batch: DistillBatch, to_input: ToInput) -> dict[str, torch.Tensor]:
        images = np.concatenate([part.images for part in batch.near])
        views = {"first": to_input(images)}
        if self.projection is not None:
            views["second"] = to_input(images, salt=1)
        if batch.local is not None:
            views["local"] = to_input(batch.local, salt=2)
        return views

    def _distance(self, codes: torch.Tensor, targets: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return the mean over teachers of the distance of what the heads say."""
        with torch.autocast(codes.device.type, enabled=False):
            said = [head(codes) for head in self.heads]
        gaps = [
            code_gap(one, other, cosine=self.settings.cosine)
            for one, other in zip(said, targets, strict=True)
        ]
        return torch.stack(gaps).mean()

    def _targets(self, batch: DistillBatch) -> list[torch.Tensor]:
        """Return the teachers' standardised codes, (n, C) each."""
        if not self.is_scaled:
            self._learn_scale()
        return [
            (code - self.get_buffer(f"mean_{number}")) / self.get_buffer(f"spread_{number}")
            for number, code in enumerate(self._ask(batch.shown))
        ]

    def _ask(self, shown: Sequence[Shown]) -> list[torch.Tensor]:
        """Return what each teacher says, (n, C) each."""
        device = self.encoder.code.weight.device
        with torch.autocast(device.type, enabled=False):
            codes = [
                np.concatenate([self._ask_one(number, part, str(device)) for part in shown])
                for number in range(len(self.teachers))
            ]
        return [torch.from_numpy(code).to(device) for code in codes]

    def _ask_one(self, number: int, part: Shown, device: str) -> np.ndarray:
        teacher = self.teachers[number]
        if part.numbers is None:
            return teacher.encode(part.images[number], device)
        key = (number, id(part.source))
        if key not in self._books:
            assert isinstance(part.source, FixedPatches)  # noqa: S101  # for the type checker
            self._books[key] = CodeBook(teacher, part.source)
        return self._books[key].codes(part.numbers, part.source.mpp, device)

    def _learn_scale(self) -> None:
        """Measure mean and spread of the teachers' codes, once: they are in the checkpoint from then on."""
        rng = np.random.default_rng((self._seed, SCALE_SALT))
        batch = self.draw(self._sources, SCALE_PATCHES, rng)
        for number, code in enumerate(self._ask(batch.shown)):
            spread = code.std(0)
            self.get_buffer(f"mean_{number}").copy_(code.mean(0))
            self.get_buffer(f"spread_{number}").copy_(
                spread.clamp(min=LEAST_SPREAD * float(spread.mean()) + 1e-12)
            )
        self.get_buffer("is_scaled").fill_(1)

    def _validation(self, batch: DistillBatch, to_input: ToInput) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the error of neighbours where there are labels, else the distance to the teachers."""
        codes = self._plain_codes(batch, to_input)
        distance = self._distance(codes, self._held_targets(batch))
        terms = {"distance": float(distance)}
        if not any(part.labels is not None for part in batch.near):
            return distance, terms
        if self._bank is None:
            rng = np.random.default_rng((self._seed, BANK_SALT))
            self._bank = self.draw(self._sources, BANK_PATCHES, rng)
        known = self._plain_codes(self._bank, to_input)
        right = neighbour_accuracy(known, self._bank.near, codes, batch.near)
        return 1 - torch.tensor(right), terms | {"knn": right}

    def _plain_codes(self, batch: DistillBatch, to_input: ToInput) -> torch.Tensor:
        codes: torch.Tensor = self.encoder(to_input(np.concatenate([part.images for part in batch.near])))
        return codes.float()

    def _held_targets(self, batch: DistillBatch) -> list[torch.Tensor]:
        """Return the teachers' codes of held-out patches: always the same, so they are asked once."""
        key = b"".join(part.images[::16, ::8, ::8].tobytes() for part in batch.near)
        if self._held is None or self._held[0] != key:
            self._held = key, self._targets(batch)
        return self._held[1]


def near_view(options: TrainOptions) -> View:
    """Return what the encoder is shown of a place, with the margin for zoom and rotation."""
    architecture = get_architecture(options.architecture)
    size = round(MARGIN * architecture.input_size)
    return View(size * architecture.input_mpp, size)


def open_teachers(options: TrainOptions) -> list[Teacher]:
    """Return the teachers that the options name.

    Raises
    ------
    InvalidParameterError
        If they name none.
    UnknownNameError, WeightsError, ConsentError
        If one is not there, is damaged, or is a program that nobody has let run.
    """
    if not options.teachers:
        raise InvalidParameterError(
            "distillation needs somebody to learn from",
            expected="at least one encoder, its folder or a model file",
            hint="name it with --teacher; napari-nic encoders list has the names",
        )
    return [Teacher(name) for name in options.teachers]


def make_head(code_size: int, length: int, width: int) -> nn.Module:
    """Return what makes a teacher's code of ours: a linear layer, or one with a hidden layer before it."""
    return mlp_head(code_size, length, width=width) if width else nn.Linear(code_size, length)


def local_crops(images: np.ndarray, mpp: float, view: View, rng: np.random.Generator) -> np.ndarray:
    """Cut half the side out of a view, at a place of its own for each patch, and enlarge it to the view's."""
    side = min(round(view.span / mpp), images.shape[1])
    small = max(1, round(LOCAL_SHARE * side))
    first = (images.shape[1] - side) // 2
    places = first + rng.integers(0, side - small + 1, (len(images), 2))
    crops = np.stack(
        [image[y : y + small, x : x + small] for image, (y, x) in zip(images, places, strict=True)]
    )
    return resize(crops, view.size)


def code_gap(said: torch.Tensor, target: torch.Tensor, *, cosine: bool) -> torch.Tensor:
    """Return how far codes (n, C) are from a teacher's: mean squared error, or 1 - cosine."""
    if cosine:
        return (1 - nn.functional.cosine_similarity(said, target, dim=1)).mean()
    return nn.functional.mse_loss(said, target)


def relations_gap(codes: torch.Tensor, targets: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the mean squared difference of cosine similarities within the batch, the diagonal left out."""
    ours = similarities(codes - codes.mean(0))
    gaps = [
        (ours - similarities(target)).square().sum() / (len(codes) * (len(codes) - 1)) for target in targets
    ]
    return torch.stack(gaps).mean()


def similarities(codes: torch.Tensor) -> torch.Tensor:
    """Return cosine similarities (n, n) of codes (n, C)."""
    normal = nn.functional.normalize(codes, dim=1)
    return normal @ normal.T
