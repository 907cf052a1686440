"""From an imported encoder's folder to its network on a device."""

from __future__ import annotations

from pathlib import Path

from napari_nic.device import choose_device, choose_precision
from napari_nic.encoders.external.file_models import OPENERS, ModelFile
from napari_nic.encoders.external.network_encoder import Network, NetworkEncoder
from napari_nic.encoders.external.trust import read_program, runs_program
from napari_nic.encoders.spec import EncoderSpec
from napari_nic.encoders.store import checked_weights, owner, weights_name
from napari_nic.errors import DeviceError, InvalidParameterError, WeightsError
from napari_nic.weight_files import checked_file


def open_encoder(
    folder: Path, spec: EncoderSpec, *, device: str = "auto", precision: str = "auto", trust: bool = False
) -> NetworkEncoder:
    """Open another's network as an encoder, after comparing the checksums of its files.

    Parameters
    ----------
    folder : Path
        Of the encoder.
    spec : EncoderSpec
    device, precision : str
        As for :func:`napari_nic.encoders.load_encoder`. Networks in a file of their own compute in the
        precision that they were exported in, float32; the encoder's ``precision`` says so.
    trust : bool
        See :func:`napari_nic.encoders.load_encoder`.

    Raises
    ------
    MissingDependencyError, WeightsError, DeviceError, ConsentError
    """
    for name, sha256 in spec.options.get("files", {}).items():
        checked_file(folder / name, sha256, owner(spec))
    if spec.architecture == "timm":
        weights = checked_weights(folder, spec)
        return NetworkEncoder(spec, _open_timm(spec, weights, device=device, precision=precision))
    file = folder / weights_name(spec)
    if runs_program(spec):
        content = read_program(file, spec, trust=trust)
        return NetworkEncoder(spec, open_model_file(spec, ModelFile(file, content), device=device))
    checked_weights(folder, spec)
    return NetworkEncoder(spec, open_model_file(spec, ModelFile(file), device=device))


def open_model_file(spec: EncoderSpec, model: ModelFile, *, device: str = "auto") -> Network:
    """Open a TorchScript, torch.export or ONNX file on a device; that it may run is the caller's business.

    With ``"auto"`` a file that cannot run on the fastest device runs on the CPU.

    Raises
    ------
    MissingDependencyError, WeightsError, DeviceError
    """
    opener, output = OPENERS[spec.architecture], spec.options.get("output")
    chosen = choose_device(device)
    if device == "auto" and chosen != "cpu":
        try:
            return opener(model, device=chosen, output=output)
        except DeviceError:
            chosen = "cpu"
    return opener(model, device=chosen, output=output)


def _open_timm(spec: EncoderSpec, weights: Path, *, device: str, precision: str) -> Network:
    from napari_nic.encoders.external.states import fill, read_state
    from napari_nic.encoders.external.timm_models import build, check_fits, run_timm

    device = choose_device(device)
    model, args = spec.options["model"], spec.options["model_args"]
    try:
        check_fits(model, args, weights)
        net = build(model, args)
    except InvalidParameterError as error:
        raise WeightsError(error.problem, path=weights, found=error.found) from error
    fill(net, read_state(weights), weights)
    return run_timm(net, device=device, precision=choose_precision(precision, device))
