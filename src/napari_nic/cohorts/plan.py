"""What a cross-validation will do, as a value and as a file, so that it can be gone on with and evaluated."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from napari_nic.cohorts.cohort import Absent, Cohort, CohortSlide
from napari_nic.cohorts.splits import Fold
from napari_nic.descriptions import read_json
from napari_nic.disk import replacing
from napari_nic.errors import BundleError, InvalidParameterError
from napari_nic.old_names import PLAN_AUGMENTATION, training_settings
from napari_nic.slide_models import SlideNetConfig, TrainingSettings, outputs_for
from napari_nic.slide_models.config import COMPACT_STRIDES, LEAST_STRIDES, PAPER_CROP, VECTOR_KINDS, Kind
from napari_nic.slide_models.features import FeatureGrid

ModelKind = Literal["cnn", "cnn-adaptive", "cnn-compact", "attention", "linear", "mlp"]
PLAN_FILE = "plan.json"
BUNDLE_KEY = "bundle"
"""Entry of a plan's settings that names the finished model that was evaluated."""

FORMAT = 1
_MOST_BYTES = 2**28
"""Of a plan: some hundred bytes a slide and fold."""
GIBIBYTE = 2**30


@dataclass(frozen=True)
class CohortTraining:
    """How a cohort is learned from.

    Attributes
    ----------
    name : str
        Of the models.
    model : {"cnn", "cnn-adaptive", "cnn-compact", "attention", "linear", "mlp"}
        The paper's network at exactly its size, the same for crops of any size, a small one that keeps the
        grid's resolution in its first layer (biopsies, small cohorts), or gated attention. The last two see
        one vector a slide: that of a slide encoder, or the mean of the codes.
    crop_size : int or None
        Side R of the crops in cells. By default 400 for the paper's network; else the longest side of the
        cohort's slides, 400 at most, and no less than the network needs.
    width : int
        Channels of every layer.
    dropout : float
        Share of feature maps that are dropped while training.
    folds : int
        Parts of the cross-validation, see :func:`~napari_nic.cohorts.splits.make_folds`.
    seeds : int
        Trainings of each fold, with different random numbers (the paper: 2).
    settings : TrainingSettings
        Its seed is the first one, and shares out the folds.
    memory_bytes : int
        Codes are held in memory if they all fit into this; else crops are read from disk.
    allow_partial : bool
        Take slides that are not compressed completely.
    """

    name: str = "slide-model"
    model: ModelKind = "cnn-adaptive"
    crop_size: int | None = None
    width: int = 128
    dropout: float = 0.2
    folds: int = 4
    seeds: int = 1
    settings: TrainingSettings = field(default_factory=TrainingSettings)
    memory_bytes: int = 4 * GIBIBYTE
    allow_partial: bool = False

    def __post_init__(self) -> None:
        if self.model not in get_args(ModelKind):
            raise InvalidParameterError(
                "unknown model", expected=", ".join(get_args(ModelKind)), found=repr(self.model)
            )
        if self.seeds < 1 or not self.name or set(self.name) & set("/\\"):
            raise InvalidParameterError(
                "at least one seed, and a name that a folder can have", found=f"{self.seeds}, {self.name!r}"
            )

    def network(self, cohort: Cohort, code_size: int, longest_side: int) -> SlideNetConfig:
        """Describe the network for a cohort.

        Parameters
        ----------
        cohort : Cohort
        code_size : int
            Channels C of the codes.
        longest_side : int
            Of the slides, in cells.

        Raises
        ------
        InvalidParameterError
            If the crops do not fit the network.
        """
        outputs = outputs_for(cohort.task, len(cohort.class_names))
        if self.model == "linear" or self.model == "mlp":
            return self._of_vectors(self.model, code_size, outputs)
        size = self.crop_size or self._usual_crop(longest_side)
        make = {
            "cnn": SlideNetConfig,
            "cnn-adaptive": SlideNetConfig.adaptive,
            "cnn-compact": SlideNetConfig.compact,
            "attention": SlideNetConfig.attention,
        }[self.model]
        config = replace(make(code_size, outputs, size, width=self.width), dropout=self.dropout)
        if self.model == "cnn" and not config.is_exact:
            raise InvalidParameterError(
                "the paper's network does not fit crops of this size exactly",
                expected=f"{PAPER_CROP} cells",
                found=f"{size} cells",
                hint="take --architecture cnn-adaptive, or --crop 400",
            )
        return config

    @property
    def sees_vectors(self) -> bool:
        """Whether the models see one vector a slide."""
        return self.model in VECTOR_KINDS

    def _of_vectors(self, kind: Kind, code_size: int, outputs: int) -> SlideNetConfig:
        if self.crop_size is not None:
            raise InvalidParameterError(
                "a slide's vector has no crops",
                found=f"crops of {self.crop_size} cells",
                hint="leave out --crop",
            )
        config = SlideNetConfig.vector(kind, code_size, outputs, width=self.width)
        return replace(config, dropout=self.dropout if kind == "mlp" else 0.0)

    def _usual_crop(self, longest_side: int) -> int:
        """Side of crops that hold the largest slide, and that the network can see: crops are padded."""
        if self.model == "cnn":
            return PAPER_CROP
        strides = {"cnn-adaptive": LEAST_STRIDES, "cnn-compact": COMPACT_STRIDES}.get(self.model, ())
        return max(FeatureGrid.after(strides).field, min(PAPER_CROP, longest_side))


