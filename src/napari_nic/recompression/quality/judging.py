"""Whether a decoded tile is as good as was asked for."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_nic.errors import InvalidParameterError
from napari_nic.recompression.quality.faults import Broken, FaultLimits, Faults, faults_of
from napari_nic.recompression.quality.metrics import WINDOW, distance_of_means, psnr, ssim, to_lab


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What a tile must keep to; None where nothing is asked.

    Attributes
    ----------
    ssim : float, optional
        Least structural similarity, 0 to 1.
    psnr : float, optional
        Least peak signal-to-noise ratio, dB.
    color : float, optional
        Largest distance of local mean colours in CIELAB.
    faults : FaultLimits or None
        What counts as a fault of colour or place; None to look for none.
    """

    ssim: float | None = None
    psnr: float | None = None
    color: float | None = None
    faults: FaultLimits | None = field(default_factory=FaultLimits)

    def __post_init__(self) -> None:
        if self.ssim is not None and not 0 <= self.ssim <= 1:
            raise InvalidParameterError("no such SSIM", expected="0 to 1", found=f"{self.ssim:g}")
        if any(bound is not None and bound < 0 for bound in (self.psnr, self.color)):
            raise InvalidParameterError(
                "no such bound", expected="0 or more", found=f"{self.psnr} dB and colours within {self.color}"
            )


@dataclass(frozen=True)
class Measures:
    """How far a decoded tile is from its source.

    Attributes
    ----------
    ssim : float
        1 for a tile that is too small for its window and equal; else 0.
    psnr : float
        dB; infinite for equal tiles.
    color : float
        Largest distance of local mean colours in CIELAB.
    faults : Faults
    """

    ssim: float
    psnr: float
    color: float
    faults: Faults

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON: null for an infinite PSNR."""
        facts = asdict(self)
        return facts | {"psnr": self.psnr if np.isfinite(self.psnr) else None}


@dataclass(frozen=True)
class Judgement:
    """The verdict on a tile.

    Attributes
    ----------
    measures : Measures
    broken : tuple of Broken
        What was asked for and is not kept; empty if all is.
    """

    measures: Measures
    broken: tuple[Broken, ...] = ()

    @property
    def keep(self) -> bool:
        """Whether the tile is as good as asked."""
        return not self.broken


def measure(source: npt.NDArray[np.uint8], decoded: npt.NDArray[np.uint8]) -> Measures:
    """Measure a decoded tile.

    Parameters
    ----------
    source, decoded : ndarray of uint8, (rows, cols, 3)
        sRGB, of the same shape.

    Raises
    ------
    InvalidParameterError
        If they are no such pictures.
    """
    _check(source, decoded)
    one, other = to_lab(source), to_lab(decoded)
    if min(source.shape[:2]) >= WINDOW:
        similarity = ssim(source, decoded)
    else:
        similarity = float(np.array_equal(source, decoded))
    color = float(distance_of_means(other - one).max())
    return Measures(similarity, psnr(source, decoded), color, faults_of(source, decoded, one, other))


def judge(
    source: npt.NDArray[np.uint8], decoded: npt.NDArray[np.uint8], bounds: Bounds | None = None
) -> Judgement:
    """Measure a decoded tile and say whether it keeps to the bounds. May be called by several threads.

    Parameters
    ----------
    source, decoded : ndarray of uint8, (rows, cols, 3)
        sRGB, of the same shape; `decoded` as a reader of the file gets it.
    bounds : Bounds, optional
        By default only faults are looked for.

    Raises
    ------
    InvalidParameterError
        If they are no pictures of 8 bits and three channels, or of different shapes.
    """
    bounds = bounds or Bounds()
    found = measure(source, decoded)
    broken: list[Broken] = []
    if bounds.ssim is not None and found.ssim < bounds.ssim:
        broken.append(Broken("SSIM", f"SSIM {found.ssim:.3f} below {bounds.ssim:g}"))
    if bounds.psnr is not None and found.psnr < bounds.psnr:
        broken.append(Broken("PSNR", f"PSNR {found.psnr:.1f} dB below {bounds.psnr:g}"))
    if bounds.color is not None and found.color > bounds.color:
        broken.append(Broken("colour", f"colour off by {found.color:.1f}, more than {bounds.color:g}"))
    if bounds.faults is not None:
        broken += found.faults.beyond(bounds.faults)
    return Judgement(found, tuple(broken))


def _check(source: npt.NDArray[np.uint8], decoded: npt.NDArray[np.uint8]) -> None:
    for tile in (source, decoded):
        if tile.dtype != np.uint8 or tile.ndim != 3 or tile.shape[2] != 3:
            raise InvalidParameterError(
                "this is no tile whose quality could be judged",
                expected="(rows, cols, 3) of uint8",
                found=f"{tile.shape} of {tile.dtype}",
            )
    if source.shape != decoded.shape:
        raise InvalidParameterError(
            "two tiles of different sizes cannot be compared", found=f"{source.shape} and {decoded.shape}"
        )
