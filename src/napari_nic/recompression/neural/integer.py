"""Networks in whole numbers, whose results are the same on every machine: what decides how symbols decode.

Floats hold whole numbers exactly as long as these stay below a bound, and then no order of summation, number
of threads or fused instruction changes a sum. So a layer multiplies matrices in float32, a kernel's place at
a time, where no partial sum reaches 2 ** 24, and adds up places in float64, below 2 ** 53. Both bounds are
proven from the weights when a layer is made, for all inputs that can come (:data:`MOST`). NumPy multiplies,
not PyTorch: no setting of a program makes it round to bfloat16 or TF32.

After Balle, Johnston and Minnen, *Integer networks for data compression with latent-variable models*, ICLR
2019.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_nic.errors import WeightsError

FRACTION = 8
"""Bits after the point of latents, means and scales."""

MOST = 2**11 - 1
"""Activations lie between -MOST and MOST."""

MOST_RESULT = 2**23
"""So do what last layers give, between this and its negative."""

FULL, LEAKY, RELU = 1 << 16, 655, 0
"""What values below 0 are multiplied by, in 65536ths."""

EXACT_32, EXACT_64 = 2**24, 2**53
"""Whole numbers below these are exact in float32 and float64."""
_SLOPE_BITS = 16
BLOCK = 512
"""Inputs that are multiplied and summed in float32 at once."""
_BEFORE_SLOPE = 2.0**30
_ROWS = 512

Floats = npt.NDArray[np.float32]
Wholes = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class IntegerLayer:
    """A convolution of odd kernel that keeps the size, or a transposed one that doubles it, in whole numbers.

    Attributes
    ----------
    weights : ndarray of float32, (inputs, kernel, kernel, outputs)
        Whole numbers; at ``[:, dy, dx]`` what a pixel gives to the one ``dy, dx`` less half a kernel away.
    bias : ndarray of int64, (outputs,)
    shift : ndarray of int64, (outputs,)
        By how many bits sums are shifted to the right, rounded.
    slope : int
        See :data:`FULL`.
    limit : int
        Results lie between its negative and it.
    stride : int
        1, or 2 for a transposed convolution.
    """

    weights: Floats
    bias: Wholes
    shift: Wholes
    slope: int
    limit: int
    stride: int = 1

    def __post_init__(self) -> None:
        _, rows, columns, outputs = self.weights.shape
        is_sound = (
            rows == columns
            and rows % 2 == 1
            and self.stride in {1, 2}
            and self.bias.shape == self.shift.shape == (outputs,)
            and bool((np.abs(self.shift) <= 60).all())
            and 0 <= self.slope <= FULL
            and 0 < self.limit <= MOST_RESULT
            and bool(np.isfinite(self.weights).all() and (self.weights == np.rint(self.weights)).all())
        )
        if not is_sound or not self._is_exact():
            raise WeightsError(
                "a network in whole numbers is damaged, or its sums would not be exact",
                expected=f"partial sums below 2 ** 24 for inputs of at most {MOST}, sums below 2 ** 53",
                hint="get the weights again",
            )

    @property
    def inputs(self) -> int:
        """Channels that go in."""
        return len(self.weights)

    def _is_exact(self) -> bool:
        """Whether no sum, in whatever order, leaves the whole numbers that floats hold."""
        blocks = [np.abs(block, dtype=np.float64).sum(0) for _, block in self._blocks()]
        if max(float(block.max(initial=0)) for block in blocks) * MOST >= EXACT_32:
            return False
        total = sum(block.sum((0, 1)) for block in blocks) * MOST + np.abs(self.bias.astype(np.float64))
        # Half of the last bit that is shifted out is added, and a shift to the left makes sums larger.
        most = (total + np.exp2(np.maximum(self.shift - 1.0, 0))) * np.exp2(np.maximum(-self.shift, 0))
        return bool((most < EXACT_64).all())

    def _blocks(self) -> Iterator[tuple[slice, Floats]]:
        for start in range(0, self.inputs, BLOCK):
            channels = slice(start, start + BLOCK)
            yield channels, self.weights[channels]

    def __call__(self, x: Floats) -> Floats:
        """Map whole numbers (n, h, w, inputs) to (n, h * stride, w * stride, outputs)."""
        count, height, width, _ = x.shape
        total = np.empty((count, height * self.stride, width * self.stride, len(self.bias)))
        total[:] = self.bias
        tiles = max(1, _ROWS // (height * width))
        for start in range(0, count, tiles):
            part = slice(start, start + tiles)
            self._add(np.ascontiguousarray(x[part]), total[part])
        return self._settled(total)

    def _add(self, x: Floats, total: npt.NDArray[np.float64]) -> None:
        """Add the products of inputs and weights to `total`."""
        count, height, width, _ = x.shape
        size = self.weights.shape[1]
        flat = x.reshape(-1, self.inputs)
        for channels, block in self._blocks():
            # One large product of matrices for all places of the kernel is faster than one for each.
            products = flat[:, channels] @ block.reshape(len(block), -1)
            products = products.reshape(count, height, width, size, size, -1)
            for dy, dx in np.ndindex(size, size):
                source_y, target_y = self._overlap(dy, height)
                source_x, target_x = self._overlap(dx, width)
                total[:, target_y, target_x] += products[:, source_y, source_x, dy, dx]

    def _overlap(self, place: int, size: int) -> tuple[slice, slice]:
        """Where along an axis inputs lie, and where their results, for one place of the kernel."""
        offset, step = place - self.weights.shape[1] // 2, self.stride
        first = -(min(offset, 0) // step)
        last = min(size - 1, (size * step - 1 - offset) // step)
        count = max(0, last - first + 1)
        start = first * step + offset
        return slice(first, first + count), slice(start, start + step * count, step)

    def _settled(self, total: npt.NDArray[np.float64]) -> Floats:
        half = np.where(self.shift > 0, np.exp2(self.shift - 1.0), 0.0)
        total += half
        total *= np.exp2(-self.shift.astype(np.float64))
        np.floor(total, out=total)
        if self.slope != FULL:
            np.clip(total, -_BEFORE_SLOPE, _BEFORE_SLOPE, out=total)
            below = np.floor((total * self.slope + (1 << (_SLOPE_BITS - 1))) * 2.0**-_SLOPE_BITS)
            total = np.where(total < 0, below, total)
        return np.clip(total, -self.limit, self.limit).astype(np.float32)


@dataclass(frozen=True, eq=False)
class IntegerNet:
    """Layers one after the other.

    Attributes
    ----------
    bits : ndarray of int64, (inputs,)
        Bits after the point that the first layer wants of each channel.
    layers : tuple of IntegerLayer
    """

    bits: Wholes
    layers: tuple[IntegerLayer, ...]

    def __post_init__(self) -> None:
        sizes = [len(self.bits), *(len(layer.bias) for layer in self.layers)]
        wanted = [layer.inputs for layer in self.layers]
        is_inside = all(layer.limit <= MOST for layer in self.layers[:-1])
        if not self.layers or sizes[:-1] != wanted or not is_inside or (np.abs(self.bits) > 60).any():
            raise WeightsError("the layers of a network in whole numbers do not fit each other")

    def __call__(self, x: Floats) -> Floats:
        """Map what :func:`activations` makes (n, h, w, inputs) to results of the last layer."""
        for layer in self.layers:
            x = layer(x)
        return x


def activations(latents: Wholes, bits: Wholes) -> Floats:
    """Turn latents into what a network takes.

    Parameters
    ----------
    latents : ndarray of int64, (n, channels, h, w)
        Of :data:`FRACTION` bits after the point, of magnitude below 2 ** 40.
    bits : ndarray of int64, (channels,)
        Bits after the point that are wanted.

    Returns
    -------
    ndarray of float32, (n, h, w, channels)
        Whole numbers between -MOST and MOST.
    """
    shift = np.clip(FRACTION - bits, -20, 50)
    last = np.moveaxis(latents, 1, -1)
    right, left = np.maximum(shift, 0), np.maximum(-shift, 0)
    half = np.where(shift > 0, np.left_shift(1, np.maximum(shift - 1, 0)), 0)
    moved = np.left_shift(np.right_shift(last + half, right), left)
    return np.ascontiguousarray(np.clip(moved, -MOST, MOST), np.float32)
