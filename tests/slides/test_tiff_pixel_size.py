"""Every place where a TIFF states the size of its pixels; what is stated nowhere is not guessed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_nic.geometry import RegionPx
from napari_nic.slides import open_slide

IMAGE = np.full((80, 96, 3), 200, np.uint8)


def write(path: Path, image: np.ndarray = IMAGE, **options: Any) -> Path:
    defaults: dict[str, Any] = {"photometric": "rgb", "tile": (32, 32)}
    if options.get("imagej"):
        defaults = {}
    else:
        options.setdefault("metadata", None)
    tifffile.imwrite(path, image, **(defaults | options))
    return path


def size_of(path: Path) -> tuple[float, float, str]:
    """(y, x) in um, and the source; nothing known is (0, 0, the reason)."""
    with open_slide(path) as slide:
        size = slide.pixel_size
        return (0, 0, slide.pixel_size_note) if size is None else (size.y, size.x, size.source)


def test_unit_of_imagej_in_every_spelling(tmp_path):
    units = {
        "um": 1,
        "micron": 1,
        "\\u00B5m": 1,
        "microns": 1,
        "micrometer": 1,
        "nm": 1e-3,
        "mm": 1e3,
        "cm": 1e4,
    }
    units |= {"inch": 25_400, "m": 1e6, "\\u03bcm": 1}
    for number, (unit, um) in enumerate(units.items()):
        options = {"resolution": (2.0 * um, 4.0 * um), "metadata": {"unit": unit, "axes": "YXS"}}
        y, x, source = size_of(write(tmp_path / f"{number}.tif", imagej=True, **options))
        assert (y, x) == pytest.approx((0.25, 0.5), rel=1e-3), unit
        assert source.startswith("ImageJ unit=")


@pytest.mark.parametrize("unit", ["pixel", "", "au", "sec"])
def test_what_is_no_length_is_not_taken_for_one(tmp_path, unit):
    options = {"resolution": (2.0, 2.0), "metadata": {"unit": unit, "axes": "YXS"}}
    assert size_of(write(tmp_path / "a.tif", imagej=True, **options))[:2] == (0, 0)


@pytest.mark.parametrize(
    ("unit", "per_unit", "expected"),
    [("CENTIMETER", 20_000, 0.5), ("INCH", 50_800, 0.5), ("NONE", 20_000, 0), ("MILLIMETER", 2_000, 0.5)],
)
def test_resolution_tags(tmp_path, unit, per_unit, expected):
    path = write(tmp_path / "a.tif", resolution=(per_unit, 2 * per_unit), resolutionunit=unit)
    assert size_of(path)[:2] == pytest.approx((expected / 2, expected))


def test_a_screens_resolution_is_told_with_its_number(tmp_path):
    y, x, note = size_of(write(tmp_path / "a.tif", resolution=(72, 72), resolutionunit="INCH"))
    assert (y, x) == (0, 0)
    assert "352.778" in note


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("MPP = 0.2520", (0.252, 0.252)),
        ("MPP=0.2520", (0.252, 0.252)),
        ("MPP = 0,2520", (0.252, 0.252)),
        ("Mpp = 0.2520 ", (0.252, 0.252)),
        ("MPP = 0.2520\r\n", (0.252, 0.252)),
        ("MPPX = 0.25|MPPY = 0.5", (0.5, 0.25)),
        ("AppMag = 20", (0, 0)),
        ("MPP = ", (0, 0)),
        ("MPP = unknown", (0, 0)),
    ],
)
def test_aperio(tmp_path, text, expected):
    description = f"Aperio Image Library v11.2.1\n96x80 [0,0 96x80] (32x32) JPEG/RGB Q=70|AppMag = 20|{text}"
    assert size_of(write(tmp_path / "a.svs", description=description))[:2] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("pixels", "expected", "is_told"),
    [
        ({"PhysicalSizeX": 0.25, "PhysicalSizeY": 0.5}, (0.5, 0.25), False),
        ({"PhysicalSizeX": 250, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.25}, (0.25, 0.25), False),
        ({"PhysicalSizeX": 2.5e-4, "PhysicalSizeXUnit": "mm", "PhysicalSizeY": 0.25}, (0.25, 0.25), False),
        ({"PhysicalSizeX": 2.5e-5, "PhysicalSizeXUnit": "cm", "PhysicalSizeY": 0.25}, (0.25, 0.25), False),
        ({"PhysicalSizeX": 1e-5, "PhysicalSizeXUnit": "in", "PhysicalSizeY": 0.25}, (0.25, 0.254), False),
        ({"PhysicalSizeX": 0.25}, (0.25, 0.25), True),
        ({"PhysicalSizeY": 0.25}, (0.25, 0.25), True),
        ({"PhysicalSizeX": 1, "PhysicalSizeXUnit": "pixel"}, (0, 0), False),
        ({"PhysicalSizeX": 1, "PhysicalSizeXUnit": "reference frame"}, (0, 0), False),
    ],
)
def test_ome(tmp_path, pixels, expected, is_told):
    path = write(tmp_path / "a.ome.tif", metadata={"axes": "YXS"} | pixels)
    assert size_of(path)[:2] == pytest.approx(expected)
    with open_slide(path) as slide:
        assert any("taken for square" in notice for notice in slide.notices) == is_told


def test_an_absurd_size_of_ome_is_told_with_its_number(tmp_path):
    path = write(
        tmp_path / "a.ome.tif", metadata={"axes": "YXS", "PhysicalSizeX": 250.0, "PhysicalSizeY": 250.0}
    )
    assert "250 x 250 um/px" in size_of(path)[2]


def philips(
    path: Path, spacings: list[tuple[float, float]], *, quote: str = "&quot;", tile: int = 256
) -> Path:
    """Levels of a gradient of 2600 x 2100 px, each padded to whole tiles on its own."""
    y, x = np.mgrid[:2100, :2600]
    image = np.stack([x * 255 // 2600, y * 255 // 2100, np.full_like(x, 200)], -1).astype(np.uint8)

    def spacing(sides: tuple[float, float]) -> str:
        values = f"{quote}{sides[0] / 1000:.9f}{quote} {quote}{sides[1] / 1000:.9f}{quote}"
        return (
            f'<Attribute Name="DICOM_PIXEL_SPACING" Group="0x0028" PMSVR="IDoubleArray">{values}</Attribute>'
        )

    levels = "".join(
        f'<DataObject ObjectType="PixelDataRepresentation">{spacing(sides)}</DataObject>'
        for sides in spacings
    )
    xml = (
        '<?xml version="1.0" encoding="UTF-8" ?>\n<DataObject ObjectType="DPUfsImport">'
        '<Attribute Name="DICOM_MANUFACTURER">PHILIPS</Attribute>'
        '<Attribute Name="PIM_DP_SCANNED_IMAGES"><Array>'
        '<DataObject ObjectType="DPScannedImage"><Attribute Name="PIM_DP_IMAGE_TYPE">WSI</Attribute>'
        f"{spacing(spacings[0])}"
        f'<Attribute Name="PIIM_PIXEL_DATA_REPRESENTATION_SEQUENCE"><Array>{levels}</Array></Attribute>'
        "</DataObject></Array></Attribute></DataObject>"
    )
    with tifffile.TiffWriter(path) as tif:
        for index in range(len(spacings)):
            level = image[:: 2**index, :: 2**index]
            padding = (0, -level.shape[0] % tile), (0, -level.shape[1] % tile), (0, 0)
            tif.write(
                np.pad(level, padding, constant_values=255),
                photometric="rgb",
                tile=(tile, tile),
                compression="jpeg",
                compressionargs={"level": 95},
                description=None if index else xml,
                software=None if index else "Philips DP v1.0",
                subfiletype=int(index > 0),
                metadata=None,
            )
    return path


@pytest.mark.parametrize("quote", ["&quot;", '"'])
def test_philips_with_escaped_quotes(tmp_path, quote):
    path = philips(tmp_path / "a.tiff", [(0.25, 0.25), (0.5, 0.5)], quote=quote)
    assert size_of(path) == (0.25, 0.25, "philips DICOM_PIXEL_SPACING")


def test_padding_of_philips_is_no_part_of_the_picture(tmp_path):
    path = philips(tmp_path / "a.tiff", [(0.25 * 2**index, 0.25 * 2**index) for index in range(4)])
    with open_slide(path) as slide, open_slide(path, reader="openslide") as oracle:
        assert [level.downsample_y for level in slide.levels] == [1, 2, 4, 8]
        assert [level.downsample_x for level in slide.levels] == [1, 2, 4, 8]
        assert [level.shape for level in slide.levels] == [level.shape for level in oracle.levels]
        for index, level in enumerate(slide.levels):
            factor = int(level.downsample_y)
            pixel = slide.read_region(index, RegionPx(1600 // factor, 1200 // factor, 4, 4)).mean((0, 1))
            assert pixel[:2] == pytest.approx((1200 * 255 / 2600, 1600 * 255 / 2100), abs=3)
            np.testing.assert_array_equal(
                slide.read_region(index, level.region), oracle.read_region(index, level.region)
            )


@pytest.mark.parametrize("is_stated", [True, False], ids=["three of four spacings", "no spacing"])
def test_padding_is_recognised_where_the_spacings_do_not_help(tmp_path, is_stated):
    spacings = [(0.25 * 2**index, 0.25 * 2**index) for index in range(4)]
    path = philips(tmp_path / "a.tiff", spacings)
    data = path.read_bytes()
    old, new = (
        (b"PixelDataRepresentation", b"PixelDataXepresentation") if is_stated else (b"PHILIPS", b"NOBODYS")
    )
    at = data.rindex(old) if is_stated else data.index(old)
    changed = data[:at] + new + data[at + len(old) :]
    if not is_stated:
        changed = changed.replace(b"Philips DP v1.0", b"Another program").replace(
            b"DPUfsImport", b"AnythingYou"
        )
    path.write_bytes(changed)
    with open_slide(path) as slide:
        for index, level in enumerate(slide.levels):
            y, x = int(1600 // level.downsample_y), int(1200 // level.downsample_x)
            pixel = slide.read_region(index, RegionPx(y, x, 2, 2)).mean((0, 1))
            assert pixel[:2] == pytest.approx((1200 * 255 / 2600, 1600 * 255 / 2100), abs=6)


@pytest.mark.parametrize("size", [(192, 160), (80, 96), (96, 79)])
def test_an_ome_size_of_another_picture_is_told_and_not_used(tmp_path, size):
    """A program that cut, turned or shrank the picture left the metadata as they were."""
    xml = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" '
        f'SizeX="{size[0]}" SizeY="{size[1]}" SizeC="3" SizeZ="1" SizeT="1" '
        'PhysicalSizeX="0.5" PhysicalSizeY="0.5"><Channel ID="Channel:0:0" SamplesPerPixel="3"/>'
        '<TiffData IFD="0" PlaneCount="1"/></Pixels></Image></OME>'
    )
    path = write(tmp_path / "a.ome.tif", description=xml)
    said = f"OME speaks of {size[0]} x {size[1]} px, and the file holds 96 x 80 px"
    with open_slide(path) as slide:
        assert slide.pixel_size is None
        assert slide.pixel_size_note == f"OME PhysicalSizeX says 0.5 x 0.5 um/px, but {said}"
        assert slide.notices == (f"the metadata contradict the pixels: {said}",)
        assert slide.unbelieved_mpp == 0.5
    with open_slide(path, mpp=0.5) as slide:
        assert slide.require_pixel_size().mean == 0.5


@pytest.mark.parametrize(
    ("area", "is_believed"),
    [
        ("[0,0 96x80]", True),
        ("[10,20,96x80]", True),
        ("[0,0 4000x900]", True),  # a part was cut out of it
        ("[0,0 97x81]", True),
        ("[0,0 384x320]", False),
        ("[0,100,192x160]", False),
    ],
)
def test_an_aperio_that_was_made_smaller(tmp_path, area, is_believed):
    """Programs that shrink a slide keep its description, and with it the size of its former pixels."""
    description = (
        f"Aperio Image Library v11.2.1\r\n5000x1000 {area} (32x32) JPEG/RGB Q=70|AppMag = 40|MPP = 0.25"
    )
    y, _, note = size_of(write(tmp_path / "a.svs", description=description))
    assert (y == 0.25) is is_believed
    if not is_believed:
        assert "aperio.MPP says 0.25 x 0.25 um/px, but of a picture of" in note
        assert "the file holds 96 x 80 px" in note
