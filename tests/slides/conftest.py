"""One slide made by code for every registered reader."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image


def write_ome_zarr(
    path: Path, image: np.ndarray, *, version: str = "0.5", chunk: int = 200, unit: str | None = "micrometer"
) -> Path:
    """Write an OME-Zarr of two levels at 0.5 um/px with axes c, y, x."""
    zarr_format = 3 if version == "0.5" else 2
    group = zarr.open_group(path, mode="w", zarr_format=zarr_format)
    datasets = []
    for index, factor in enumerate((1, 2)):
        height, width = (side // factor * factor for side in image.shape[:2])
        blocks = image[:height, :width].reshape(height // factor, factor, width // factor, factor, 3)
        level = np.rint(blocks.mean((1, 3))).astype(np.uint8)
        group.create_array(str(index), data=np.moveaxis(level, -1, 0), chunks=(3, chunk, chunk))
        scale = [1, 0.5 * factor, 0.5 * factor]
        datasets.append(
            {"path": str(index), "coordinateTransformations": [{"type": "scale", "scale": scale}]}
        )
    space = {"type": "space"} | ({} if unit is None else {"unit": unit})
    axes = [{"name": "c", "type": "channel"}, {"name": "y"} | space, {"name": "x"} | space]
    multiscales = [{"name": "made", "axes": axes, "datasets": datasets}]
    if version == "0.5":
        group.attrs["ome"] = {"version": "0.5", "multiscales": multiscales}
    else:
        group.attrs["multiscales"] = [multiscales[0] | {"version": version}]
    return path


@pytest.fixture(scope="session")
def make_ome_zarr() -> Callable[..., Path]:
    """``make_ome_zarr(path, image, version="0.5", chunk=200, unit="micrometer")`` -> path."""
    return write_ome_zarr


@pytest.fixture(scope="session")
def small_image(make_tissue: Callable[..., np.ndarray]) -> np.ndarray:
    """A picture of odd size, (701, 903, 3)."""
    return make_tissue(701, 903, seed=3)


@pytest.fixture(scope="session")
def reader_files(
    tmp_path_factory: pytest.TempPathFactory,
    small_image: np.ndarray,
    make_tiff: Callable[..., Path],
) -> dict[str, Path]:
    """A lossless slide of `small_image` for each reader, by the reader's name."""
    folder = tmp_path_factory.mktemp("readers")
    tiff = make_tiff(folder / "tiled.tif", small_image, tile=208, compression="zlib")
    Image.fromarray(small_image).save(folder / "plain.png", dpi=(50_800, 50_800))
    return {
        "tiff": tiff,
        "openslide": tiff,
        "tiffslide": tiff,
        "omezarr": write_ome_zarr(folder / "folder.ome.zarr", small_image),
        "plain": folder / "plain.png",
    }


