"""TIFF and its many slide dialects: SVS, NDPI, Philips, QPTIFF, OME-TIFF, ImageJ and any other TIFF.

tifffile finds the pages; the bytes are read at their offsets here, so that any number of threads can decode
at once (the codecs release the interpreter's lock). What a file holds that cannot be shown in its right
colours is refused for good, with :class:`~napari_nic.errors.UnsupportedPixelsError`.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import tifffile

from napari_nic.errors import (
    ChannelsError,
    DamagedSlideError,
    NicError,
    OutOfBoundsError,
    UnreadableSlideError,
    WeightsError,
)
from napari_nic.slides.model import (
    WHITE,
    ChannelSource,
    Level,
    RgbArray,
    Selection,
    SlideSource,
    SourceInfo,
)
from napari_nic.slides.readers.bytesource import ByteSource
from napari_nic.slides.readers.codestreams import read_jpeg2000_header
from napari_nic.slides.readers.learned_tiles import (
    COMPRESSION,
    MOST_NETWORK_BYTES,
    NETWORK_TAG,
    TileNetwork,
    read_network,
    reading_by,
    shared_network,
)
from napari_nic.slides.readers.tiff_channels import choose_pages, choose_planes, choose_stack
from napari_nic.slides.readers.tiff_codecs import JPEG_CODES, jpeg_header
from napari_nic.slides.readers.tiff_depth import settle_depth
from napari_nic.slides.readers.tiff_levels import TiffLevel, read_levels
from napari_nic.slides.readers.tiff_light import LightPicture, TiffChannelSource, describe_channels
from napari_nic.slides.readers.tiff_metadata import TiffFacts, read_facts
from napari_nic.slides.readers.tiff_orientation import OrientedSource, orientation_of
from napari_nic.slides.readers.tiff_picture import TiffPicture
from napari_nic.slides.readers.tiff_pixels import refusal
from napari_nic.slides.readers.tiff_structure import TIFF_MAGIC, check_structure
from napari_nic.slides.remote import binary_stream
from napari_nic.wording import counted

_PARSE_ERRORS = (
    tifffile.TiffFileError,
    struct.error,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    NotImplementedError,
    AssertionError,
    RuntimeError,
    SyntaxError,
    OSError,
    EOFError,
)
"""What tifffile and the parsers below it raise for directories and descriptions that are nonsense."""


class TiffSource:
    """An open TIFF slide. See :class:`~napari_nic.slides.model.SlideSource`."""

    def __init__(
        self,
        source: ByteSource,
        levels: list[TiffLevel],
        facts: TiffFacts,
        associated: dict[str, TiffPicture],
        network: TileNetwork | None = None,
    ) -> None:
        self.path = source.path
        self._bytes, self._network = source, network
        self._pictures = [level.picture for level in levels]
        self._associated = associated
        self.info = SourceInfo(
            vendor=facts.vendor,
            levels=tuple(
                Level(*level.shape, *level.downsample, tile=level.picture.block) for level in levels
            ),
            pixel_sizes=facts.pixel_sizes,
            background=WHITE,  # no TIFF dialect names one
            icc_profile=facts.icc_profile,
            properties=facts.properties,
            associated=tuple(associated),
            fingerprint_files=(source.path,),
            notices=tuple(facts.notices),
            choice=facts.choice,
            is_read_whole=any(picture.is_whole for picture in self._pictures),
        )

    def read_tile(self, level: int, row: int, col: int) -> RgbArray | None:
        """Decode one tile; None where the file holds no bytes for it."""
        with reading_by(self._network):
            return self._pictures[level].read(self.info.levels[level].tile_region(row, col), row, col)

    def read_associated(self, name: str) -> RgbArray:
        """Decode the label, macro or thumbnail image."""
        if name not in self._associated:
            raise OutOfBoundsError(f"no associated image {name!r}", path=self.path)
        return self._associated[name].read_all()

    def close(self) -> None:
        """Close the file."""
        self._bytes.close()


def open_tiff(path: Path, selection: Selection | None = None) -> SlideSource | ChannelSource:
    """Open a TIFF dialect; see :data:`~napari_nic.slides.model.OpenSource`.

    Parameters
    ----------
    path : Path
    selection : Selection, optional
        Plane of depth and time point of a file that holds several.

    Raises
    ------
    UnreadableSlideError
        If it is no TIFF file, or one of those that OpenSlide puts together (Leica, Ventana, Trestle).
    UnsupportedPixelsError
        If it is a TIFF file whose pixels cannot be shown rightly.
    DamagedSlideError
        If it is cut off or contradicts itself.
    """
    if path.is_dir():
        raise UnreadableSlideError("a folder, not a TIFF file")
    magic = _magic(path)
    if magic not in TIFF_MAGIC:
        raise UnreadableSlideError(f"not a TIFF file: it starts with {magic!r}")
    is_ndpi = check_structure(path)
    with ExitStack() as opened:
        source = ByteSource(path)
        opened.callback(source.close)
        try:
            # tifffile would tell an NDPI by its suffix, and open whatever file an OME-TIFF names.
            with (
                binary_stream(path) as stream,
                tifffile.TiffFile(stream, is_ndpi=is_ndpi, _multifile=False) as tif,
            ):
                slide = _open(tif, source, selection or Selection())
        except NicError as error:
            raise _with_path(error, path) from error
        except _PARSE_ERRORS as error:
            raise DamagedSlideError(
                "the TIFF directory cannot be read",
                path=path,
                found=str(error) or type(error).__name__,
                hint="the file was cut off or damaged: copy it again",
            ) from error
        opened.pop_all()  # it stays open: nothing went wrong
        return slide


def _open(tif: tifffile.TiffFile, source: ByteSource, selection: Selection) -> SlideSource | ChannelSource:
    facts = read_facts(tif)
    places, choice, told = choose_stack(facts.pyramid.levels[0], selection, source.path)
    facts.choice.update(choice)
    facts.notices.extend(told)

    def open_level(level: Any) -> tuple[TiffPicture, list[str]]:
        planes, notices = choose_planes(level, facts.channels, places)
        return TiffPicture(planes, source, WHITE), notices

    try:
        levels, notices = read_levels(facts, open_level)
    except ChannelsError:
        return _open_channels(tif, facts, places, source)
    pictures = [level.picture for level in levels]
    network = _network_of(tif, pictures, source.path)
    facts.notices.extend(notices + settle_depth(pictures, facts.bits) + _contradictions(pictures[0]))
    facts.notices.extend(_left_out(pictures[0]))
    associated = _read_associated(tif, facts, source)
    slide = TiffSource(source, levels, facts, associated, network)
    turn = orientation_of([level.picture.page for level in levels])
    return slide if turn == 1 else OrientedSource(slide, turn)


def _open_channels(
    tif: tifffile.TiffFile, facts: TiffFacts, places: Mapping[str, int], source: ByteSource
) -> ChannelSource:
    """Open the channels of a file that holds no picture in colours."""

    def open_level(level: Any) -> tuple[TiffPicture, list[str]]:
        return LightPicture(choose_pages(level, places), source), []

    levels, notices = read_levels(facts, open_level)
    facts.notices.extend(notices)
    if orientation_of([level.picture.page for level in levels]) != 1:
        raise refusal("channels that lie on their side")
    slide = TiffSource(source, levels, facts, _read_associated(tif, facts, source))
    return TiffChannelSource(slide, levels, describe_channels(tif, facts, levels[0].picture))


def _read_associated(tif: tifffile.TiffFile, facts: TiffFacts, source: ByteSource) -> dict[str, TiffPicture]:
    """Return the label, macro and thumbnail; one that cannot be shown is left out and named."""
    found = {}
    for name, index in facts.associated.items():
        try:
            planes, _ = choose_planes(tif.series[index], (), {})
            found[name] = TiffPicture(planes, source, WHITE)
        except (UnreadableSlideError, DamagedSlideError) as error:
            facts.notices.append(f"the {name} image of the file is left out: {error.problem}")
    return found


def _network_of(tif: tifffile.TiffFile, pictures: list[TiffPicture], path: Path) -> TileNetwork | None:
    """Return the network that decodes tiles, as it travels with them; None where none is needed.

    Raises
    ------
    WeightsError
        If it is not there, or damaged.
    """
    if not any(int(picture.page.compression) == COMPRESSION for picture in pictures):
        return None
    tag = tif.pages.first.tags.get(NETWORK_TAG)
    if tag is None or tag.count > MOST_NETWORK_BYTES or not isinstance(tag.value, bytes):
        raise WeightsError(
            "the network that decodes the tiles of this slide is not there",
            path=path,
            expected=f"tag {NETWORK_TAG} of the first page",
            hint="copy the slide again from where it came",
        )
    return shared_network(read_network(tag.value, path))


def _left_out(picture: TiffPicture) -> list[str]:
    extra = picture.kind.extra
    if not extra:
        return []
    is_are, they_are = ("is", "it is") if extra == 1 else ("are", "they are")
    return [
        f"{counted(extra, 'sample')} of each pixel {is_are} left out: the file does not say what {they_are}"
    ]


def _contradictions(picture: TiffPicture) -> list[str]:
    """Say where the first tile's stream holds other colours than the directory says; the stream is right."""
    page, data = picture.page, picture.first_bytes()
    code, stated = int(page.compression), getattr(page.photometric, "name", str(page.photometric))
    if code in JPEG_CODES and page.samplesperpixel == 3 and page.jpegheader is None:
        header = jpeg_header(page, data)
        if header.colors and header.colors.upper() != stated:
            return [
                f"the file says {stated}, but its JPEG tiles hold {header.colors} ({header.reason}): "
                "shown by what the tiles say"
            ]
    if code == 33003:
        codestream = read_jpeg2000_header(data)
        if codestream is not None and codestream.is_transformed:
            return ["the file says YCbCr, but its JPEG 2000 tiles hold RGB: shown by what the tiles say"]
    return []


def _with_path(error: NicError, path: Path) -> NicError:
    """The same error, naming the file."""
    if error.file is not None:
        return error
    return type(error)(error.problem, path=path, expected=error.expected, found=error.found, hint=error.hint)


def _magic(path: Path) -> bytes:
    with binary_stream(path) as stream:
        return stream.read(4)
