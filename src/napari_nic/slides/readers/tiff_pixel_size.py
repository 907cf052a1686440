"""Every place where a TIFF dialect states the size of its pixels, in um, believable or not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import tifffile

from napari_nic.slides.levels import is_same_picture
from napari_nic.slides.model import PixelSizeClaim
from napari_nic.slides.pixel_size import parse_float, um_of_unit
from napari_nic.slides.readers.tiff_channels import parse_xml

Claims = tuple[PixelSizeClaim, ...]

_UM_PER_TAG = {
    tifffile.RESUNIT.INCH: 25_400.0,
    tifffile.RESUNIT.CENTIMETER: 10_000.0,
    tifffile.RESUNIT.MILLIMETER: 1_000.0,
    tifffile.RESUNIT.MICROMETER: 1.0,
}
_IMAGEJ_UNIT = re.compile(r"^(y?)unit=(.*)$", re.MULTILINE)
_APERIO_AREA = re.compile(r"\[\d+,\d+[ ,]+(\d{1,9})x(\d{1,9})\]")
_SHRUNK_BY = 1.2


def aperio_claims(properties: Mapping[str, str], page: Any) -> Claims:
    """``MPP = 0.2520``; some programs that write such files state the axes, or use other cases.

    A page that is the described picture made smaller has larger pixels than its description says.
    """
    values = {key.lower(): parse_float(value) for key, value in properties.items()}
    both = values.get("aperio.mpp")
    x, y = values.get("aperio.mppx", both), values.get("aperio.mppy", both)
    if x is None or y is None:
        return ()
    return (PixelSizeClaim(y, x, "aperio.MPP", _shrunk(page)),)


def _shrunk(page: Any) -> str:
    found = _APERIO_AREA.search(page.description.split("|")[0])
    if found is None:
        return ""
    width, height = int(found.group(1)), int(found.group(2))
    held = page.imagelength, page.imagewidth
    if min(held) * _SHRUNK_BY > min(height, width) or not is_same_picture((height, width), held):
        return ""  # the same size, or a part of it in the same resolution
    return f"of a picture of {width} x {height} px, and the file holds {held[1]} x {held[0]} px"


def philips_spacings(text: str) -> list[tuple[float, float]]:
    """Return (y, x) of a pixel in um of each level, finest first, as the XML states them in mm."""
    root = parse_xml(text)
    found = []
    for level in root.iter("DataObject"):
        if level.get("ObjectType") != "PixelDataRepresentation":
            continue
        attributes = level.findall("Attribute[@Name='DICOM_PIXEL_SPACING']")
        found += [_two_numbers(attribute.text) for attribute in attributes]
    if not found:
        attribute = root.find(".//Attribute[@Name='DICOM_PIXEL_SPACING']")
        found = [_two_numbers(None if attribute is None else attribute.text)]
    return [spacing for spacing in found if spacing is not None]


def _two_numbers(text: str | None) -> tuple[float, float] | None:
    numbers = [parse_float(part) for part in (text or "").replace('"', " ").split()]
    if len(numbers) < 2 or numbers[0] is None or numbers[1] is None:
        return None
    return 1e3 * numbers[0], 1e3 * numbers[1]


def philips_claims(spacings: list[tuple[float, float]]) -> Claims:
    """The spacing of the finest level."""
    return tuple(PixelSizeClaim(y, x, "philips DICOM_PIXEL_SPACING") for y, x in spacings[:1])


def ome_claims(pixels: Mapping[str, Any]) -> tuple[Claims, list[str]]:
    """PhysicalSizeX and Y; where only one axis is stated, pixels are taken for square, and that is told."""
    y, x = (_ome_length(pixels, axis) for axis in "YX")
    if y is not None and x is not None:
        return (PixelSizeClaim(y, x, "OME PhysicalSizeX"),), []
    side = x if y is None else y
    if side is None:
        return (), []
    stated, other = ("X", "Y") if y is None else ("Y", "X")
    notice = f"the file states the size of a pixel along {stated} only: pixels are taken for square"
    return (PixelSizeClaim(side, side, f"OME PhysicalSize{stated}, {other} not stated"),), [notice]


def _ome_length(pixels: Mapping[str, Any], axis: str) -> float | None:
    """PhysicalSize of an axis in um; the schema's default unit is the micrometre."""
    value = parse_float(pixels.get(f"PhysicalSize{axis}"))
    scale = um_of_unit(pixels.get(f"PhysicalSize{axis}Unit", "um"))
    return None if value is None or scale is None else value * scale


def imagej_claims(page: Any) -> Claims:
    """Pixels per unit stand in the resolution tags, and the unit in the description."""
    units = dict(_IMAGEJ_UNIT.findall(page.description))
    scale = um_of_unit(units.get("", ""))
    y_scale = um_of_unit(units["y"]) if "y" in units else scale
    x, y = _per_unit(page, "XResolution"), _per_unit(page, "YResolution")
    if scale is None or y_scale is None or not x or not y:
        return ()
    return (PixelSizeClaim(y_scale / y, scale / x, f"ImageJ unit={units['']}"),)


def qptiff_claims(page: Any) -> Claims:
    """PixelSizeMicrons of the scan; the resolution tags come after it."""
    text = parse_xml(page.description).findtext(".//ScanResolution/PixelSizeMicrons")
    value = parse_float(text)
    return () if value is None else (PixelSizeClaim(value, value, "QPTIFF PixelSizeMicrons"),)


def resolution_claims(page: Any) -> Claims:
    """What XResolution says. Screen defaults such as 72 dpi come out as 353 um/px, which nobody believes."""
    scale = _UM_PER_TAG.get(page.tags.valueof("ResolutionUnit", tifffile.RESUNIT.INCH))
    x, y = _per_unit(page, "XResolution"), _per_unit(page, "YResolution")
    if scale is None or not x or not y:
        return ()
    return (PixelSizeClaim(scale / y, scale / x, "tiff resolution"),)


def _per_unit(page: Any, tag: str) -> float | None:
    """Pixels per unit, a fraction by rights; None if the tag is missing or cannot be."""
    value = page.tags.valueof(tag)
    if isinstance(value, tuple):
        is_fraction = len(value) == 2 and all(isinstance(part, int) for part in value)
        return value[0] / value[1] if is_fraction and value[1] else None
    return float(value) if isinstance(value, int | float) else None