@dataclass(frozen=True)
class Plan:
    """A cohort, how it is shared out, and how it is learned from.

    Attributes
    ----------
    cohort : Cohort
    folds : tuple of Fold
        One without training slides where a finished model is evaluated.
    settings : mapping
        What the models are made with, as JSON.
    codes : mapping of str to str
        Slide -> checksum of what determines its codes: a training is not gone on with on other codes of the
        same names. Empty in plans of earlier versions.
    """

    cohort: Cohort
    folds: tuple[Fold, ...]
    settings: Mapping[str, Any]
    codes: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        cohort = self.cohort
        return {
            "format": FORMAT,
            "task": cohort.task,
            "class_names": list(cohort.class_names),
            "slides": [slide.to_dict() for slide in cohort.slides],
            "left_out": list(cohort.left_out),
            "absent": cohort.absent.to_dict(),
            "folds": [fold.to_dict() for fold in self.folds],
            "settings": dict(self.settings),
            "codes": dict(self.codes),
        }

    @classmethod
    def load(cls, folder: Path) -> Plan | None:
        """Read the plan of a folder; None if it has none.

        Raises
        ------
        BundleError
            If the file is damaged.
        """
        file = folder / PLAN_FILE
        if not file.is_file():
            return None
        try:
            data = read_json(file, BundleError, what="the plan of the training", most_bytes=_MOST_BYTES)
            if data["format"] != FORMAT:
                raise ValueError(f"format {data['format']}")  # noqa: TRY301 - one place that says what is wrong
            slides = tuple(CohortSlide.from_dict(entry) for entry in data["slides"])
            absent = Absent.from_dict(data.get("absent", {}))
            cohort = Cohort(data["task"], tuple(data["class_names"]), slides, tuple(data["left_out"]), absent)
            folds = tuple(_fold(entry) for entry in data["folds"])
            return cls(cohort, folds, _settings(data["settings"]), dict(data.get("codes", {})))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            if isinstance(error, BundleError):
                raise
            raise BundleError(
                "the plan of the training is damaged", path=file, found=f"{type(error).__name__}: {error}"
            ) from error

    def save(self, folder: Path) -> None:
        """Write the plan, or make sure that the one that is there is the same.

        Raises
        ------
        InvalidParameterError
            If the folder holds another plan.
        StoreError
            If it cannot be written.
        """
        file = folder / PLAN_FILE
        earlier = Plan.load(folder)
        if earlier is None:
            with replacing(file) as temporary:
                temporary.write_text(json.dumps(self.to_dict(), indent=1) + "\n", encoding="utf-8")
            return
        ours, theirs = self.to_dict(), earlier.to_dict()
        if not earlier.codes:
            del ours["codes"]
        different = [name for name in ours if json.loads(json.dumps(ours[name])) != theirs[name]]
        if different:
            raise InvalidParameterError(
                "the folder holds the training of another plan",
                path=file,
                expected=f"the same {', '.join(different)}",
                hint="choose another folder, or run the command that was begun here",
            )


def settings_record(
    training: CohortTraining, network: SlideNetConfig, *, transformed_patches: bool
) -> dict[str, Any]:
    """Return what makes the models, for a plan."""
    return {
        "augmentation": "transformed patches, encoded anew"
        if transformed_patches
        else "transformed places of codes",
        "name": training.name,
        "model": training.model,
        "seeds": training.seeds,
        "network": network.to_dict(),
        "training": asdict(training.settings),
    }


def sees_vectors(settings: Mapping[str, Any]) -> bool:
    """Whether the models of a plan see one vector a slide."""
    return "slide_encoder" in settings


def _settings(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a plan as this version names them."""
    settings = dict(data)
    if "augmentation" in settings:
        stated = str(settings["augmentation"])
        settings["augmentation"] = PLAN_AUGMENTATION.get(stated, stated)
    if "training" in settings:
        settings["training"] = training_settings(settings["training"])
    return settings


def _fold(data: Mapping[str, Any]) -> Fold:
    parts = {name: tuple(data[name]) for name in ("train", "validation", "test")}
    return Fold(int(data["number"]), **parts)
