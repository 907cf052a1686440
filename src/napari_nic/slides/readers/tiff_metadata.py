"""What the tags and descriptions of a TIFF slide say: vendor, pixel size, profile, associated images."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import tifffile

from napari_nic.errors import DamagedSlideError, UnreadableSlideError
from napari_nic.slides.model import PixelSizeClaim
from napari_nic.slides.readers.tiff_channels import ChannelFacts, imagej_notices, parse_xml, read_channels
from napari_nic.slides.readers.tiff_depth import bits_of_ome
from napari_nic.slides.readers.tiff_pixel_size import (
    aperio_claims,
    imagej_claims,
    ome_claims,
    philips_claims,
    philips_spacings,
    qptiff_claims,
    resolution_claims,
)
from napari_nic.slides.readers.tiff_series import Pyramid, find_pyramid, is_mask
from napari_nic.slides.readers.tiff_structure import MAX_PAGES

_TEXT_TAGS = ("ImageDescription", "Make", "Model", "Software", "DateTime", "Artist", "HostComputer")
_ICC_TAG = 34675
_ASSOCIATED_MAX_PIXELS = 2**26  # what is larger is no label
_RIVAL_SHARE = 4  # a second picture of a quarter of the slide's pixels is no label either


@dataclass(frozen=True)
class TiffFacts:
    """What the metadata says.

    Attributes
    ----------
    vendor : str
        As OpenSlide names vendors where it knows them.
    pyramid : Pyramid
        The slide among tifffile's series.
    pixel_sizes : tuple of PixelSizeClaim
        Most trustworthy first.
    icc_profile : bytes or None
        The embedded profile.
    properties : mapping of str to str
        Metadata as they stand there.
    associated : mapping of str to int
        tifffile's series of the label, macro and thumbnail.
    channels : tuple of ChannelFacts
        What the file says of its channels.
    spacings : list of (float, float)
        (y, x) in um of each level, where the file states them.
    bits : int or None
        How many bits of a sample count, where the file states it.
    notices : list of str
        What the user must be told.
    choice : dict of str to int
        Numbers from 1 of the plane of depth and the time point that are shown of several.
    """

    vendor: str
    pyramid: Pyramid
    pixel_sizes: tuple[PixelSizeClaim, ...]
    icc_profile: bytes | None
    properties: Mapping[str, str]
    associated: Mapping[str, int]
    channels: tuple[ChannelFacts, ...] = ()
    spacings: list[tuple[float, float]] = field(default_factory=list)
    bits: int | None = None
    notices: list[str] = field(default_factory=list)
    choice: dict[str, int] = field(default_factory=dict)


_NDPI_OFFSETS = {"hamamatsu.XOffsetFromSlideCentre": 65422, "hamamatsu.YOffsetFromSlideCentre": 65423}
"""Tags: nanometres from the middle of the glass to the centre of the picture."""


@dataclass
class _Dialect:
    """What a vendor's own reading adds."""

    claims: tuple[PixelSizeClaim, ...] = ()
    properties: dict[str, str] = field(default_factory=dict)
    spacings: list[tuple[float, float]] = field(default_factory=list)
    bits: int | None = None
    notices: list[str] = field(default_factory=list)


def read_facts(tif: tifffile.TiffFile) -> TiffFacts:
    """Read the metadata of an open TIFF file.

    Raises
    ------
    UnreadableSlideError
        If it is a dialect that must be stitched (Leica, Ventana, Trestle).
    DamagedSlideError
        If it holds no picture.
    """
    _refuse_stitched(tif)
    _refuse_torn(tif)
    _refuse_absurd_counts(tif)
    if not tif.series:
        raise DamagedSlideError("the TIFF file holds no picture", hint="copy it again from where it came")
    series = 0 if tif.is_svs or tif.is_ndpi or tif.is_philips else _largest(tif)
    flag = next((name for name in _DIALECTS if getattr(tif, f"is_{name}")), "")
    vendor, read = _DIALECTS.get(flag, ("generic-tiff", lambda *_: _Dialect()))
    dialect = read(tif, series)
    pyramid = find_pyramid(tif, series)
    page = tif.series[series].levels[0].keyframe
    profile = page.tags.valueof(_ICC_TAG)
    return TiffFacts(
        vendor=vendor,
        pyramid=pyramid,
        pixel_sizes=(*dialect.claims, *resolution_claims(page)),
        icc_profile=bytes(profile) if isinstance(profile, bytes | tuple) else None,
        properties=_tag_properties(page) | dialect.properties,
        associated=_associated(tif, pyramid),
        channels=read_channels(tif, series),
        spacings=dialect.spacings,
        bits=dialect.bits,
        notices=dialect.notices + _rivals(tif, pyramid),
    )


