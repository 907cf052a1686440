"""A linear map behind an encoder, to C numbers a patch: principal components, or random directions."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from napari_nic.encoders.spec import Encoder, EncoderSpec
from napari_nic.encoders.store import owner
from napari_nic.errors import InvalidParameterError, WeightsError
from napari_nic.weight_files import read_checked

PROJECTION_FILE = "projection.safetensors"

PCA_PATCHES = 8
"""Least patches a component that a PCA is fitted on; fewer would describe the patches, not the codes."""


@dataclass(frozen=True, eq=False)
class Projection:
    """``matrix @ (code - mean)``.

    Attributes
    ----------
    mean : ndarray of float32, (C_in,)
    matrix : ndarray of float32, (C_out, C_in)
    """

    mean: np.ndarray
    matrix: np.ndarray

    @classmethod
    def pca(cls, codes: np.ndarray, size: int) -> Self:
        """Fit principal components; distances between codes are kept as well as `size` numbers can.

        Parameters
        ----------
        codes : ndarray of float, (n, C_in)
        size : int
            C_out.

        Raises
        ------
        InvalidParameterError
            If there are fewer codes than ``PCA_PATCHES`` times `size`, or `size` is above C_in.
        """
        _check_size(size, codes.shape[1])
        if len(codes) < PCA_PATCHES * size:
            raise InvalidParameterError(
                f"too few patches for {size} principal components",
                expected=f"at least {PCA_PATCHES * size} patches",
                found=f"{len(codes)}",
                hint="give more tiles, or a smaller size",
            )
        mean = codes.mean(0, dtype=np.float64)
        centred = codes.astype(np.float64) - mean
        _, vectors = np.linalg.eigh(centred.T @ centred)  # eigenvalues ascend
        matrix = vectors[:, ::-1].T[:size]
        largest = np.take_along_axis(matrix, np.abs(matrix).argmax(1)[:, None], 1)
        return cls(mean.astype(np.float32), (matrix * np.sign(largest)).astype(np.float32))

    @classmethod
    def random(cls, code_size: int, size: int, seed: int) -> Self:
        """Draw orthogonal directions, scaled so that distances are kept on average."""
        _check_size(size, code_size)
        normal = np.random.default_rng(seed).standard_normal((code_size, size))
        directions, triangle = np.linalg.qr(normal)
        # The signs make the directions uniformly distributed (Mezzadri 2007, doi:10.48550/math-ph/0609050).
        matrix = (directions * np.sign(np.diag(triangle))).T * math.sqrt(code_size / size)
        return cls(np.zeros(code_size, np.float32), matrix.astype(np.float32))

    def apply(self, codes: np.ndarray) -> np.ndarray:
        """Map (B, C_in) to (B, C_out), float32."""
        projected: np.ndarray = (codes - self.mean) @ self.matrix.T
        return projected

    def save(self, folder: Path, method: str) -> dict[str, Any]:
        """Write the file of an encoder's folder; return the entry of the spec's options."""
        content = save({"mean": self.mean, "matrix": np.ascontiguousarray(self.matrix)})
        (folder / PROJECTION_FILE).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        return {"method": method, "input_size": self.matrix.shape[1], "sha256": digest}

    @classmethod
    def load(cls, folder: Path, spec: EncoderSpec) -> Self:
        """Read the file of an encoder's folder.

        Raises
        ------
        WeightsError
            If it is missing, damaged or another one than the spec names.
        """
        file, entry = folder / PROJECTION_FILE, spec.options["projection"]
        content = read_checked(file, entry["sha256"], owner(spec))
        try:
            arrays = load(content)
            made = cls(arrays["mean"], arrays["matrix"])
        except (SafetensorError, KeyError, ValueError) as error:
            raise WeightsError("the projection is damaged", path=file, found=str(error)) from error
        inner = entry["input_size"]
        shapes = {"mean": (inner,), "matrix": (spec.code_size, inner)}
        for name, shape in shapes.items():
            array = getattr(made, name)
            if array.shape != shape or array.dtype != np.float32 or not np.isfinite(array).all():
                raise WeightsError(
                    "the projection does not fit its description, or holds no finite numbers",
                    path=file,
                    expected=f"{name} {shape} float32",
                    found=f"{array.shape} {array.dtype}",
                )
        return made


class ProjectedEncoder:
    """An encoder with a projection behind it; see :class:`~napari_nic.encoders.Encoder`."""

    def __init__(self, spec: EncoderSpec, inner: Encoder, projection: Projection) -> None:
        self.spec = spec
        self.device = inner.device
        self.precision = inner.precision
        self.batch_size = inner.batch_size
        self._inner = inner
        self._projection = projection

    def prepare_thread(self) -> None:
        """Prepare the encoder in front."""
        self._inner.prepare_thread()

    def encode(self, batch: np.ndarray) -> np.ndarray:
        """Encode patches; see :meth:`Encoder.encode`."""
        return self._projection.apply(self._inner.encode(batch))


def inner_spec(spec: EncoderSpec) -> EncoderSpec:
    """Return the spec of what is in front of a projection."""
    options = {name: value for name, value in spec.options.items() if name != "projection"}
    return replace(spec, code_size=spec.options["projection"]["input_size"], options=options)


def _check_size(size: int, code_size: int) -> None:
    if not 1 <= size <= code_size:
        raise InvalidParameterError(
            "a projection cannot make codes longer", expected=f"1 to {code_size}", found=f"{size}"
        )
