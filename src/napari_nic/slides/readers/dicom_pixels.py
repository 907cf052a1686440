"""Pixels of DICOM slides: what a header says of them, and one encoded frame -> RGB or grey."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import numpy.typing as npt
from pydicom.uid import UID

from napari_nic.errors import UnsupportedPixelsError
from napari_nic.slides.readers.codestreams import read_jpeg_header
from napari_nic.slides.readers.jpeg_markers import read_jpeg, read_jpeg2000
from napari_nic.slides.readers.jpeg_short import is_short

if TYPE_CHECKING:
    import pydicom

RAW = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99")
JPEG = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51")
LOSSLESS_JPEG = ("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")
JPEG_LS = ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81")
JPEG_2000 = ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91")
HTJ2K = ("1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203")
RLE = "1.2.840.10008.1.2.5"
_KNOWN = (*RAW, *JPEG, *LOSSLESS_JPEG, *JPEG_LS, *JPEG_2000, *HTJ2K, RLE)

_YCBCR = frozenset({"YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"})
_TRANSFORMED = frozenset({"YBR_ICT", "YBR_RCT"})
_GREY = "MONOCHROME2"
_UNSHOWN = {
    "MONOCHROME1": "grey with white as zero (MONOCHROME1), which DICOM does not allow for slides",
    "PALETTE COLOR": "colours of a palette (PALETTE COLOR), which DICOM does not allow for slides",
    "YBR_PARTIAL_420": "YBR_PARTIAL_420, the colours of video",
    "YBR_PARTIAL_422": "YBR_PARTIAL_422, the colours of video",
}
_HINT = "convert it, for instance with wsidicomizer or dcmtk, to RGB or YBR_FULL_422"


@dataclass(frozen=True)
class DicomPixels:
    """How the samples of an instance are stored.

    Attributes
    ----------
    syntax : str
        UID of the transfer syntax.
    photometric : str
        PhotometricInterpretation.
    samples, bits_allocated, bits_stored : int
    tile : (int, int)
        (rows, cols) of a frame.
    colors : {"rgb", "ycbcr", "grey"}
        What the samples are, after the stream of the first frame was asked.
    """

    syntax: str
    photometric: str
    samples: int
    bits_allocated: int
    bits_stored: int
    tile: tuple[int, int]
    colors: str


def read_pixels(header: pydicom.Dataset, syntax: UID) -> DicomPixels:
    """Read how the samples are stored.

    Raises
    ------
    UnsupportedPixelsError
        If they cannot be shown rightly.
    """
    photometric = str(header.PhotometricInterpretation)
    samples, allocated = int(header.SamplesPerPixel), int(header.BitsAllocated)
    stored = int(header.get("BitsStored", allocated))
    problem = _problem(header, photometric, samples, allocated, stored, syntax)
    if syntax not in _KNOWN:
        problem = f"its pixels are compressed as {UID(syntax).name}, which cannot be decoded here"
    if problem:
        raise UnsupportedPixelsError(problem, hint=_HINT)
    colors = "grey" if samples == 1 else "ycbcr" if photometric in _YCBCR else "rgb"
    tile = int(header.Rows), int(header.Columns)
    return DicomPixels(str(syntax), photometric, samples, allocated, stored, tile, colors)


def _problem(
    header: pydicom.Dataset, photometric: str, samples: int, allocated: int, stored: int, syntax: str
) -> str:
    """Say in one sentence why samples cannot be shown; empty if they can."""
    if photometric in _UNSHOWN:
        return f"its pixels are {_UNSHOWN[photometric]}"
    if (samples, photometric) != (1, _GREY) and not (samples == 3 and photometric in {"RGB", *_YCBCR}):
        return f"its pixels are {photometric} with {samples} samples, which is unknown"
    if int(header.get("PixelRepresentation", 0)):
        return "its pixels are signed numbers"
    if allocated not in (8, 16) or not 1 <= stored <= allocated or (samples == 3 and stored != 8):
        return f"its pixels have {stored} of {allocated} bits and {samples} samples"
    if int(header.get("HighBit", stored - 1)) != stored - 1:
        return f"its pixels keep {stored} bits below bit {header.HighBit}"
    if stored not in (8, 16) and syntax in (*RAW, RLE):
        return f"its pixels keep {stored} bits in {allocated} without compression, which wsidicom cannot read"
    if samples == 3 and int(header.get("PlanarConfiguration", 0)):
        return "its pixels lie in planes, one for each colour"
    return ""


def settle_stream(pixels: DicomPixels, frame: bytes) -> tuple[str, str]:
    """Ask an encoded frame what its samples are.

    Returns
    -------
    colors : {"rgb", "ycbcr", "grey"}
        What to take the decoded samples for.
    notice : str
        A sentence that names the contradiction where header and stream differ; else empty.

    Raises
    ------
    UnsupportedPixelsError
        If header and stream contradict each other and neither can be believed.
    """
    if pixels.samples != 3:
        return pixels.colors, ""
    if pixels.syntax in JPEG:
        facts = read_jpeg(frame)
        if facts.colors is None or facts.colors == pixels.colors:
            return pixels.colors, ""
        is_so = "YCbCr" if facts.colors == "ycbcr" else "RGB"
        return facts.colors, (
            f"the DICOM header says {pixels.photometric}, but its JPEG stream is {is_so} ({facts.why}): "
            f"shown as {is_so}"
        )
    if pixels.syntax in (*JPEG_2000, *HTJ2K):
        codestream = read_jpeg2000(frame)
        if codestream is None or codestream.has_transform or codestream.is_subsampled:
            return "rgb", ""  # the decoder gives RGB
        if pixels.photometric in _TRANSFORMED:
            raise UnsupportedPixelsError(
                f"its header says {pixels.photometric}, but the JPEG 2000 stream transforms no colours",
                hint="ask the writer of the file whether its samples are RGB or YCbCr",
            )
    return pixels.colors, ""


def decode_frame(data: bytes, pixels: DicomPixels) -> npt.NDArray[Any]:
    """Decode one frame.

    Returns
    -------
    ndarray
        (rows, cols, 3) uint8 RGB, or (rows, cols) uint8 or uint16 grey in the file's own numbers.

    Raises
    ------
    ValueError, RuntimeError, TypeError
        If it cannot be decoded, or is not of the size that the header states.
    """
    decoded = _decode(data, pixels)
    wanted = (*pixels.tile, 3) if pixels.samples == 3 else pixels.tile
    if decoded.ndim == 3 and decoded.shape[2] == 1:
        decoded = decoded[..., 0]
    if decoded.shape != wanted:
        raise ValueError(f"a frame of {decoded.shape}, not {wanted}")
    if decoded.dtype not in (np.uint8, np.uint16) or (pixels.samples == 3 and decoded.dtype != np.uint8):
        raise ValueError(f"a frame of {decoded.dtype}")
    is_converted = pixels.syntax in JPEG
    return _to_rgb(decoded) if pixels.colors == "ycbcr" and not is_converted else decoded


def _decode(data: bytes, pixels: DicomPixels) -> npt.NDArray[Any]:
    dtype = np.dtype("<u2") if pixels.bits_allocated == 16 else np.dtype(np.uint8)
    rows, cols = pixels.tile
    if pixels.syntax in RAW:
        count = rows * cols * pixels.samples
        return np.frombuffer(data, dtype, count).reshape(rows, cols, pixels.samples)
    if pixels.syntax in JPEG:
        return _jpeg(data, pixels.colors.upper() if pixels.samples == 3 else None)
    if pixels.syntax in LOSSLESS_JPEG:
        return np.asarray(imagecodecs.jpegsof3_decode(data))
    if pixels.syntax in JPEG_LS:
        return np.asarray(imagecodecs.jpegls_decode(data))
    if pixels.syntax in (*JPEG_2000, *HTJ2K):
        return np.asarray(imagecodecs.jpeg2k_decode(data))
    decoded = np.frombuffer(imagecodecs.dicomrle_decode(data, dtype), dtype)
    planes = decoded[: rows * cols * pixels.samples].reshape(pixels.samples, rows, cols)
    return np.moveaxis(planes, 0, -1)  # one plane after the other


def _jpeg(data: bytes, colors: str | None) -> npt.NDArray[Any]:
    if b"\xff\xd9" not in data[-64:]:
        raise ValueError("a JPEG stream without its end")  # libjpeg would fill the rest with grey

    def decode(stream: bytes) -> npt.NDArray[Any]:
        return np.asarray(imagecodecs.jpeg8_decode(stream, colorspace=colors, outcolorspace=colors and "RGB"))

    decoded = decode(data)
    if is_short(data, read_jpeg_header(data).scan, decoded, decode):
        raise ValueError("a JPEG stream that ends before its last pixels")
    return decoded


def _to_rgb(ycbcr: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Convert full-range YCbCr (ITU-R BT.601, as JPEG and DICOM's YBR_FULL have it)."""
    y, blue, red = (ycbcr[..., i].astype(np.float32) for i in range(3))
    blue -= 128
    red -= 128
    rgb = np.stack((y + 1.402 * red, y - 0.344136 * blue - 0.714136 * red, y + 1.772 * blue), axis=-1)
    return np.clip(np.rint(rgb), 0, 255).astype(np.uint8)


def to_8_bit(grey: npt.NDArray[Any], bits_stored: int) -> npt.NDArray[np.uint8]:
    """Bring values of so many significant bits to 0 to 255: the whole range of the bits."""
    if bits_stored == 8:
        return grey.astype(np.uint8)
    top = 2**bits_stored - 1
    if bits_stored > 8:
        return (np.minimum(grey, top) >> (bits_stored - 8)).astype(np.uint8)
    return (np.minimum(grey, top).astype(np.uint16) * 255 // top).astype(np.uint8)