def _refuse_absurd_counts(tif: tifffile.TiffFile) -> None:
    """Look at what an OME-XML counts before tifffile makes lists of as many pages."""
    if not tif.is_ome:
        return
    for pixels in re.findall(r"<[\w:]*Pixels\b[^>]*>", tif.ome_metadata or ""):
        planes = math.prod(int(count) for count in re.findall(r"\bSize[CZT]=\"(\d{1,12})\"", pixels))
        if planes > MAX_PAGES:
            raise _absurd(planes)
    for count in re.findall(r"\b(?:PlaneCount|IFD|First[CZT])=\"(\d{1,12})\"", tif.ome_metadata or ""):
        if int(count) > MAX_PAGES:
            raise _absurd(int(count))


def _absurd(count: int) -> DamagedSlideError:
    return DamagedSlideError(
        f"the OME metadata speak of {count} pages",
        expected=f"at most {MAX_PAGES}",
        hint="the file was damaged: copy it again from where it came",
    )


def _refuse_stitched(tif: tifffile.TiffFile) -> None:
    """Leave to OpenSlide what does not lie in one piece on the page.

    A Leica SCN holds one or more areas; its frame is the whole glass, on which OpenSlide lays them.
    """
    kinds = {
        "a Leica SCN, whose areas": tif.is_scn,
        "a Ventana BIF, whose overlapping tiles": tif.is_bif or _holds_iscan(tif.pages.first),
        "a Trestle TIFF, whose overlapping tiles": tif.pages.first.software.startswith("MedScan"),
    }
    for kind, is_one in kinds.items():
        if is_one:
            raise UnreadableSlideError(f"{kind} only OpenSlide puts together")


def _holds_iscan(page: Any) -> bool:
    """Whether a page holds the metadata by which OpenSlide knows a Ventana file."""
    metadata = page.tags.valueof(700)
    return isinstance(metadata, bytes) and b"<iScan" in metadata


def _refuse_torn(tif: tifffile.TiffFile) -> None:
    """Refuse a dialect whose description is cut off: without it, it would open as something else."""
    text = tif.pages.first.description
    dialects = {
        "Leica": ("<scn" in text or "leica-microsystems.com/scn" in text, tif.is_scn),
        "OME": ("<OME " in text[:4096] and not text.rstrip().endswith("OME>"), tif.is_ome),
        "Philips": ("DPUfsImport" in text, tif.is_philips),
        "PerkinElmer": ("<PerkinElmer-QPI-ImageDescription" in text[:4096], tif.is_qpi),
    }
    for vendor, (is_meant, is_whole) in dialects.items():
        if is_meant and not is_whole:
            raise DamagedSlideError(
                f"the {vendor} metadata of the file are damaged",
                hint="copy the file again from where it came",
            )


def _read_aperio(tif: tifffile.TiffFile, series: int) -> _Dialect:
    properties = {}
    for item in tif.series[series].keyframe.description.split("|")[1:]:
        key, _, value = item.partition("=")
        properties[f"aperio.{key.strip()}"] = value.strip()
    page = tif.series[series].keyframe
    return _Dialect(aperio_claims(properties, page), properties)


def _read_ndpi(tif: tifffile.TiffFile, series: int) -> _Dialect:
    """Where the picture lies on the glass, under OpenSlide's names: NDPA annotations count from there."""
    tags = tif.series[series].keyframe.tags
    values = {name: tags.valueof(code) for name, code in _NDPI_OFFSETS.items()}
    return _Dialect(properties={name: str(value) for name, value in values.items() if value is not None})


def _read_philips(tif: tifffile.TiffFile, series: int) -> _Dialect:
    del series
    spacings = philips_spacings(tif.philips_metadata or "")
    return _Dialect(philips_claims(spacings), spacings=spacings)


def _read_ome(tif: tifffile.TiffFile, series: int) -> _Dialect:
    root = tifffile.xml2dict(tif.ome_metadata or "").get("OME", {})
    images = root.get("Image", []) if isinstance(root, dict) else []
    images = images if isinstance(images, list) else [images]
    pixels, doubt = _pixels_of(images[series : series + 1] + images, tif.series[series].keyframe)
    claims, notices = ome_claims(pixels)
    claims = tuple(replace(claim, doubt=doubt) for claim in claims)
    notices += [f"the metadata contradict the pixels: {doubt}"] if doubt else []
    plain = {
        f"ome.{key}": str(value) for key, value in pixels.items() if isinstance(value, str | int | float)
    }
    return _Dialect(claims, plain, bits=bits_of_ome(pixels), notices=notices + _elsewhere(tif))


