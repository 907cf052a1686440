"""Make an encoder of the user's from another's network: check it, copy it, describe it."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_nic.encoders.external.onnx_files import external_files
from napari_nic.encoders.external.projection import PROJECTION_FILE, Projection
from napari_nic.encoders.external.settings import (
    DEFAULT_MPP,
    NORMALISATIONS,
    ProjectionRequest,
    Settings,
    TimmWeights,
)
from napari_nic.encoders.external.sidecar import find_sidecar, read_sidecar
from napari_nic.encoders.external.trust import read_file, read_program, runs_program
from napari_nic.encoders.spec import MODEL_FILES, Encoder, EncoderSpec
from napari_nic.encoders.store import (
    SPEC_FILE,
    TIMM_PREFIX,
    WEIGHTS_FILE,
    check_new_name,
    new_encoder,
    owner,
    read_spec,
    weights_name,
    write_spec,
)
from napari_nic.errors import InvalidParameterError, NicError, WeightsError
from napari_nic.weight_files import check_inside, checked_file, file_sha256

if TYPE_CHECKING:
    from napari_nic.encoders.external.network_encoder import Network, NetworkEncoder

ARCHITECTURES = {".pt": "torchscript", ".ts": "torchscript", ".pt2": "torch-export", ".onnx": "onnx"}
"""By the suffix of a model's file."""

PROBE_PATCHES = 2

NO_LICENCE = "not needed: random weights"

ASSUMED = Settings(
    mean=NORMALISATIONS["imagenet"][0], std=NORMALISATIONS["imagenet"][1], pooling="auto", prefix_tokens=1
)
"""What is assumed of a file that nobody describes."""


def import_model_file(
    path: Path | str,
    *,
    name: str,
    settings: Settings | None = None,
    sidecar: Path | None = None,
    projection: ProjectionRequest | None = None,
    home: Path | str | None = None,
    trust: bool = False,
) -> EncoderSpec:
    """Make an encoder of a TorchScript (``.pt``), torch.export (``.pt2``) or ONNX (``.onnx``) file.

    TorchScript and torch.export files are programs: they are opened only if you `trust` them.

    Parameters
    ----------
    path : Path or str
        The file takes (B, 3, s, s) float32, normalised, and gives (B, C), (B, C, h, w) or (B, tokens, C).
    name : str
        What to call the encoder; one of the user's with this name is replaced.
    settings : Settings, optional
        Facts that the file does not hold; they win over the sidecar.
    sidecar : Path, optional
        JSON description, see :mod:`.sidecar`; by default the one beside the file.
    projection : ProjectionRequest, optional
    home : Path or str, optional
        The user's data folder, see :func:`napari_nic.encoders.store.user_encoders_folder`.
    trust : bool
        Whether a program may run, see :func:`napari_nic.encoders.load_encoder`.

    Returns
    -------
    EncoderSpec

    Raises
    ------
    ConsentError
        If the file is a program, and nobody has said that it may run.
    InvalidParameterError
        If the resolution or the size of the input is stated nowhere, or `name` cannot be used.
    WeightsError
        If the file cannot be opened, or gives no codes.
    MissingDependencyError
        If onnxruntime is needed and not installed.
    """
    from napari_nic.encoders.external.opening import open_model_file
    from napari_nic.encoders.external.programs import read_model

    path = Path(path)
    check_new_name(name)
    architecture = _architecture(path)
    facts = _facts_of_file(path, settings, sidecar)
    options = _options(facts.or_else(ASSUMED)) | ({"output": facts.output} if facts.output else {})
    model = read_model(path, architecture, trust=trust)
    digest = hashlib.sha256(model.content).hexdigest() if model.content else file_sha256(path)
    spec = _spec(name, architecture, facts, options, origin={"network": path.name}, digest=digest)
    encoder = _measured(spec, open_model_file(spec, model, device="cpu"))
    with new_encoder(name, home) as folder:
        copy = folder / MODEL_FILES[architecture]
        if model.content:
            copy.write_bytes(model.content)
        else:
            shutil.copyfile(path, copy)
            checked_file(copy, digest, owner(spec))
        return _finish(folder, encoder, projection, files=_copy_data_files(path, folder))


