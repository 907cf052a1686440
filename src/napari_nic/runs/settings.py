"""What a run is asked for, as plain values, and the tasks that follow from it for every slide."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from napari_nic.embeddings import EXPORTERS
from napari_nic.encoders import EncoderSpec, get_spec
from napari_nic.errors import InvalidParameterError
from napari_nic.pipeline import GridOptions
from napari_nic.slide_models import CARD_FILE, ModelBundle
from napari_nic.slides import Selection

STEPS = ("tissue", "compress", "export", "predict", "saliency", "recompress", "report")
"""In the order in which they are done; ``report`` is of all slides together."""


@dataclass(frozen=True)
class RunSettings:
    """What is done with every slide.

    Attributes
    ----------
    steps : tuple of str
        Of :data:`STEPS`; what they build on is done too.
    encoders : tuple of str
        Names or folders; a compressed slide is made by each.
    models : tuple of str
        Slide-level models, names or folders, for ``predict`` and ``saliency``. Each takes the codes of its
        own encoder, which must be among the encoders.
    formats : tuple of str
        Export formats.
    recompression : str
        Mode of :func:`napari_nic.recompression.recompress`, for the step ``recompress``; empty for none.
    grid : GridOptions
    opening : mapping
        How slides are opened: ``mpp``, ``color``, ``channels``, ``selection`` of
        :func:`napari_nic.slides.open_slide`.
    device, precision : str
        Where networks run; see :func:`napari_nic.encoders.load_encoder`.
    threads : int, optional
        That read and encode a slide; one per core by default.
    trust : bool
        Whether an encoder that is a program may run.
    """

    steps: tuple[str, ...]
    encoders: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    recompression: str = ""
    grid: GridOptions = field(default_factory=GridOptions)
    opening: Mapping[str, Any] = field(default_factory=dict)
    device: str = "auto"
    precision: str = "auto"
    threads: int | None = None
    trust: bool = False

    def opening_options(self) -> dict[str, Any]:
        """Return how slides are opened, as JSON values."""
        selection = self.opening.get("selection")
        options = {**self.opening, "selection": None if selection is None else asdict(selection)}
        return {name: value for name, value in options.items() if value is not None}

    def to_dict(self) -> dict[str, Any]:
        """JSON form; read back by :meth:`from_dict`."""
        data = {**asdict(self), "opening": self.opening_options()}
        return dict(json.loads(json.dumps(data)))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        opening = dict(data["opening"])
        if "selection" in opening:
            opening["selection"] = Selection(**opening["selection"])
        if "channels" in opening:
            opening["channels"] = tuple(opening["channels"])
        lists = {name: tuple(data[name]) for name in ("steps", "encoders", "models", "formats")}
        return cls(**{**data, **lists, "grid": GridOptions(**data["grid"]), "opening": opening})


@dataclass(frozen=True)
class Task:
    """One step of one slide.

    Attributes
    ----------
    name : str
        ``"predict:lesion-demo"``: the step, and by what.
    step : str
    by : str
        Name of the encoder, model or format that it is done by, as the user gave it; empty for tissue.
    settings : mapping
        What determines the result beside the slide, as JSON values.
    needs : tuple of str
        Tasks that come before.
    encoder : str
        Encoder whose codes it makes or takes, by its plain name; empty for tissue.
    """

    name: str
    step: str
    by: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    encoder: str = ""

    def key(self, fingerprint: str, keys: Mapping[str, str]) -> str:
        """Return the SHA-256 of all that determines the result.

        Parameters
        ----------
        fingerprint : str
            Of the slide.
        keys : mapping of str to str
            Those of the tasks that it needs.
        """
        parts = [self.step, dict(self.settings), fingerprint, [keys[name] for name in self.needs]]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def plan_tasks(settings: RunSettings) -> tuple[Task, ...]:
    """List the tasks of every slide, each after those that it needs.

    Raises
    ------
    InvalidParameterError
        If a step is unknown, lacks what it is done by, or two encoders, models or formats have one name; if
        the encoder of a model is not among the encoders.
    UnknownNameError, WeightsError, BundleError
        If an encoder or a model cannot be found or read.
    """
    _check_steps(settings)
    for name in settings.formats:
        EXPORTERS.get(name)
    specs = _by_name("encoder", {name: get_spec(name).name for name in settings.encoders})
    tissue = Task("tissue", "tissue", settings={"version": 1, "opening": settings.opening_options()})
    tasks = [tissue]
    for encoder, given in specs.items():
        tasks.append(_compress_task(encoder, given, settings))
        if "export" in settings.steps:
            tasks += [_export_task(encoder, name) for name in dict.fromkeys(settings.formats)]
    if "recompress" in settings.steps:
        mode = settings.recompression
        tasks.append(Task(f"recompress:{mode}", "recompress", mode, {"version": 1, "mode": mode}))
    if {"predict", "saliency"} & set(settings.steps):
        tasks += _model_tasks(settings, {name: get_spec(given) for name, given in specs.items()})
    wanted = set(settings.steps)
    needed = {name for task in tasks if task.step in wanted for name in (task.name, *task.needs)}
    if any(task.needs for task in tasks if task.name in needed):
        needed.add(tissue.name)
    return tuple(task for task in tasks if task.name in needed)


def _check_steps(settings: RunSettings) -> None:
    for step in settings.steps:
        if step not in STEPS:
            raise InvalidParameterError(f"unknown step {step!r}", expected=", ".join(STEPS))
    wants: dict[str, object] = {"compress": settings.encoders, "export": settings.formats}
    wants["recompress"] = settings.recompression
    wants |= dict.fromkeys(("predict", "saliency"), settings.models)
    options = {"compress": "--encoder", "export": "--format", "recompress": "--recompress"}
    options |= dict.fromkeys(("predict", "saliency"), "--model")
    for step, given in wants.items():
        if step in settings.steps and not given:
            raise InvalidParameterError(
                f"the step {step} lacks what it is done by", hint=f"add {options[step]} NAME"
            )


def _compress_task(encoder: str, given: str, settings: RunSettings) -> Task:
    made_by = {
        "version": 1,
        "encoder": get_spec(given).identity(),
        "grid": asdict(settings.grid),
        "precision": settings.precision,
    }
    return Task(f"compress:{encoder}", "compress", given, _plain(made_by), ("tissue",), encoder)


def _export_task(encoder: str, name: str) -> Task:
    settings = {"version": 1, "format": name}
    return Task(f"export:{encoder}:{name}", "export", name, settings, (f"compress:{encoder}",), encoder)


def _model_tasks(settings: RunSettings, specs: Mapping[str, EncoderSpec]) -> list[Task]:
    bundles = {given: ModelBundle.load(given) for given in settings.models}
    tasks = []
    for model, given in _by_name("model", {given: b.name for given, b in bundles.items()}).items():
        bundle = bundles[given]
        encoder = next((n for n, spec in specs.items() if spec.matches(bundle.card.encoder)), None)
        if encoder is None:
            raise InvalidParameterError(
                f"the encoder of model {model!r} is not among the encoders",
                expected=bundle.card.encoder_name,
                found=", ".join(specs) or "none",
                hint=f"add --encoder {bundle.card.encoder_name}",
            )
        made_by = {"version": 1, "model": _card_sha256(bundle)}
        for step in ("predict", "saliency"):
            if step in settings.steps:
                needs = (f"compress:{encoder}",)
                tasks.append(Task(f"{step}:{model}", step, given, made_by, needs, encoder))
    return tasks


def _card_sha256(bundle: ModelBundle) -> str:
    """Name a model by its description, which holds the checksum of its weights."""
    content = b"" if bundle.folder is None else (bundle.folder / CARD_FILE).read_bytes()
    return hashlib.sha256(content).hexdigest()


def _by_name(kind: str, names: Mapping[str, str]) -> dict[str, str]:
    """Turn given -> name around.

    Raises
    ------
    InvalidParameterError
        If two have one name: what they make would lie in one place.
    """
    found: dict[str, str] = {}
    for given, name in names.items():
        if name in found:
            raise InvalidParameterError(
                f"two {kind}s are called {name!r}", found=f"{found[name]}, {given}", hint="leave one out"
            )
        found[name] = given
    return found


def _plain(data: Mapping[str, Any]) -> dict[str, Any]:
    return dict(json.loads(json.dumps(data, default=dict)))


def shard_of(items: Sequence[Any], part: int, parts: int) -> list[Any]:
    """Return every `parts`-th of the items: those of part number `part`, from 1.

    Raises
    ------
    InvalidParameterError
        If there is no such part.
    """
    if not 1 <= part <= parts:
        raise InvalidParameterError(
            "there is no such part", expected=f"1 to {max(parts, 1)} of {parts}", found=f"{part}"
        )
    return list(items[part - 1 :: parts])