def _pixels_of(images: list[Any], page: Any) -> tuple[dict[str, Any], str]:
    """Return the Pixels of the image that a page belongs to, and why it may not be that page's.

    tifffile leaves out images without pages. Where none is of the page's size, the file was cut or made
    smaller by a program that left the metadata as they were.
    """
    every = [image.get("Pixels") for image in images if isinstance(image, dict)]
    found = [pixels for pixels in every if isinstance(pixels, dict)]
    size = page.imagewidth, page.imagelength
    for pixels in found:
        if (pixels.get("SizeX"), pixels.get("SizeY")) == size:
            return pixels, ""
    if not found:
        return {}, ""
    stated = f"{found[0].get('SizeX', '?')} x {found[0].get('SizeY', '?')}"
    return found[0], f"OME speaks of {stated} px, and the file holds {size[0]} x {size[1]} px"


def _elsewhere(tif: tifffile.TiffFile) -> list[str]:
    """Name the files that hold other pages of the same slide; they are never opened."""
    root = parse_xml(tif.ome_metadata or "")
    own = root.get("UUID")
    names = {
        node.get("FileName", "another")
        for node in root.iter()
        if str(node.tag).endswith("}UUID") and own and (node.text or "").strip() != own
    }
    if not names:
        return []
    return [f"pages of this slide lie in other files ({', '.join(sorted(names)[:3])}): they are not shown"]


def _read_imagej(tif: tifffile.TiffFile, series: int) -> _Dialect:
    return _Dialect(imagej_claims(tif.series[series].keyframe), notices=imagej_notices(tif))


def _read_qptiff(tif: tifffile.TiffFile, series: int) -> _Dialect:
    return _Dialect(qptiff_claims(tif.series[series].keyframe))


_DIALECTS: dict[str, tuple[str, Callable[[tifffile.TiffFile, int], _Dialect]]] = {
    "svs": ("aperio", _read_aperio),
    "ndpi": ("hamamatsu", _read_ndpi),
    "philips": ("philips", _read_philips),
    "qpi": ("perkinelmer", _read_qptiff),
    "ome": ("ome-tiff", _read_ome),
    "imagej": ("imagej", _read_imagej),
}


def _largest(tif: tifffile.TiffFile) -> int:
    areas = _areas(tif)
    return areas.index(max(areas))


def _areas(tif: tifffile.TiffFile) -> list[int]:
    return [
        0 if is_mask(page := series.keyframe) else page.imagelength * page.imagewidth for series in tif.series
    ]


def _rivals(tif: tifffile.TiffFile, pyramid: Pyramid) -> list[str]:
    """Name other pictures of like size: a file of several slides, of which one is shown."""
    areas, main = _areas(tif), pyramid.index
    others = [index for index in pyramid.others if _RIVAL_SHARE * areas[index] >= areas[main]]
    if not others or tif.is_svs or tif.is_ndpi or tif.is_philips or tif.is_qpi:
        return []
    return [f"the file holds {len(others) + 1} pictures of like size: number {main + 1} is shown"]


def _tag_properties(page: Any) -> dict[str, str]:
    values = {name: page.tags.valueof(name) for name in _TEXT_TAGS}
    return {f"tiff.{name}": str(value) for name, value in values.items() if value}


def _associated(tif: tifffile.TiffFile, pyramid: Pyramid) -> dict[str, int]:
    """Small single pictures beside the pyramid, under the names that their page gives them."""
    found: dict[str, int] = {}
    for index in pyramid.others:
        series = tif.series[index]
        page = series.keyframe
        if is_mask(page) or series.axes not in ("YX", "YXS", "SYX"):
            continue
        if page.imagelength * page.imagewidth <= _ASSOCIATED_MAX_PIXELS:
            found.setdefault(_associated_name(series, page) or f"image-{index}", index)
    return found


def _associated_name(series: Any, page: Any) -> str:
    """What the page calls itself; its metadata are no name."""
    name = str(series.name or page.description.split("\n")[0]).strip().lower()
    return "" if name.startswith(("{", "<")) else name
