"""Networks of timm: which one a name means, its weights, and running it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from napari_nic.descriptions import is_whole, read_json
from napari_nic.encoders.external.hub_models import (
    HubModel,
    hub_errors,
    hub_repository,
    known_hub_model,
    offline,
)
from napari_nic.encoders.external.model_args import check_model
from napari_nic.encoders.external.network_encoder import Network
from napari_nic.encoders.external.settings import DEFAULT_MPP, Settings, TimmWeights
from napari_nic.encoders.external.states import (
    array_shapes,
    compare_shapes,
    fill,
    read_state,
    shapes_of,
    without_classifier,
)
from napari_nic.encoders.spec import MOST_INPUT_PX, EncoderSpec
from napari_nic.encoders.store import TIMM_PREFIX
from napari_nic.errors import InvalidParameterError, UnknownNameError, WeightsError
from napari_nic.extras import require

CONFIG_FILE = "config.json"
NAMES_SHOWN = 8


@dataclass(frozen=True)
class TimmModel:
    """What a name means.

    Attributes
    ----------
    name : str
        As the user gave it, without ``timm:``.
    architecture : str
        For ``timm.create_model``.
    model_args : mapping
        Its arguments, as JSON values.
    config : mapping
        timm's ``pretrained_cfg``: input size, mean, std, licence, names of the classifier.
    known : HubModel or None
        What napari-nic knows of a network that is released on conditions.
    """

    name: str
    architecture: str
    model_args: Mapping[str, Any]
    config: Mapping[str, Any]
    known: HubModel | None = None

    @property
    def settings(self) -> Settings:
        """What timm, or its model card, says of it."""
        known, config = self.known, self.config
        if known is not None:
            return Settings(
                mpp=known.mpp,
                input_size=known.input_size,
                mean=known.mean,
                std=known.std,
                pooling=known.pooling,
                licence=known.dated_licence,
                summary=f"{known.repository}, run by timm as {known.model}",
                citation=known.dated_citation,
            )
        papers = config.get("paper_ids") or ""
        return Settings(
            input_size=int(config["input_size"][-1]) if "input_size" in config else None,
            mean=tuple(config["mean"]) if "mean" in config else None,
            std=tuple(config["std"]) if "std" in config else None,
            licence=config.get("license"),
            summary=f"{self.name}, a network of timm",
            citation=papers if isinstance(papers, str) else ", ".join(papers),
        )


def resolve(name: str, weights: TimmWeights | None = None) -> TimmModel:
    """Find out what a name means; only a download that was asked for uses the network.

    Parameters
    ----------
    name : str
        As in timm, with or without the tag of its weights; or ``hf-hub:owner/name``.
    weights : TimmWeights, optional
        None only asks what the model is.

    Raises
    ------
    MissingDependencyError
        If timm is not installed.
    UnknownNameError
        If timm has no such model, or it is one of the hub's that is described nowhere at hand.
    WeightsError
        If the hub was asked and gave nothing.
    """
    timm = require("timm", "timm models")
    known = known_hub_model(name)
    if known is not None:
        size = (3, known.input_size, known.input_size)
        config = {"input_size": size, "classifier": "head", "hf_hub_id": known.repository}
        return TimmModel(name, known.model, known.model_args, config, known)
    if hub_repository(name) is not None:
        return _resolve_hub(name, weights)
    architecture = name.partition(".")[0]
    if not timm.is_model(architecture):
        similar = timm.list_models(f"*{architecture}*")[:NAMES_SHOWN]
        raise UnknownNameError(
            f"timm has no model {name!r}",
            expected=f"for instance {', '.join(similar)}" if similar else "a name of timm.list_models()",
        )
    config = timm.get_pretrained_cfg(name)
    return TimmModel(name, name, {}, {} if config is None else config.to_dict())


def announce(name: str, weights: TimmWeights | None = None) -> str:
    """Return what a user should know of a network before it is fetched or loaded: its licence and terms.

    Parameters
    ----------
    name : str
        timm's name, with or without ``timm:`` before it.
    weights : TimmWeights, optional
        See :func:`resolve`, which says what is raised.
    """
    model = resolve(name.removeprefix(TIMM_PREFIX), weights)
    if model.known is not None:
        return f"{name} is a network of others. {model.known.terms}"
    return f"{name} is a network of others. Licence: {model.settings.licence or 'not stated by timm'}"


def describe(name: str) -> EncoderSpec:
    """Describe what importing a model would make, without its weights.

    Parameters
    ----------
    name : str
        timm's name, with or without ``timm:`` before it.

    Raises
    ------
    MissingDependencyError, UnknownNameError
    """
    model = resolve(name.removeprefix(TIMM_PREFIX))
    facts = model.settings
    with torch.device("meta"):  # its sizes are wanted, not its weights
        net = build(model.architecture, model.model_args)
    size, side = int(net.num_features), facts.input_size or 0  # type: ignore[arg-type]  # timm's own attribute
    return EncoderSpec(
        name=f"{TIMM_PREFIX}{model.name}",
        code_size=2 * size if facts.pooling == "cls+mean" else size,
        patch_size=facts.patch_size or side,
        mpp=facts.mpp or DEFAULT_MPP,
        input_size=side,
        architecture="timm",
        licence=facts.licence or "",
        summary=f"{facts.summary} (not imported yet)",
        citation=facts.citation or "",
        training={"network": model.name},
        options={"pooling": facts.pooling or "auto"},
    )


def _resolve_hub(name: str, weights: TimmWeights | None) -> TimmModel:
    beside = None if weights is None or weights.file is None else weights.file.with_name(CONFIG_FILE)
    if beside is not None and beside.is_file():
        return _read_config(name, beside)
    if weights is not None and weights.allow_download:
        from timm.models import load_model_config_from_hf

        with hub_errors(name):
            config, architecture, model_args = load_model_config_from_hf(str(hub_repository(name)))
        check_model(architecture, model_args)
        return TimmModel(name, architecture, model_args, config)
    raise UnknownNameError(
        f"what {name} is stands on the hub, which was not asked",
        expected=f"its {CONFIG_FILE} beside the file of weights",
        hint="get both files from its page and give --weights FILE.safetensors, or --allow-download",
    )


def _read_config(name: str, file: Path) -> TimmModel:
    """Read the hub's description of a network."""
    try:
        described = read_json(file, WeightsError, what="the description of the network")
        architecture, model_args = described["architecture"], dict(described.get("model_args") or {})
        check_model(architecture, model_args)
        config = _checked_config(described.get("pretrained_cfg", described))
        return TimmModel(name, architecture, model_args, config)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise WeightsError(
            "not the description of a network of timm",
            path=file,
            expected="JSON with architecture, model_args and pretrained_cfg",
            found=str(error),
        ) from error


