"""From a name to an encoder on a device."""

from __future__ import annotations

from pathlib import Path

from napari_nic.device import choose_device, choose_precision
from napari_nic.encoders.mean_rgb import MEAN_RGB, MeanRgbEncoder
from napari_nic.encoders.spec import MODEL_FILES, Encoder, EncoderSpec
from napari_nic.encoders.store import checked_weights, find_folder, read_spec


def load_encoder(
    name: str | Path, *, device: str = "auto", precision: str = "auto", trust: bool = False
) -> Encoder:
    """Load an encoder.

    Parameters
    ----------
    name : str or Path
        Name of an encoder, or its folder. ``timm:<model>`` is one that was imported under that name.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.
    precision : str
        ``"auto"`` (bfloat16 where the device has it and is faster with it), ``"float32"`` or
        ``"bfloat16"``. The encoder's own ``precision`` says which it is: some know one only.
    trust : bool
        Whether a program may run, where the encoder is one (TorchScript, torch.export). It is remembered for
        the very bytes, see :mod:`napari_nic.encoders.external.trust`.

    Raises
    ------
    UnknownNameError, WeightsError, DeviceError, MissingDependencyError
    ConsentError
        If the encoder is a program, and nobody has said that it may run.
    """
    if str(name) == MEAN_RGB.name:
        return MeanRgbEncoder()
    folder = find_folder(name)
    return load_folder(folder, read_spec(folder), device=device, precision=precision, trust=trust)


def load_folder(
    folder: Path, spec: EncoderSpec, *, device: str = "auto", precision: str = "auto", trust: bool = False
) -> Encoder:
    """Load the encoder that a folder holds, described by `spec`; see :func:`load_encoder`."""
    if "projection" in spec.options:
        from napari_nic.encoders.external.projection import ProjectedEncoder, Projection, inner_spec

        projection = Projection.load(folder, spec)
        inner = load_folder(folder, inner_spec(spec), device=device, precision=precision, trust=trust)
        return ProjectedEncoder(spec, inner, projection)
    if spec.architecture == "timm" or spec.architecture in MODEL_FILES:
        from napari_nic.encoders.external.opening import open_encoder

        return open_encoder(folder, spec, device=device, precision=precision, trust=trust)
    weights = checked_weights(folder, spec)
    device = choose_device(device)

    from napari_nic.encoders.torch_encoder import load_torch_encoder

    return load_torch_encoder(spec, weights, device=device, precision=choose_precision(precision, device))
