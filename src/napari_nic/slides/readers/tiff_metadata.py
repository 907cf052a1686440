"""What the tags and descriptions of a TIFF slide say: vendor, pixel size, profile, associated images."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import tifffile

from napari_nic.errors import UnreadableSlideError
from napari_nic.slides.model import PixelSizeClaim
from napari_nic.slides.pixel_size import parse_float

_UM_PER_UNIT = {
    tifffile.RESUNIT.INCH: 25_400.0,
    tifffile.RESUNIT.CENTIMETER: 10_000.0,
    tifffile.RESUNIT.MILLIMETER: 1_000.0,
    tifffile.RESUNIT.MICROMETER: 1.0,
}
UM_PER_OME_UNIT = {"nm": 1e-3, "µm": 1.0, "\u03bcm": 1.0, "um": 1.0, "mm": 1e3, "cm": 1e4, "m": 1e6}
_TEXT_TAGS = ("ImageDescription", "Make", "Model", "Software", "DateTime", "Artist", "HostComputer")
_ICC_TAG = 34675
_PHILIPS_SPACING = re.compile(
    r'"PixelDataRepresentation".*?"DICOM_PIXEL_SPACING"[^>]*>\s*"([0-9.eE+-]+)"\s+"([0-9.eE+-]+)"', re.DOTALL
)
_ASSOCIATED_MAX_PIXELS = 2**26  # what is larger is no label


@dataclass(frozen=True)
class TiffFacts:
    """What the metadata says. `series` and the values of `associated` are indices into tifffile's series."""

    vendor: str
    series: int
    pixel_sizes: tuple[PixelSizeClaim, ...]
    icc_profile: bytes | None
    properties: Mapping[str, str]
    associated: Mapping[str, int]


def read_facts(tif: tifffile.TiffFile) -> TiffFacts:
    """Read the metadata of an open TIFF file.

    Raises
    ------
    UnreadableSlideError
        If it is a dialect that must be stitched (Ventana, Trestle), or holds no picture.
    """
    _refuse_stitched(tif)
    if not tif.series:
        raise UnreadableSlideError("the TIFF file holds no picture")
    vendor, dialect = _VENDORS.get(_flag(tif), ("generic-tiff", _read_generic))
    series, claims, properties = dialect(tif)
    page = tif.series[series].levels[0].keyframe
    profile = page.tags.valueof(_ICC_TAG)
    return TiffFacts(
        vendor=vendor,
        series=series,
        pixel_sizes=(*claims, *_resolution_claim(page)),
        icc_profile=bytes(profile) if profile is not None else None,
        properties=_tag_properties(page) | properties,
        associated=_associated(tif, series),
    )


def _refuse_stitched(tif: tifffile.TiffFile) -> None:
    """Leave to OpenSlide what does not lie in one piece on the page.

    A Leica SCN holds one or more areas; its frame is the whole glass, on which OpenSlide lays them.
    """
    kinds = {
        "a Leica SCN, whose areas": tif.is_scn,
        "a Ventana BIF, whose overlapping tiles": tif.is_bif,
        "a Trestle TIFF, whose overlapping tiles": tif.pages.first.software.startswith("MedScan"),
    }
    for kind, is_one in kinds.items():
        if is_one:
            raise UnreadableSlideError(f"{kind} only OpenSlide puts together")


def _flag(tif: tifffile.TiffFile) -> str:
    return next((name for name in _VENDORS if getattr(tif, f"is_{name}")), "")


Dialect = tuple[int, tuple[PixelSizeClaim, ...], dict[str, str]]


def _read_aperio(tif: tifffile.TiffFile) -> Dialect:
    text = tif.pages.first.description
    properties = {}
    for item in text.split("|")[1:]:
        key, _, value = item.partition("=")
        properties[f"aperio.{key.strip()}"] = value.strip()
    mpp = parse_float(properties.get("aperio.MPP"))
    return 0, () if mpp is None else (PixelSizeClaim(mpp, mpp, "aperio.MPP"),), properties


def _read_philips(tif: tifffile.TiffFile) -> Dialect:
    """The levels' spacings in mm stand in the XML, finest first: ``"0.00025" "0.00025"`` (rows, columns)."""
    found = _PHILIPS_SPACING.search(tif.philips_metadata or "")
    if found is None:
        return 0, (), {}
    y, x = (1e3 * float(value) for value in found.groups())
    return 0, (PixelSizeClaim(y, x, "philips DICOM_PIXEL_SPACING"),), {}


def _read_ome(tif: tifffile.TiffFile) -> Dialect:
    series = _largest(tif)
    images = tifffile.xml2dict(tif.ome_metadata or "").get("OME", {}).get("Image", [])
    images = images if isinstance(images, list) else [images]
    if series >= len(images):
        return series, (), {}
    pixels = images[series].get("Pixels", {})
    y, x = (_ome_length(pixels, axis) for axis in "YX")
    claims = () if y is None or x is None else (PixelSizeClaim(y, x, "OME PhysicalSizeX"),)
    return series, claims, {f"ome.{key}": str(value) for key, value in pixels.items() if _is_plain(value)}


def _read_generic(tif: tifffile.TiffFile) -> Dialect:
    return _largest(tif), (), {}


_VENDORS = {
    "svs": ("aperio", _read_aperio),
    "ndpi": ("hamamatsu", _read_generic),
    "philips": ("philips", _read_philips),
    "ome": ("ome-tiff", _read_ome),
}


def _ome_length(pixels: Mapping[str, Any], axis: str) -> float | None:
    """PhysicalSize of an axis in um; the schema's default unit is the micrometre."""
    value = parse_float(pixels.get(f"PhysicalSize{axis}"))
    scale = UM_PER_OME_UNIT.get(str(pixels.get(f"PhysicalSize{axis}Unit", "um")))
    return None if value is None or scale is None else value * scale


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float)


def _largest(tif: tifffile.TiffFile) -> int:
    areas = [series.keyframe.imagelength * series.keyframe.imagewidth for series in tif.series]
    return areas.index(max(areas))


def _resolution_claim(page: Any) -> tuple[PixelSizeClaim, ...]:
    """What XResolution says. Screen defaults such as 72 dpi come out as 353 um/px and are refused later."""
    scale = _UM_PER_UNIT.get(page.tags.valueof("ResolutionUnit"))
    x, y = page.tags.valueof("XResolution"), page.tags.valueof("YResolution")
    if scale is None or not x or not y or 0 in (*x, *y):
        return ()
    return (PixelSizeClaim(scale * y[1] / y[0], scale * x[1] / x[0], "tiff resolution"),)


def _tag_properties(page: Any) -> dict[str, str]:
    values = {name: page.tags.valueof(name) for name in _TEXT_TAGS}
    return {f"tiff.{name}": str(value) for name, value in values.items() if value}


def _associated(tif: tifffile.TiffFile, main: int) -> dict[str, int]:
    """Small single pictures beside the pyramid, under the names that their page gives them."""
    found: dict[str, int] = {}
    for index, series in enumerate(tif.series):
        page = series.keyframe
        if index == main or series.axes not in ("YX", "YXS"):
            continue
        if page.imagelength * page.imagewidth <= _ASSOCIATED_MAX_PIXELS:
            name = (series.name or page.description.split("\n")[0]).strip().lower() or f"image-{index}"
            found.setdefault(name, index)
    return found
