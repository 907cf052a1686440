"""How strongly patches are changed; no PyTorch here.

Published ranges are those of Tellez et al., "Quantifying the effects of data augmentation and stain color
normalization in convolutional neural networks for computational pathology" (Medical Image Analysis 2019),
for patches of 128 px.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType

from napari_nic.errors import InvalidParameterError

REFERENCE_SIDE = 128
"""Side of a patch, px, that elastic deformation is stated for; it grows and shrinks with the patch."""

_BELOW_ONE = frozenset({"zoom", "brightness", "contrast", "hed"})
_AT_MOST_ONE = frozenset({"hue", "saturation", "value", "noise"})


@dataclass(frozen=True)
class AugmentOptions:
    """Strengths; 0 (or False) switches a change off. Every patch draws its own value, evenly in the range.

    Attributes
    ----------
    symmetries : bool
        One of the eight rotations and mirrorings of the square.
    zoom : float
        Magnification within 1 -+ zoom.
    shift : float
        Largest shift along y and x, px of the network's input.
    elastic_alpha, elastic_sigma : float
        Strength and width, px, of random displacements (Simard et al. 2003: noise in [-1, 1], smoothed with a
        Gaussian of width sigma, times alpha) for a patch of 128 px. Every patch draws alpha within 20 % and
        sigma within 10 %, so that 100 and 10 give the published 80 to 120 and 9 to 11.
    brightness, contrast : float
        Factor within 1 -+ the strength, see
        :func:`napari_nic.training.augmentation.colour.change_contrast`.
    hue : float
        Largest shift of the hue in turns: 0.1 is 36 degrees.
    saturation, value : float
        Largest change, of 1, of the saturation and the value of HSV: -1 takes all of it away, +1 as much as
        keeps them in range, see :func:`napari_nic.training.augmentation.colour.shift_hsv`.
    hed : float
        Largest relative change of the density of haematoxylin, eosin and DAB, and largest offset of it, in
        natural logarithms of the intensity.
    blur : float
        Largest sigma of a Gaussian, px.
    noise : float
        Largest sigma of Gaussian noise, as a share of the range of intensities.

    Raises
    ------
    InvalidParameterError
        If a strength is negative or so large that it has no meaning.
    """

    symmetries: bool = True
    zoom: float = 0.0
    shift: float = 0.0
    elastic_alpha: float = 0.0
    elastic_sigma: float = 10.0
    brightness: float = 0.0
    contrast: float = 0.0
    hue: float = 0.0
    saturation: float = 0.0
    value: float = 0.0
    hed: float = 0.0
    blur: float = 0.0
    noise: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            strength = float(getattr(self, field.name))
            below, at_most = field.name in _BELOW_ONE, field.name in _AT_MOST_ONE
            if not 0 <= strength < float("inf") or (below and strength >= 1) or (at_most and strength > 1):
                limit = "below 1" if below else "at most 1" if at_most else "finite"
                raise InvalidParameterError(
                    f"augmentation cannot have {field.name} = {strength:g}",
                    expected=f"at least 0 and {limit}",
                    hint="0 switches it off",
                )
        if self.elastic_alpha and not self.elastic_sigma:
            raise InvalidParameterError(
                "elastic deformation needs a width", expected="elastic_sigma above 0", found="0"
            )

    @property
    def warps(self) -> bool:
        """Whether pixels are moved by anything but a symmetry, and so are interpolated."""
        return bool(self.zoom or self.shift or self.elastic_alpha)

    @property
    def shifts_hsv(self) -> bool:
        """Whether hue, saturation or value is changed."""
        return bool(self.hue or self.saturation or self.value)


_LIGHT = AugmentOptions(
    zoom=0.2,
    elastic_alpha=100,
    brightness=0.35,
    contrast=0.35,
    hue=0.1,
    saturation=0.1,
    hed=0.05,
    blur=0.5,
    noise=0.02,
)
_STRONG = replace(_LIGHT, hed=0.2, blur=1.0, noise=0.1)

_TISSUE = AugmentOptions(
    zoom=0.25,
    brightness=0.15,
    contrast=0.15,
    hue=0.03,
    saturation=0.1,
    value=0.05,
    hed=0.1,
    blur=0.7,
    noise=0.02,
)

PRESETS: Mapping[str, AugmentOptions] = MappingProxyType(
    {
        "none": AugmentOptions(symmetries=False),
        "light": _LIGHT,
        "strong": _STRONG,
        "any-hue": replace(_STRONG, hue=1.0, saturation=0.5),
        "tissue": _TISSUE,
        "shape": AugmentOptions(symmetries=False, zoom=0.2, elastic_alpha=100),
    }
)
"""Options by name.

``light`` has the published ranges of zoom (0.8 to 1.2), elastic deformation, brightness and contrast (0.65 to
1.35), and the light ranges of HSV (0.1) and HED (0.05). ``strong`` has the strong range of HED (0.2) and the
full noise (0.1) instead. ``any-hue`` has the strong range of hue (1) besides: stains keep their contrast and
lose their colours. Its saturation changes by 0.5 and not by the published 1, with which both stains can turn
into the same white. ``tissue`` varies magnification, stain densities and sharpness as scanners and
laboratories do, and leaves what tasks need: nothing is deformed, and a hue stays within 11 degrees, so that
eosin is never taken for haematoxylin. ``shape`` only zooms and deforms, for pictures whose colours and
orientation matter.

The published sigma of blur, up to 0.1 px, changes no pixel by a grey level; ours, up to 0.5 and 1 px, are
those of a slide slightly out of focus.
"""
