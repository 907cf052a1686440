"""OME-XML that counts what is not there, or names files that are not meant."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_nic.errors import DamagedSlideError, NicError
from napari_nic.slides import open_slide

IMAGE = np.full((64, 64, 3), 100, np.uint8)
SPACE = "http://www.openmicroscopy.org/Schemas/OME/2016-06"


def write(path: Path, pixels: str = "", inside: str = "", image: np.ndarray = IMAGE, head: str = "") -> Path:
    sizes = {"SizeC": "3", "SizeZ": "1", "SizeT": "1"}
    stated = " ".join(f'{key}="{value}"' for key, value in sizes.items() if key not in pixels)
    xml = (
        f'<?xml version="1.0"?><OME xmlns="{SPACE}" UUID="urn:uuid:1">{head}<Image ID="Image:0">'
        f'<Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" SizeX="64" SizeY="64" {stated} {pixels}>'
        f'<Channel ID="Channel:0:0" SamplesPerPixel="3"/>{inside}</Pixels></Image></OME>'
    )
    tifffile.imwrite(path, image, photometric="rgb", description=xml, tile=(32, 32), metadata=None)
    return path


@pytest.mark.parametrize(
    ("pixels", "inside"),
    [
        ('SizeT="1000000000"', ""),
        ('SizeZ="1000000000"', ""),
        ('SizeZ="100000" SizeT="100000"', ""),
        ("", '<TiffData IFD="0" PlaneCount="1000000000"/>'),
        ("", '<TiffData IFD="999999999" PlaneCount="1"/>'),
        ("", '<TiffData IFD="0" FirstZ="999999999" PlaneCount="1"/>'),
    ],
)
def test_counts_without_end_are_refused(tmp_path, pixels, inside):
    with pytest.raises(DamagedSlideError, match="OME metadata speak of"):
        open_slide(write(tmp_path / "a.ome.tif", pixels, inside))


def test_files_that_the_metadata_name_are_not_opened(tmp_path):
    """A pipe would hold the program for ever, and pages of another file lie at other offsets."""
    os.mkfifo(tmp_path / "pipe.ome.tif")
    tifffile.imwrite(tmp_path / "other.tif", IMAGE + 100, photometric="rgb")
    for name in ("pipe.ome.tif", "other.tif", "../../other.tif", "/dev/zero"):
        uuid = f'<UUID FileName="{name}">urn:uuid:2</UUID>'
        inside = f'<TiffData IFD="0" FirstT="0" PlaneCount="1">{uuid}</TiffData>'
        path = write(tmp_path / "a.ome.tif", 'SizeT="2"', inside)
        with open_slide(path) as slide:
            assert (slide.read_tile(0, 0, 0) == 100).all()
            assert [notice for notice in slide.notices if f"other files ({name})" in notice]


def test_a_renamed_file_is_its_own(tmp_path):
    inside = '<TiffData IFD="0" PlaneCount="1"><UUID FileName="before.ome.tif">urn:uuid:1</UUID></TiffData>'
    with open_slide(write(tmp_path / "after.ome.tif", "", inside)) as slide:
        assert not slide.notices


def test_sizes_of_the_image_that_is_shown(tmp_path):
    """An image without pages stands before it."""
    head = (
        '<Image ID="Image:9"><Pixels ID="Pixels:9" DimensionOrder="XYCZT" Type="uint8" SizeX="10" SizeY="10" '
        'SizeC="1" SizeZ="1" SizeT="1" PhysicalSizeX="9" PhysicalSizeY="9"></Pixels></Image>'
    )
    path = write(tmp_path / "a.ome.tif", 'PhysicalSizeX="0.25" PhysicalSizeY="0.25"', "", head=head)
    with open_slide(path) as slide:
        assert slide.require_pixel_size().x == 0.25


@pytest.mark.parametrize(
    ("software", "text"),
    [
        ("a", f'<?xml version="1.0"?><OME xmlns="{SPACE}"><Image><Pixels Size'),
        ("a", '<scn xmlns="http://www.leica-microsystems.com/scn/2010/10/01"><collection></scx>'),
        ("a", '<sca xmlns="http://www.leica-microsystems.com/scn/2010/10/01"></sca>'),
        ("Philips DP v1.0", '<DataObject ObjectType="DPUfsImport"></DataObjecx>'),
        ("Another", '<DataObject ObjectType="DPUfsImport"></DataObject>'),
        ("Another", "<PerkinElmer-QPI-ImageDescription></PerkinElmer-QPI-ImageDescription>"),
    ],
)
def test_a_dialect_whose_description_is_torn_opens_as_nothing_else(tmp_path, software, text):
    path = tmp_path / "a.tif"
    options = {"photometric": "rgb", "tile": (32, 32), "metadata": None}
    tifffile.imwrite(path, IMAGE, description=text, software=software, **options)
    with pytest.raises(DamagedSlideError, match="metadata of the file are damaged"):
        open_slide(path)


@pytest.mark.parametrize(
    "text",
    [
        f'<OME xmlns="{SPACE}"></OME>',
        f'<?xml version="1.0"?><OME xmlns="{SPACE}"><Image></Image></OME>',
        f'<?xml version="1.0"?><OME xmlns="{SPACE}"><Image><Pixels/></Image></OME>',
        f'<?xml version="1.0"?><OME xmlns="{SPACE}"><Image><Pixels SizeX="a" SizeY="-1"/></Image></OME>',
        f'<?xml version="1.0"?><OME xmlns="{SPACE}">' + "<a>" * 3000 + "</OME>",
        "<!DOCTYPE a [" + "".join(f'<!ENTITY e{i + 1} "{f"&e{i};" * 10}">' for i in range(12)) + "]>"
        f'<OME xmlns="{SPACE}">&e12;</OME>',
        '{"shape": [1000000000, 64, 64, 3]}',
        "ImageJ=1.53\nimages=1000000000\nslices=1000000000\n",
        "SI.VERSION_MAJOR = 5\nSI.hChannels.channelSave = [1;2;3]\n",
        "<PerkinElmer-QPI-ImageDescription><Name>" + "<a>" * 3000,
    ],
)
def test_descriptions_that_are_nonsense(tmp_path, text):
    """The picture as it is, or one sentence."""
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, IMAGE, photometric="rgb", description=text, tile=(32, 32), metadata=None)
    try:
        with open_slide(path) as slide:
            assert slide.levels[0].shape == (64, 64)
            assert (slide.read_tile(0, 0, 0) == 100).all()
    except NicError as error:
        assert "a.tif" in str(error)  # noqa: PT017 - either is right