def import_timm(
    model: str,
    *,
    weights: TimmWeights,
    name: str | None = None,
    settings: Settings | None = None,
    projection: ProjectionRequest | None = None,
    home: Path | str | None = None,
) -> EncoderSpec:
    """Make an encoder of a network of timm.

    Parameters
    ----------
    model : str
        timm's name, with or without ``timm:`` before it.
    weights : TimmWeights
        Where they come from. Nothing is downloaded unless it is said here.
    name : str, optional
        What to call the encoder; ``timm:`` and the model's name by default.
    settings : Settings, optional
        What to do otherwise than timm says; um/px is 0.5 unless it is stated.
    projection, home
        See :func:`import_model_file`.

    Raises
    ------
    UnknownNameError, InvalidParameterError, WeightsError, MissingDependencyError
    """
    model = model.removeprefix(TIMM_PREFIX)
    name = name or f"{TIMM_PREFIX}{model}"
    check_new_name(name)

    from safetensors.torch import save_file

    from napari_nic.encoders.external.timm_models import build_model, resolve, run_timm

    found = resolve(model, weights)
    facts = _facts_of_timm(found.settings, model, weights, settings)
    built = build_model(found, facts, weights)
    with new_encoder(name, home) as folder:
        file = folder / WEIGHTS_FILE
        save_file({key: value.contiguous() for key, value in built.net.state_dict().items()}, file)
        options = _options(facts) | built.options
        origin = {"network": model, "weights": _origin(weights)}
        spec = _spec(name, "timm", facts, options, origin=origin, digest=file_sha256(file))
        encoder = _measured(spec, run_timm(built.net, device="cpu", precision="float32"))
        return _finish(folder, encoder, projection)


def import_encoder(
    source: Path | str,
    *,
    name: str,
    settings: Settings | None = None,
    projection: ProjectionRequest | None = None,
    home: Path | str | None = None,
    trust: bool = False,
) -> EncoderSpec:
    """Copy an encoder folder (``encoder.json`` and its weights), for instance one that somebody sent.

    Parameters
    ----------
    source : Path or str
        The folder, or the safetensors file in it.
    name, projection, home, trust
        See :func:`import_model_file`.
    settings : Settings, optional
        Only licence, summary and citation can be said anew.

    Raises
    ------
    ConsentError
        If the encoder is a program, and nobody has said that it may run.
    WeightsError
        If the folder is damaged, or its weights do not fit its description.
    """
    from napari_nic.encoders.loading import load_folder

    check_new_name(name)
    given = _encoder_folder(Path(source))
    old, said = read_spec(given), settings or Settings()
    spec = replace(
        old,
        name=name,
        licence=said.licence or old.licence,
        summary=said.summary or old.summary,
        citation=said.citation or old.citation,
    )
    if runs_program(old):
        read_program(given / weights_name(old), old, trust=trust)  # the copy must be of the same bytes
    with new_encoder(name, home) as folder:
        for file in _files_of(old):
            check_inside(given / file, owner(old))
            shutil.copyfile(given / file, folder / file)
        return _finish(folder, load_folder(folder, spec, device="cpu", precision="float32"), projection)


def _facts_of_file(path: Path, settings: Settings | None, sidecar: Path | None) -> Settings:
    """Return what the user, or else the description beside a file, says of it."""
    described = sidecar or find_sidecar(path)
    facts = (settings or Settings()).or_else(Settings() if described is None else read_sidecar(described))
    facts.required("mpp", "input_size")
    return facts


def _facts_of_timm(known: Settings, model: str, weights: TimmWeights, settings: Settings | None) -> Settings:
    """Return what the user,, or else timm, says of a model; random weights have no owner."""
    facts = (settings or Settings()).or_else(known).or_else(replace(ASSUMED, mpp=DEFAULT_MPP))
    if weights.random_seed is not None:
        facts = replace(facts, licence=NO_LICENCE, summary=f"{model} of timm with random weights")
    facts.required("input_size")
    return facts


def _encoder_folder(source: Path) -> Path:
    """Return the folder of an encoder that is named by itself or by the weights in it."""
    folder = source if source.is_dir() else source.parent
    if not (folder / SPEC_FILE).is_file():
        raise WeightsError(
            f"weights alone are no encoder: {SPEC_FILE} is missing beside them",
            path=source,
            expected="the folder of an encoder",
            hint="for weights of a timm model: napari-nic encoders import timm:MODEL --weights FILE",
        )
    return folder


def _files_of(spec: EncoderSpec) -> list[str]:
    """List the files beside a spec that an encoder may have."""
    projection = [PROJECTION_FILE] if "projection" in spec.options else []
    return [weights_name(spec), *spec.options.get("files", {}), *projection]


