"""Encoders that others learn from: what they are shown of a place, and what they say of it."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from napari_nic.encoders import get_spec, load_encoder
from napari_nic.encoders.external.trust import trust_encoder
from napari_nic.patches import FixedPatches

if TYPE_CHECKING:
    from napari_nic.encoders import Encoder, EncoderSpec

CHUNK = 16
"""Fixed patches that are encoded together."""

MEMORY_BYTES = 2**30
"""Of the codes of a set that are kept for one teacher."""

_FILE = "model-file"
"""What the encoder of a model file is called while it is open."""


@dataclass(frozen=True)
class View:
    """What a network is shown of a place.

    Attributes
    ----------
    span : float
        Side of the square around the place, um.
    size : int
        Side of its picture, px.
    """

    span: float
    size: int

    @property
    def mpp(self) -> float:
        """Resolution of the picture, um/px."""
        return self.span / self.size

    @classmethod
    def of(cls, spec: EncoderSpec) -> View:
        """Return what an encoder is made for."""
        return cls(spec.patch_size * spec.mpp, spec.input_size)


def drawn_for(views: Sequence[View]) -> tuple[int, float]:
    """Return side, px, and resolution, um/px, of patches that all views can be cut from."""
    mpp = min(view.mpp for view in views)
    return math.ceil(max(view.span for view in views) / mpp - 1e-6), mpp


def cut(images: np.ndarray, mpp: float, view: View) -> np.ndarray:
    """Cut what a view is of out of the middle of patches.

    Parameters
    ----------
    images : ndarray of uint8, (n, s, s, 3)
    mpp : float
        Of the patches, um/px.
    view : View

    Returns
    -------
    ndarray of uint8, (n, size, size, 3)
        Area averages where the view is coarser than the patches.
    """
    side = min(round(view.span / mpp), images.shape[1])
    start = (images.shape[1] - side) // 2
    return resize(images[:, start : start + side, start : start + side], view.size)


def resize(images: np.ndarray, size: int) -> np.ndarray:
    """Bring patches (n, s, s, 3) to another size: by area averages if they shrink, else bilinearly."""
    side = images.shape[1]
    if side == size:
        return np.ascontiguousarray(images)
    method = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
    resized = np.empty((len(images), size, size, 3), np.uint8)
    for image, target in zip(images, resized, strict=True):
        cv2.resize(np.ascontiguousarray(image), (size, size), dst=target, interpolation=method)
    return resized


class Teacher:
    """An encoder that is learned from; it is loaded when it is first asked for codes.

    Parameters
    ----------
    name : str
        Of an encoder, its folder, or a model file with its description beside it (TorchScript, torch.export,
        ONNX).
    trust : bool
        Whether it may run, where it is a program; see :func:`napari_nic.encoders.load_encoder`.

    Attributes
    ----------
    spec : EncoderSpec
    view : View
        What it is shown.

    Raises
    ------
    NicError
        If it is not there, or, for a file, does not run.
    """

    def __init__(self, name: str, *, trust: bool = False) -> None:
        self._name = name
        self._encoder: Encoder | None = None
        if Path(name).is_file():
            self._encoder = _load_file(Path(name), "cpu", trust=trust)
        elif trust:
            trust_encoder(name)
        if self._encoder is None:
            self.spec = get_spec(name)
        else:
            self.spec = replace(self._encoder.spec, name=Path(name).name)
        self.view = View.of(self.spec)

    def described(self) -> dict[str, Any]:
        """Return which encoder it is, for checkpoints and model cards."""
        spec = self.spec
        return {"name": spec.name, "licence": spec.licence or "not stated", "weights": spec.weights_sha256}

    def encode(self, images: np.ndarray, device: str) -> np.ndarray:
        """Encode patches (n, size, size, 3) uint8 on a device; (n, C) float32."""
        if self._encoder is None or self._encoder.device.partition(":")[0] != device.partition(":")[0]:
            self._encoder = _load(self._name, device)
        return self._encoder.encode(images)


class CodeBook:
    """A teacher's codes of fixed patches, each asked for once.

    Patches are asked for in chunks that are always the same, whatever is known already: the last bits of a
    code may depend on what is encoded beside it, and a training that goes on must see the codes that it would
    have seen.

    Parameters
    ----------
    teacher : Teacher
    source : FixedPatches
    """

    def __init__(self, teacher: Teacher, source: FixedPatches) -> None:
        self._teacher, self._source = teacher, source
        self._codes: dict[int, np.ndarray] = {}

    @staticmethod
    def fits(teacher: Teacher, source: FixedPatches) -> bool:
        """Whether the codes of all patches may be kept in memory."""
        return 4 * len(source) * teacher.spec.code_size <= MEMORY_BYTES

    def codes(self, numbers: np.ndarray, mpp: float, device: str) -> np.ndarray:
        """Return the codes of patches by number, (n, C) float32; `mpp` is that of the patches."""
        for chunk in np.unique(numbers // CHUNK).tolist():
            if chunk not in self._codes:
                members = np.arange(chunk * CHUNK, min((chunk + 1) * CHUNK, len(self._source)))
                seen = cut(self._source.read(members), mpp, self._teacher.view)
                self._codes[chunk] = self._teacher.encode(seen, device)
        return np.stack([self._codes[number // CHUNK][number % CHUNK] for number in numbers.tolist()])


def _load(name: str, device: str) -> Encoder:
    if Path(name).is_file():
        return _load_file(Path(name), device)
    return load_encoder(name, device=device, precision=_precision(device))


def _precision(device: str) -> str:
    """On a processor the precision is not tried out: a run must go on with the one that it began with."""
    return "float32" if device == "cpu" else "auto"


def _load_file(file: Path, device: str, *, trust: bool = False) -> Encoder:
    """Open a model file as if it had been imported, for this process only."""
    from napari_nic.encoders.external import import_encoder, import_model_file
    from napari_nic.encoders.store import user_encoders_folder

    with tempfile.TemporaryDirectory(prefix="teacher-") as home:
        if file.suffix == ".safetensors":
            import_encoder(file, name=_FILE, home=home, trust=trust)
        else:
            import_model_file(file, name=_FILE, home=home, trust=trust)
        folder = user_encoders_folder(home) / _FILE
        return load_encoder(folder, device=device, precision=_precision(device))
