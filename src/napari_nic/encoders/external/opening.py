"""From an imported encoder's folder to its network on a device."""

from __future__ import annotations

from pathlib import Path

from napari_nic.encoders.device import choose_device, choose_precision
from napari_nic.encoders.external.file_models import OPENERS
from napari_nic.encoders.external.network_encoder import Network, NetworkEncoder
from napari_nic.encoders.spec import EncoderSpec
from napari_nic.encoders.store import checked_file
from napari_nic.errors import DeviceError


def open_encoder(
    folder: Path, spec: EncoderSpec, weights: Path, *, device: str = "auto", precision: str = "auto"
) -> NetworkEncoder:
    """Open another's network as an encoder.

    Parameters
    ----------
    folder : Path
        Of the encoder.
    spec : EncoderSpec
    weights : Path
        Its file of weights, or the model's file; the checksum is the caller's business.
    device, precision : str
        As for :func:`napari_nic.encoders.load_encoder`. Networks in a file of their own compute in the
        precision that they were exported in, float32; the encoder's ``precision`` says so.

    Raises
    ------
    MissingDependencyError, WeightsError, DeviceError
    """
    for name, sha256 in spec.options.get("files", {}).items():
        checked_file(folder / name, sha256, spec)
    if spec.architecture == "timm":
        return NetworkEncoder(spec, _open_timm(spec, weights, device=device, precision=precision))
    return NetworkEncoder(spec, open_model_file(spec, weights, device=device))


def open_model_file(spec: EncoderSpec, file: Path, *, device: str = "auto") -> Network:
    """Open a TorchScript, torch.export or ONNX file on a device.

    With ``"auto"`` a file that cannot run on the fastest device runs on the CPU.

    Raises
    ------
    MissingDependencyError, WeightsError, DeviceError
    """
    opener, output = OPENERS[spec.architecture], spec.options.get("output")
    chosen = choose_device(device)
    if device == "auto" and chosen != "cpu":
        try:
            return opener(file, device=chosen, output=output)
        except DeviceError:
            chosen = "cpu"
    return opener(file, device=chosen, output=output)


def _open_timm(spec: EncoderSpec, weights: Path, *, device: str, precision: str) -> Network:
    from napari_nic.encoders.external.states import fill, read_state
    from napari_nic.encoders.external.timm_models import build, run_timm

    device = choose_device(device)
    net = build(spec.options["model"], spec.options["model_args"])
    fill(net, read_state(weights), weights)
    return run_timm(net, device=device, precision=choose_precision(precision, device))