def halve(image: np.ndarray, factor: int) -> np.ndarray:
    """Average blocks of `factor` x `factor` pixels; the rest at the edge is dropped."""
    height, width = (side // factor for side in image.shape[:2])
    blocks = image[: height * factor, : width * factor].reshape(height, factor, width, factor, 3)
    return np.rint(blocks.mean((1, 3))).astype(np.uint8)


def restart_jpeg(image: np.ndarray, tile_width: int) -> tuple[bytes, list[int]]:
    """One JPEG with a restart marker every `tile_width` pixels, and where each interval starts."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(
        buffer, "JPEG", quality=95, subsampling=0, restart_marker_blocks=tile_width // 8
    )
    data = buffer.getvalue()
    scan = data.index(b"\xff\xda")
    first = scan + 2 + struct.unpack(">H", data[scan + 2 : scan + 4])[0]
    marks = [i + 2 for i in range(first, len(data) - 1) if data[i] == 0xFF and 0xD0 <= data[i + 1] <= 0xD7]
    return data, [first, *marks]


def write_ndpi(path: Path, image: np.ndarray, mpp: float = 0.5, tile_width: int = 128) -> Path:
    """Write a small Hamamatsu NDPI by hand: classic TIFF with 64-bit links, one JPEG a level, a macro."""
    out = bytearray(b"II*\0" + struct.pack("<Q", 0))
    link = 4

    def put(data: bytes) -> int:
        out.extend(data)
        return len(out) - len(data)

    pictures = [(image, 20.0, mpp), (halve(image, 2), 10.0, 2 * mpp), (image[:64, :128], -1.0, 20 * mpp)]
    for picture, lens, size in pictures:
        data, starts = restart_jpeg(picture, tile_width)
        height, width = picture.shape[:2]
        offset, per_cm = put(data), put(struct.pack("<II", round(1e7 / size), 1000))
        lens_bits = struct.unpack("<I", struct.pack("<f", lens))[0]
        tags = [
            (256, 4, 1, width),
            (257, 4, 1, height),
            (258, 3, 3, put(struct.pack("<3H", 8, 8, 8))),
            (259, 3, 1, 7),
            (262, 3, 1, 6),
            (271, 2, 10, put(b"Hamamatsu\0")),
            (272, 2, 11, put(b"NanoZoomer\0")),
            (273, 4, 1, offset),
            (277, 3, 1, 3),
            (278, 4, 1, height),
            (279, 4, 1, len(data)),
            (282, 5, 1, per_cm),
            (283, 5, 1, per_cm),
            (296, 3, 1, 3),
            (65420, 4, 1, 1),
            (65421, 11, 1, lens_bits),
            (65422, 9, 1, 0),
            (65423, 9, 1, 0),
            (65424, 9, 1, 0),
            (65426, 4, len(starts), put(struct.pack(f"<{len(starts)}I", *starts))),
        ]
        struct.pack_into("<Q", out, link, len(out))
        out += struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags)
        link = len(out)
        out += struct.pack("<Q", 0) + bytes(4 * len(tags))
    path.write_bytes(out)
    return path


def write_philips(path: Path, image: np.ndarray, mpp: float = 0.25, tile: int = 256) -> Path:
    """Write a Philips TIFF of levels 1, 2 and 4, each padded to whole tiles as theirs are."""
    factors = (1, 2, 4)
    spacing = [f'PMSVR="IDoubleArray">"{mpp * f / 1000:.8f}" "{mpp * f / 1000:.8f}"' for f in factors]
    levels = "".join(
        f'<DataObject ObjectType="PixelDataRepresentation"><Attribute Name="DICOM_PIXEL_SPACING" {text}'
        "</Attribute></DataObject>"
        for text in spacing
    )
    xml = (
        '<?xml version="1.0" encoding="UTF-8" ?><DataObject ObjectType="DPUfsImport">'
        '<Attribute Name="DICOM_MANUFACTURER">PHILIPS</Attribute>'
        '<Attribute Name="PIM_DP_SCANNED_IMAGES"><Array><DataObject ObjectType="DPScannedImage">'
        '<Attribute Name="PIM_DP_IMAGE_TYPE">WSI</Attribute>'
        '<Attribute Name="PIIM_PIXEL_DATA_REPRESENTATION_SEQUENCE"><Array>'
        f"{levels}</Array></Attribute></DataObject></Array></Attribute></DataObject>"
    )
    with tifffile.TiffWriter(path, bigtiff=True) as tif:
        for factor in factors:
            level = halve(image, factor)
            bottom, right = (-side % tile for side in level.shape[:2])
            tif.write(
                np.pad(level, ((0, bottom), (0, right), (0, 0)), constant_values=255),
                tile=(tile, tile),
                compression="jpeg",
                photometric="rgb",
                subfiletype=int(factor > 1),
                software="Philips DP v1.0" if factor == 1 else None,
                description=xml if factor == 1 else f"level={factor}",
                metadata=None,
            )
    return path


def write_scn(path: Path, image: np.ndarray) -> Path:
    """Write a Leica SCN: a macro image of the glass, and one area at 0.5 um/px, 200, 300 um off."""
    height, width = image.shape[:2]
    scan = (
        "<scanSettings><objectiveSettings><objective>20</objective></objectiveSettings><illuminationSettings>"
        "<numericalAperture>0.4</numericalAperture><illuminationSource>brightfield</illuminationSource>"
        "</illuminationSettings></scanSettings>"
    )
    device = '<creationDate>2020-01-01T00:00:00Z</creationDate><device model="Leica SCN400" version="1"/>'
    macro, area = 'sizeX="1000000" sizeY="1500000"', f'sizeX="{width * 500}" sizeY="{height * 500}"'
    xml = (
        '<?xml version="1.0" encoding="utf-8"?>'
        '<scn xmlns="http://www.leica-microsystems.com/scn/2010/10/01" uuid="a">'
        f'<collection name="c" uuid="b" {macro}><barcode>x</barcode>'
        f'<image name="macro" uuid="m">{device}<pixels sizeX="100" sizeY="150">'
        f'<dimension sizeX="100" sizeY="150" r="0" ifd="0"/></pixels>'
        f'<view {macro} offsetX="0" offsetY="0" spacingZ="0"/>{scan}</image>'
        f'<image name="area" uuid="i">{device}<pixels sizeX="{width}" sizeY="{height}">'
        f'<dimension sizeX="{width}" sizeY="{height}" r="0" ifd="1"/>'
        f'<dimension sizeX="{width // 4}" sizeY="{height // 4}" r="1" ifd="2"/></pixels>'
        f'<view {area} offsetX="200000" offsetY="300000" spacingZ="0"/>{scan}</image></collection></scn>'
    )
    common = {"compression": "jpeg", "photometric": "rgb", "metadata": None, "resolutionunit": "CENTIMETER"}
    glass = np.full((150, 100, 3), 240, np.uint8)
    with tifffile.TiffWriter(path, bigtiff=True) as tif:
        tif.write(glass, tile=(128, 128), description=xml, resolution=(1e3, 1e3), **common)
        for factor in (1, 4):
            resolution = (2e4 / factor,) * 2
            tif.write(halve(image, factor), tile=(256, 256), resolution=resolution, **common)
    return path


@pytest.fixture(scope="session")
def dialects() -> dict[str, Callable[..., Path]]:
    """Writers of vendors' dialects of TIFF, ``(path, image) -> path``, by the vendor's name."""
    return {"hamamatsu": write_ndpi, "philips": write_philips, "leica": write_scn}
