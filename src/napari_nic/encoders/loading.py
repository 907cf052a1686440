"""From a name to an encoder on a device."""

from __future__ import annotations

from pathlib import Path

from napari_nic.encoders.device import choose_device, choose_precision
from napari_nic.encoders.mean_rgb import MEAN_RGB, MeanRgbEncoder
from napari_nic.encoders.spec import Encoder
from napari_nic.encoders.store import checked_weights, find_folder, read_spec


def load_encoder(name: str | Path, *, device: str = "auto", precision: str = "auto") -> Encoder:
    """Load an encoder.

    Parameters
    ----------
    name : str or Path
        Name of an encoder, or its folder.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.
    precision : str
        ``"auto"`` (bfloat16 where the device has it), ``"float32"`` or ``"bfloat16"``.

    Raises
    ------
    UnknownNameError, WeightsError, DeviceError
    """
    if str(name) == MEAN_RGB.name:
        return MeanRgbEncoder()
    folder = find_folder(name)
    spec = read_spec(folder)
    weights = checked_weights(folder, spec)
    device = choose_device(device)

    from napari_nic.encoders.torch_encoder import load_torch_encoder

    return load_torch_encoder(spec, weights, device=device, precision=choose_precision(precision, device))
