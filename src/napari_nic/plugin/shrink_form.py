"""What is filled in to shrink a slide; remembered between sessions."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from napari_nic.recompression.glass import GlassOptions
from napari_nic.recompression.learned import list_codecs
from napari_nic.recompression.lossy import (
    CONTAINERS,
    LEARNED,
    PIXEL_CODECS,
    LossyOptions,
    load_container,
    scale_of,
)
from napari_nic.recompression.quality import Bounds
from napari_nic.recompression.reporting.contenders import Contender, contender
from napari_nic.tissue import TissueMask

MODES = {
    "repack": "Repack: no loss, restorable",
    "optimize": "Optimise: no loss, stays JPEG",
    "progressive": "Progressive: no loss, smaller",
    "lossy": "Encode anew: some loss",
}
"""Ways to write a slide, and what people call them."""

CODEC_NAMES = {
    "jpeg": "JPEG",
    "jpegxl": "JPEG XL",
    "jpeg2000": "JPEG 2000",
    "avif": "AVIF",
    "webp": "WebP",
}
CONTAINER_NAMES = {
    "tiff": "TIFF",
    "svs": "SVS (Aperio)",
    "ome-tiff": "OME-TIFF",
    "ome-zarr": "OME-Zarr",
}
SMALL = ".small"
"""Between the slide's name and its suffix."""


def codec_choices() -> dict[str, str]:
    """Return the codecs at hand and what people call them; learned ones as their folders are found now."""
    learned = {f"{LEARNED}:{name}": f"{name} (learned)" for name in list_codecs()}
    return {name: CODEC_NAMES.get(name, name) for name in PIXEL_CODECS} | learned


@dataclass(frozen=True)
class ShrinkForm:
    """What is filled in.

    Attributes
    ----------
    mode : str
        Of :data:`MODES`.
    codec, container : str
        For the mode "lossy".
    quality : float
        On the codec's scale.
    least_ssim : float
        That every tile keeps to; 0 for none.
    remove_glass : bool
    margin_um : float
        Glass nearer to tissue is kept.
    folder : str
        Where the result goes; empty for beside the slide.
    report : bool
        Whether a page is made.
    """

    mode: str = "repack"
    codec: str = "jpegxl"
    container: str = "tiff"
    quality: float = 90.0
    least_ssim: float = 0.9
    remove_glass: bool = False
    margin_um: float = 100.0
    folder: str = ""
    report: bool = True

    @property
    def is_lossy(self) -> bool:
        """Whether tiles are encoded anew."""
        return self.mode == "lossy"

    @property
    def can_remove_glass(self) -> bool:
        """Whether the mode can: repacked files give the original back, glass too."""
        return self.mode != "repack"

    def through(self) -> Contender | None:
        """Return the codec with its settings; None where pixels stay what they are."""
        return contender(self.codec, self.quality) if self.is_lossy else None

    def glass(self, mpp: float | None, mask: TissueMask | None = None) -> GlassOptions | None:
        """Return what is taken for glass; None if all is kept.

        Parameters
        ----------
        mpp : float, optional
            um per pixel, where the user gave it.
        mask : TissueMask, optional
            The tissue as the user painted it; it is looked for by default.
        """
        if not (self.remove_glass and self.can_remove_glass):
            return None
        return GlassOptions(margin_um=self.margin_um, mpp=mpp, mask=mask)

    def lossy(self, mpp: float | None, mask: TissueMask | None = None) -> LossyOptions:
        """Return what is asked of a lossy run; parameters are those of :meth:`glass`."""
        glass = self.glass(mpp, mask)
        return LossyOptions(self.codec, self.quality, container=self.container, glass=glass, mpp=mpp)

    def bounds(self) -> Bounds:
        """Return what every tile must keep to."""
        return Bounds(ssim=self.least_ssim or None)

    def target(self, slide: Path) -> Path:
        """Return the file that is written."""
        suffix = load_container(self.container).suffixes[0] if self.is_lossy else slide.suffix
        return Path(self.folder or slide.parent, f"{slide.stem}{SMALL}{suffix}")


def read_form(remembered: Any) -> ShrinkForm:
    """Make the form of remembered values; what is of another type, or unknown, is left at its default."""
    default = ShrinkForm()
    if not isinstance(remembered, dict):
        return default
    known = {
        entry.name: remembered[entry.name]
        for entry in fields(ShrinkForm)
        if type(remembered.get(entry.name)) is type(getattr(default, entry.name))
    }
    choices = {"mode": MODES, "codec": tuple(codec_choices()), "container": tuple(CONTAINERS)}
    for name, allowed in choices.items():
        if name in known and known[name] not in allowed:
            known.pop(name)
            if name == "codec":  # it was this one's
                known.pop("quality", None)
    form = ShrinkForm(**known)
    scale = scale_of(form.codec)
    is_good = scale.least <= form.quality <= scale.best and form.margin_um >= 0 and 0 <= form.least_ssim <= 1
    return form if is_good else default
