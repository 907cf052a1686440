"""The texts of a file's pages: as Aperio writes them, as OME-XML, or the slide's own under a line of ours."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from napari_nic import __version__
from napari_nic.recompression.lossy.codecs import CodecSettings, PixelCodec, kind_of
from napari_nic.recompression.lossy.picture import SlideFacts
from napari_nic.slides import Level

SOFTWARE = f"napari-nic {__version__}"
_APERIO = "Aperio Image Library"
_APERIO_CODECS = {"jpeg": "JPEG", "jpeg2000": "J2K", "jpegxl": "JXL", "avif": "AVIF", "webp": "WebP"}
_APERIO_CODECS["neural"] = "NEURAL"
_OME = "http://www.openmicroscopy.org/Schemas/OME/2016-06"


_OF_PAGES = ("DPUfsImport", "<scn", "leica-microsystems.com/scn", "<PerkinElmer-QPI-ImageDescription")
"""Begin texts that say what the pages of a maker's file are, which the pages of ours are not."""


def plain_description(facts: SlideFacts) -> str:
    """Return the slide's own text below a line of ours, so that no reader takes the file for another's."""
    is_of_pages = any(mark in facts.description for mark in _OF_PAGES)
    return "\n".join(filter(None, [SOFTWARE, "" if is_of_pages else facts.description]))


def aperio_description(
    facts: SlideFacts, levels: Sequence[Level], number: int, codec: PixelCodec, settings: CodecSettings
) -> str:
    """Return the text of a level as Aperio writes it, with the fields that the slide had.

    Parameters
    ----------
    facts : SlideFacts
    levels : sequence of Level
    number : int
        Of the level.
    codec, settings
        Named in the text.
    """
    full, level = levels[0], levels[number]
    size = f"{full.width}x{full.height} [0,0 {full.width}x{full.height}] ({level.tile[1]}x{level.tile[0]})"
    smaller = f" -> {level.width}x{level.height}" if number else ""
    how = f"{_APERIO_CODECS[kind_of(codec.name)]}/RGB Q={settings.quality:g}"
    fields = dict(_aperio_fields(facts))
    if facts.objective_power is not None:
        fields.setdefault("AppMag", f"{facts.objective_power:g}")
    if facts.pixel_size is not None:
        fields["MPP"] = f"{(facts.pixel_size.y + facts.pixel_size.x) / 2:.6g}"
    listed = "".join(f"|{key} = {value}" for key, value in fields.items())
    return f"{_APERIO} ({SOFTWARE})\r\n{size}{smaller} {how}{listed}"


def _aperio_fields(facts: SlideFacts) -> list[tuple[str, str]]:
    """Return the fields of the slide's own description, if it is Aperio's."""
    if not facts.description.startswith("Aperio"):
        return []
    items = (item.partition("=") for item in facts.description.split("|")[1:])
    return [(key.strip(), value.strip()) for key, sign, value in items if sign]


def aperio_associated(name: str, shape: Sequence[int], full: Level) -> str:
    """Return the text of a label, macro or thumbnail."""
    rows, cols = shape[:2]
    if name == "thumbnail":
        return f"{_APERIO} ({SOFTWARE})\r\n{full.width}x{full.height} -> {cols}x{rows} - |"
    return f"{_APERIO} ({SOFTWARE})\r\n{name} {cols}x{rows}"


def ome_xml(facts: SlideFacts, full: Level) -> str:
    """Return the OME-XML of a slide in page 0 (its levels below it) and its other pictures in those after.

    Parameters
    ----------
    facts : SlideFacts
    full : Level
        The finest one.
    """
    sizes = ""  # micrometres unless they say otherwise
    if facts.pixel_size is not None:
        sizes = f' PhysicalSizeX="{facts.pixel_size.x:.9g}" PhysicalSizeY="{facts.pixel_size.y:.9g}"'
    instrument = settings = ""
    if facts.objective_power is not None:
        instrument = (
            '<Instrument ID="Instrument:0"><Objective ID="Objective:0" '
            f'NominalMagnification="{facts.objective_power:g}"/></Instrument>'
        )
        settings = '<InstrumentRef ID="Instrument:0"/><ObjectiveSettings ID="Objective:0"/>'
    described = (
        f"<Description>{escape(_xml_text(facts.description))}</Description>" if facts.description else ""
    )
    images = _image(0, facts.name or "slide", (full.height, full.width), described + settings, sizes)
    for number, (name, pixels) in enumerate(facts.associated.items(), 1):
        images += _image(number, name, pixels.shape[:2], "", "")
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><OME xmlns="{_OME}" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        f'xsi:schemaLocation="{_OME} {_OME}/ome.xsd" Creator={quoteattr(SOFTWARE)}>{instrument}{images}</OME>'
    )


def _image(number: int, name: str, shape: Sequence[int], inner: str, sizes: str) -> str:
    return (
        f'<Image ID="Image:{number}" Name={quoteattr(_xml_text(name))}>{inner}'
        f'<Pixels ID="Pixels:{number}" DimensionOrder="XYCZT" Type="uint8" SizeX="{shape[1]}" '
        f'SizeY="{shape[0]}" SizeC="3" SizeZ="1" SizeT="1" BigEndian="false" Interleaved="true" '
        f'SignificantBits="8"{sizes}><Channel ID="Channel:{number}:0" SamplesPerPixel="3"/>'
        f'<TiffData IFD="{number}" PlaneCount="1"/></Pixels></Image>'
    )


def _xml_text(text: str) -> str:
    """Leave out characters that XML does not allow."""
    return "".join(letter for letter in text if letter in "\t\n\r" or letter >= " ")