def _checked_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return of a configuration what is understood, checked."""
    known: dict[str, Any] = {}
    size = config.get("input_size")
    if size is not None:
        if not all(is_whole(side, MOST_INPUT_PX) for side in size):
            raise ValueError(f"input_size {size}")
        known["input_size"] = tuple(size)
    for name in ("mean", "std"):
        if config.get(name) is not None:
            known[name] = tuple(float(value) for value in config[name])
    for name in ("license", "paper_ids", "classifier"):
        if isinstance(config.get(name), str):
            known[name] = config[name]
    return known | {"fixed_input_size": config.get("fixed_input_size") is True}


def build(architecture: str, model_args: Mapping[str, Any], *, seed: int = 0) -> nn.Module:
    """Build a network of timm without its classifier, with random weights, ready to predict.

    The caller's random numbers are not moved. Neither names nor arguments fetch or open anything.

    Raises
    ------
    InvalidParameterError
        If the name or an argument is not among those that a file may give, or timm cannot build it.
    """
    timm = require("timm", "timm models")
    check_model(architecture, model_args)
    args = {key: value for key, value in _with_layers(model_args).items() if key != "num_classes"}
    try:
        with torch.random.fork_rng(devices=[]), offline():
            torch.manual_seed(seed)
            net = timm.create_model(architecture, pretrained=False, num_classes=0, **args)
    except _BUILD_ERRORS as error:
        raise InvalidParameterError(
            f"timm cannot build {architecture} with these arguments",
            found=(str(error).splitlines() or [type(error).__name__])[0],
        ) from error
    ready: nn.Module = net.eval().requires_grad_(requires_grad=False)
    return ready


_BUILD_ERRORS = (RuntimeError, TypeError, ValueError, AssertionError, LookupError, AttributeError)
"""What timm raises for arguments that do not fit a network."""


def check_fits(architecture: str, model_args: Mapping[str, Any], file: Path) -> None:
    """Compare a network's sizes with its file before any memory is taken for it.

    Raises
    ------
    WeightsError
        If the arrays of the file are not the network's.
    """
    found = array_shapes(file)
    with torch.device("meta"):  # its sizes are wanted, not its weights
        net = build(architecture, model_args)
    compare_shapes(shapes_of(net.state_dict()), found, file)


def _with_layers(model_args: Mapping[str, Any]) -> dict[str, Any]:
    """Replace names of layers by the layers; everything else is a JSON value already."""
    from timm.layers import SwiGLUPacked  # type: ignore[attr-defined] # timm lists no names

    layers = {"SwiGLUPacked": SwiGLUPacked, "SiLU": nn.SiLU}
    return {
        name: layers.get(value, value) if isinstance(value, str) else value
        for name, value in model_args.items()
    }


@dataclass(frozen=True, eq=False)
class BuiltModel:
    """A network of timm with its weights.

    Attributes
    ----------
    net : Module
    options : dict
        Of the encoder's spec: ``model``, ``model_args``, and what is left to pool behind it.
    """

    net: nn.Module
    options: dict[str, Any]


def build_model(model: TimmModel, settings: Settings, weights: TimmWeights) -> BuiltModel:
    """Build a network with the pooling and the input size that are asked for, and load its weights.

    Raises
    ------
    InvalidParameterError, WeightsError
    """
    args = dict(model.model_args)
    if model.config.get("fixed_input_size") and settings.input_size != model.settings.input_size:
        args["img_size"] = settings.input_size
    more, pooling, prefix = pooling_args(build(model.architecture, args), settings.pooling or "auto")
    args |= more
    net = build(model.architecture, args, seed=weights.random_seed or 0)
    load_weights(net, replace(model, model_args=args), weights)
    options = {
        "pooling": pooling,
        "prefix_tokens": prefix,
        "model": model.architecture,
        "model_args": args,
    }
    return BuiltModel(net, options)


def pooling_args(net: nn.Module, pooling: str) -> tuple[dict[str, Any], str, int]:
    """Choose how timm and we share the pooling.

    Returns
    -------
    model_args : dict
        To build the network with.
    pooling : str
        What is left to do behind it.
    prefix_tokens : int

    Raises
    ------
    InvalidParameterError
        If the network has no class token and one is asked for.
    """
    prefix = int(getattr(net, "num_prefix_tokens", 0))
    if pooling == "auto":
        return {}, "auto", prefix
    if not hasattr(net, "num_prefix_tokens") and pooling == "mean":
        return {"global_pool": "avg"}, "auto", 0
    if prefix == 0 and pooling != "mean":
        raise InvalidParameterError(
            f"pooling {pooling!r} needs a class token, and this network has none", expected="auto or mean"
        )
    return {"global_pool": ""}, pooling, prefix


def load_weights(net: nn.Module, model: TimmModel, weights: TimmWeights) -> None:
    """Fill a network with the weights that the user chose; random ones it has already.

    Raises
    ------
    WeightsError
        If the file cannot be read, is of another network, or a download fails.
    """
    if weights.random_seed is not None:
        return
    if weights.file is not None:
        state = read_state(weights.file)
        state = without_classifier(state, model.config.get("classifier"))
    else:
        state = _download(model)
    fill(net, state, weights.file or Path(model.name))


def _download(model: TimmModel) -> dict[str, torch.Tensor]:
    timm = require("timm", "timm models")
    with hub_errors(model.name):
        if hub_repository(model.name) is not None:
            # Only the weights: what to build is known, and what the hub says of it was checked.
            fetched = timm.models.load_state_dict_from_hf(hub_repository(model.name), weights_only=True)
            return without_classifier(fetched, model.config.get("classifier"))
        net = timm.create_model(model.name, pretrained=True, num_classes=0, **_with_layers(model.model_args))
    state: dict[str, torch.Tensor] = net.state_dict()
    return state


def run_timm(net: nn.Module, *, device: str, precision: str) -> Network:
    """Put a network on a device; in bfloat16 its layers choose what they compute in it (autocast)."""
    net = net.to(device).to(memory_format=torch.channels_last)
    kind = device.partition(":")[0]

    def run(pixels: torch.Tensor) -> Any:
        """Run the network on normalised pixels, (B, 3, s, s) float32."""
        with torch.autocast(kind, dtype=torch.bfloat16, enabled=precision == "bfloat16"):
            return net(pixels)

    return Network(run, device, precision)