def _architecture(path: Path) -> str:
    architecture = ARCHITECTURES.get(path.suffix.lower())
    if architecture is None or not path.is_file():
        raise WeightsError(
            "no model's file" if path.is_file() else "there is no such file",
            path=path,
            expected=".pt (TorchScript), .pt2 (torch.export), .onnx, .h5 (Keras), or an encoder's folder",
            found=path.suffix or "no suffix",
        )
    return architecture


def _options(facts: Settings) -> dict[str, Any]:
    return {
        "mean": [float(value) for value in facts.mean or ()],
        "std": [float(value) for value in facts.std or ()],
        "pooling": facts.pooling,
        "prefix_tokens": facts.prefix_tokens,
    }


def _copy_data_files(path: Path, folder: Path) -> dict[str, str]:
    """Copy what an ONNX graph keeps beside itself, as exporters do with large ones; name to SHA-256."""
    if path.suffix.lower() != ".onnx":
        return {}
    names = sorted(external_files(read_file(path), path))
    for name in names:
        check_inside(path.with_name(name), owner())
        shutil.copyfile(path.with_name(name), folder / name)
    return {name: file_sha256(folder / name) for name in names}


def _origin(weights: TimmWeights) -> str:
    if weights.random_seed is not None:
        return f"random weights, seed {weights.random_seed}"
    return weights.file.name if weights.file is not None else "downloaded by timm"


def _spec(
    name: str,
    architecture: str,
    facts: Settings,
    options: dict[str, Any],
    *,
    origin: Mapping[str, str],
    digest: str,
) -> EncoderSpec:
    """Describe an encoder whose code size is not known yet."""
    input_size = facts.input_size or 0
    return EncoderSpec(
        name=name,
        code_size=0,
        patch_size=facts.patch_size or input_size,
        mpp=facts.mpp or 0.0,
        input_size=input_size,
        architecture=architecture,
        weights_sha256=digest,
        licence=facts.licence or "",
        summary=facts.summary or f"Imported from {origin['network']}",
        citation=facts.citation or "",
        training=dict(origin),
        options=options,
    )


def _finish(
    folder: Path,
    encoder: Encoder,
    projection: ProjectionRequest | None,
    *,
    files: Mapping[str, str] | None = None,
) -> EncoderSpec:
    """Add the projection and further files, and write the description."""
    spec = encoder.spec if projection is None else _project(folder, encoder, projection)
    if files:
        spec = replace(spec, options=dict(spec.options) | {"files": dict(files)})
    write_spec(folder, spec, _card(spec))
    return spec


def _measured(spec: EncoderSpec, network: Network) -> NetworkEncoder:
    """Run a network once, to see that it works and how long its codes are."""
    from napari_nic.encoders.external.network_encoder import RUN_ERRORS, NetworkEncoder, does_not_run

    side = spec.input_size
    noise = np.random.default_rng(0).integers(0, 256, (PROBE_PATCHES, side, side, 3), np.uint8)
    try:
        codes = NetworkEncoder(spec, network).forward(noise[: network.most_batch])
    except NicError:
        raise
    except RUN_ERRORS as error:
        raise does_not_run(spec, error) from error
    if not np.isfinite(codes).all() or not codes.size:
        raise WeightsError(
            "the network gives no codes", expected="finite numbers", found=f"{codes.shape} with others"
        )
    return NetworkEncoder(replace(spec, code_size=codes.shape[1]), network)


def _project(folder: Path, encoder: Encoder, request: ProjectionRequest) -> EncoderSpec:
    spec = encoder.spec
    if "projection" in spec.options:
        raise InvalidParameterError("the encoder has a projection already", found=f"C = {spec.code_size}")
    if request.patches is None or request.method == "random":
        projection = Projection.random(spec.code_size, request.code_size, request.seed)
    else:
        projection = Projection.pca(encoder.encode(request.patches(spec)), request.code_size)
    entry = projection.save(folder, request.method)
    return replace(spec, code_size=request.code_size, options=dict(spec.options) | {"projection": entry})


def _card(spec: EncoderSpec) -> str:
    facts = "\n".join(f"- {name}: {value}" for name, value in spec.options.items())
    return f"""# {spec.name}

{spec.summary}. C = {spec.code_size}; patches of {spec.patch_size} px at {spec.mpp} um/px, averaged to
{spec.input_size} px.

Licence: {spec.licence or "not stated; ask whoever gave you the file"}.
Citation: {spec.citation or "not stated"}.

## How pixels become codes
{facts or "- as in the network's description"}

Weights: {spec.training.get("weights", "see above")}. napari-nic neither made nor tested this network.
Research use only; not for diagnosis.
"""
