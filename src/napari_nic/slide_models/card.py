"""The model card: what a model bundle says about itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

from napari_nic import old_names
from napari_nic.colors import RGB, class_colors
from napari_nic.descriptions import MOST_NAME, Checks, check_fields, is_mapping, is_name, is_text
from napari_nic.errors import InvalidParameterError
from napari_nic.old_names import training_settings
from napari_nic.slide_models.config import SlideNetConfig
from napari_nic.wording import counted

Task = Literal["classification", "regression", "survival"]


@dataclass(frozen=True)
class ModelCard:
    """Description of a slide-level model.

    Attributes
    ----------
    name : str
        How users call it; also the folder's name.
    task : {"classification", "regression", "survival"}
    class_names : tuple of str
        Classes in the order of their numbers, the names of the regressed values, or the one name of a risk
        (the logarithm of the hazard, up to a constant; higher means an earlier event).
    encoder : mapping
        Full description of the encoder whose codes the model was trained on.
    network : SlideNetConfig
    class_colors : tuple of (int, int, int)
        One per class; by default a palette that colour-blind eyes tell apart.
    summary, intended_use, not_for, licence : str
        For people.
    training : mapping
        Data and settings.
    metrics : mapping
        Results, with the data that they were measured on.

    Raises
    ------
    InvalidParameterError
        If the numbers of classes, colours, outputs and channels disagree.
    """

    name: str
    task: Task
    class_names: tuple[str, ...]
    encoder: Mapping[str, Any]
    network: SlideNetConfig
    class_colors: tuple[RGB, ...] = ()
    summary: str = ""
    intended_use: str = ""
    not_for: str = ""
    licence: str = ""
    training: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.task not in get_args(Task):
            raise InvalidParameterError(
                "unknown task", expected=" or ".join(get_args(Task)), found=repr(self.task)
            )
        count = len(self.class_names)
        if not self.class_colors:
            object.__setattr__(self, "class_colors", class_colors(count))
        if self.task == "survival" and count != 1:
            raise InvalidParameterError(
                "a survival model gives one risk", expected="one name", found=", ".join(self.class_names)
            )
        wanted = outputs_for(self.task, count)
        if len(self.class_colors) != count or self.network.outputs != wanted:
            raise InvalidParameterError(
                "classes, colours and outputs of the model disagree",
                expected=f"{count} colours and {wanted} outputs for {', '.join(self.class_names)}",
                found=f"{counted(len(self.class_colors), 'colour')} and "
                f"{counted(self.network.outputs, 'output')}",
            )
        if self.encoder.get("code_size") != self.network.code_size:
            raise InvalidParameterError(
                "the network does not fit the encoder",
                expected=f"{self.encoder.get('code_size')} channels",
                found=f"{self.network.code_size}",
            )

    @property
    def crop_size(self) -> int:
        """Side R of the crops in cells."""
        return self.network.crop_size

    def target_number(self, target: str | int | None) -> int:
        """Return the number of a class, value or risk that is given by name or number; the last one of None.

        Raises
        ------
        InvalidParameterError
            If the model has no such target.
        """
        names = self.class_names
        if target is None:
            return len(names) - 1
        if target in names:
            return names.index(str(target))
        if str(target).isdecimal() and int(target) < len(names):
            return int(target)
        raise InvalidParameterError(
            f"model {self.name!r} has no class {target!r}",
            expected=", ".join(f"{number} ({name})" for number, name in enumerate(names)),
        )

    @property
    def sees(self) -> str:
        """What the network sees of a slide: ``"crops of 48 x 48 cells"``, ``"one vector of 768 numbers"``."""
        if self.network.is_of_vectors:
            return f"one vector of {self.network.code_size} numbers"
        return f"crops of {self.crop_size} x {self.crop_size} cells"

    @property
    def patch_encoder(self) -> Mapping[str, Any]:
        """What is known of the encoder of the patches; of a model on vectors, those they were made of."""
        if not self.network.is_of_vectors:
            return self.encoder
        options = self.encoder.get("options", {})
        return {"name": options.get("patch_encoder_name")} | dict(options.get("patch_encoder", {}))

    @property
    def encoder_name(self) -> str:
        """Name of the encoder, for people."""
        return str(self.encoder.get("name", "unnamed encoder"))

    def to_dict(self) -> dict[str, Any]:
        """JSON form; read back by :meth:`from_dict`."""
        return asdict(self) | {"network": self.network.to_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`.

        Raises
        ------
        InvalidParameterError
            If fields are missing, unknown or do not fit together.
        """
        known = {f.name for f in fields(cls)}
        required = {"name", "task", "class_names", "encoder", "network"}
        check_fields(
            data,
            _FIELDS,
            InvalidParameterError,
            what="the description of a model",
            known=known,
            required=required,
        )
        colors = tuple((r, g, b) for r, g, b in data.get("class_colors", ()))
        training = dict(data.get("training", {}))
        if is_mapping(training.get("settings")):
            training["settings"] = training_settings(training["settings"])
        return cls(
            **dict(data)
            | {
                "training": training,
                "class_names": tuple(data["class_names"]),
                "class_colors": colors,
                "network": SlideNetConfig.from_dict(data["network"]),
            }
        )


MOST_CLASSES = 10_000


def _are_classes(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and 0 < len(value) <= MOST_CLASSES
        and all(is_name(name) for name in value)
        and len(set(value)) == len(value)
    )


def _are_colors(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(
        isinstance(color, list | tuple)
        and len(color) == 3
        and all(isinstance(part, int) and not isinstance(part, bool) and 0 <= part <= 255 for part in color)
        for color in value
    )


_FIELDS: Checks = {
    "name": (f"a name of 1 to {MOST_NAME} printable characters", is_name),
    "task": (f"one of {', '.join(get_args(Task))}", is_text),
    "class_names": ("a list of names, none empty and none twice", _are_classes),
    "class_colors": ("a list of three numbers, 0 to 255, each", _are_colors),
    **dict.fromkeys(("summary", "intended_use", "not_for", "licence"), ("text", is_text)),
    **dict.fromkeys(("encoder", "network", "training", "metrics"), ("a JSON object", is_mapping)),
}
"""What each field of a description may hold."""


def outputs_for(task: Task, count: int) -> int:
    """Count the network's outputs: two classes share one (a sigmoid), as in the paper."""
    return 1 if task == "classification" and count == 2 else count


if not TYPE_CHECKING:
    __getattr__ = old_names.members_of(__name__)
