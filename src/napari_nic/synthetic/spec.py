"""What a synthetic slide is made from: frozen values from which everything else follows."""

from __future__ import annotations

from dataclasses import dataclass

from napari_nic.errors import InvalidParameterError
from napari_nic.geometry import PixelSize

LARGEST_SHARE = 0.8
"""A lesion may fill at most this share of the tissue, so that some normal tissue is left around it."""


@dataclass(frozen=True)
class Lesion:
    """One lesion to be placed in the tissue.

    Attributes
    ----------
    share : float
        Area as a share of the slide's tissue, above 0 and at most 0.8.
    center_px : (float, float), optional
        (y, x) in level-0 pixels; drawn from the tissue when None.
    """

    share: float = 0.1
    center_px: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if not 0 < self.share <= LARGEST_SHARE:
            raise InvalidParameterError(
                "a lesion's share of the tissue is out of range",
                expected=f"above 0, at most {LARGEST_SHARE}",
                found=f"{self.share}",
            )


@dataclass(frozen=True)
class SyntheticSlideSpec:
    """A synthetic slide; equal specs give equal pixels.

    Attributes
    ----------
    height, width : int
        Size in level-0 pixels.
    mpp : float
        Micrometres per pixel; structures keep their size in micrometres.
    seed : int
        Decides shapes, cells and, together with `stain_variation`, the stain.
    lesions : tuple of Lesion
        Empty for a slide of normal tissue.
    pieces : int
        Pieces of tissue side by side.
    coverage : float
        Share of the slide that tissue fills, about; 1 leaves no glass (for patches).
    fat, lymphoid : float
        Share of the tissue that is fat, and that is crowded by lymphocytes.
    gland_spacing_um : float
        Mean distance between glands; 0 for none.
    stain_variation : float
        0 gives the reference stain; 1 varies hue, strength and balance of both dyes as laboratories do.
    """

    height: int
    width: int
    mpp: float = 0.5
    seed: int = 0
    lesions: tuple[Lesion, ...] = ()
    pieces: int = 1
    coverage: float = 0.5
    fat: float = 0.12
    lymphoid: float = 0.03
    gland_spacing_um: float = 190.0
    stain_variation: float = 1.0

    def __post_init__(self) -> None:
        PixelSize(self.mpp, self.mpp)  # refuses an absurd resolution
        sizes_fit = self.width >= 1 and self.height >= 1 and self.pieces >= 1
        shares_fit = 0 < self.coverage <= 1 and self.fat >= 0 and self.lymphoid >= 0
        shares_fit = shares_fit and self.fat + self.lymphoid < 1
        if not (sizes_fit and shares_fit and self.gland_spacing_um >= 0 and self.stain_variation >= 0):
            raise InvalidParameterError(
                "a synthetic slide cannot be made from these values",
                expected="positive sizes, shares of 0 to 1 that leave room for stroma",
                found=f"{self}",
            )

    @property
    def pixels_per_um(self) -> float:
        """Level-0 pixels per micrometre."""
        return 1 / self.mpp
