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


def write_dicom(
    path: Path,
    image: np.ndarray,
    *,
    factors: tuple[int, ...] = (1, 2),
    tile: int = 208,
    encode: Callable[[np.ndarray], bytes] | None = None,
    syntax: str = "1.2.840.10008.1.2.1",
    header: dict[str, object] | None = None,
    optical_paths: tuple[tuple[str, str], ...] = (("1", "brightfield"),),
    planes: int = 1,
    sparse: bool = False,
    parts: int = 1,
) -> Path:
    """Write a DICOM slide, a folder with a file for each level, at 0.5 um/px.

    Parameters
    ----------
    image : ndarray
        (rows, cols[, 3]) of one plane, or (planes * paths, rows, cols[, 3]) in the order of DICOM's frames.
    encode : callable, optional
        One frame -> its bytes in `syntax`.
    header : dict, optional
        Attributes that replace ours; None removes one.
    sparse : bool
        Write positions for frames, last frame first, and leave the first tile out.
    parts : int
        Files that each level is split into.
    """
    from pydicom.uid import generate_uid

    path.mkdir(parents=True)
    stack = image if planes * len(optical_paths) > 1 else image[None]
    study, series = generate_uid(), generate_uid()
    for number, factor in enumerate(factors):
        level = np.stack([_reduce(plane, factor) for plane in stack])
        frames, places = _frames(level, tile, len(optical_paths))
        if sparse:
            frames, places = frames[:0:-1], places[:0:-1]
        concatenation, source = generate_uid(), generate_uid()
        share = -(-len(frames) // parts)
        for part in range(parts):
            chosen = slice(part * share, (part + 1) * share)
            dataset = _dicom_header(level, tile, len(frames[chosen]), 0.0005 * factor, optical_paths, planes)
            dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series
            dataset.ImageType = ["ORIGINAL" if factor == 1 else "DERIVED", "PRIMARY", "VOLUME"]
            dataset.ImageType.append("NONE" if factor == 1 else "RESAMPLED")
            if parts > 1:
                dataset.ConcatenationUID, dataset.InConcatenationNumber = concatenation, part + 1
                dataset.SOPInstanceUIDOfConcatenationSource = source
                dataset.InConcatenationTotalNumber = parts
                dataset.ConcatenationFrameOffsetNumber = part * share
            if sparse:
                dataset.DimensionOrganizationType = "TILED_SPARSE"
                dataset.PerFrameFunctionalGroupsSequence = [_position(place) for place in places[chosen]]
            for name, value in (header or {}).items():
                if value is None:
                    delattr(dataset, name)
                else:
                    setattr(dataset, name, value)
            _save_dicom(dataset, frames[chosen], encode, syntax, path / f"level-{number}-{part}.dcm")
    return path


def _reduce(plane: np.ndarray, factor: int) -> np.ndarray:
    height, width = (side // factor for side in plane.shape[:2])
    blocks = plane[: height * factor, : width * factor].reshape(height, factor, width, factor, -1)
    return np.rint(blocks.mean((1, 3))).astype(plane.dtype).reshape(height, width, *plane.shape[2:])


def _frames(level: np.ndarray, tile: int, paths: int) -> tuple[list[np.ndarray], list[tuple[int, ...]]]:
    """Tiles padded to their whole size, and their (row, col, path number, plane number): paths outermost."""
    frames, places = [], []
    for index, plane in enumerate(level):
        for row in range(0, plane.shape[0], tile):
            for col in range(0, plane.shape[1], tile):
                frame = np.full((tile, tile, *plane.shape[2:]), 255, plane.dtype)
                part = plane[row : row + tile, col : col + tile]
                frame[: part.shape[0], : part.shape[1]] = part
                frames.append(frame)
                places.append((row + 1, col + 1, index // (len(level) // paths)))
    return frames, places


def _position(place: tuple[int, ...]):
    from pydicom import Dataset

    position, item, path = Dataset(), Dataset(), Dataset()
    position.RowPositionInTotalImagePixelMatrix, position.ColumnPositionInTotalImagePixelMatrix = place[:2]
    position.ZOffsetInSlideCoordinateSystem = 0
    item.PlanePositionSlideSequence = [position]
    path.OpticalPathIdentifier = str(place[2] + 1)
    item.OpticalPathIdentificationSequence = [path]
    return item


def _dicom_header(level: np.ndarray, tile: int, frames: int, spacing: float, paths, planes: int):
    from pydicom import Dataset
    from pydicom.uid import generate_uid

    dataset = Dataset()
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.77.1.6"
    dataset.SOPInstanceUID = generate_uid()
    dataset.Modality = "SM"
    grey = level.ndim == 3
    dataset.PhotometricInterpretation = "MONOCHROME2" if grey else "RGB"
    dataset.SamplesPerPixel = 1 if grey else 3
    if not grey:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = dataset.BitsStored = level.dtype.itemsize * 8
    dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, 0
    dataset.Rows = dataset.Columns = tile
    dataset.TotalPixelMatrixRows, dataset.TotalPixelMatrixColumns = level.shape[1:3]
    dataset.NumberOfFrames, dataset.TotalPixelMatrixFocalPlanes = frames, planes
    dataset.DimensionOrganizationType = "TILED_FULL"
    dataset.NumberOfOpticalPaths = len(paths)
    dataset.OpticalPathSequence = [Dataset() for _ in paths]
    for item, (identifier, description) in zip(dataset.OpticalPathSequence, paths, strict=True):
        item.OpticalPathIdentifier, item.OpticalPathDescription = identifier, description
    measures, groups = Dataset(), Dataset()
    measures.PixelSpacing = [spacing, spacing]
    measures.SliceThickness = measures.SpacingBetweenSlices = 0.001
    groups.PixelMeasuresSequence = [measures]
    dataset.SharedFunctionalGroupsSequence = [groups]
    return dataset


def _save_dicom(dataset, frames: list[np.ndarray], encode, syntax: str, path: Path) -> None:
    from pydicom.dataset import FileMetaDataset
    from pydicom.encaps import encapsulate

    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    if encode is None:
        dataset.PixelData = b"".join(frame.tobytes() for frame in frames)
        dataset["PixelData"].VR = "OB" if frames[0].dtype == np.uint8 else "OW"
    else:
        dataset.PixelData = encapsulate([encode(frame) for frame in frames])
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
    dataset.save_as(path, enforce_file_format=True)


def write_czi(path: Path, image: np.ndarray, *, mpp: float = 0.5, block: int = 300) -> Path:
    """Write a CZI mosaic of RGB blocks, as scanners do: not at (0, 0), blue first."""
    from pylibCZIrw import czi

    with czi.create_czi(str(path), exist_ok=True) as out:
        for y in range(0, image.shape[0], block):
            for x in range(0, image.shape[1], block):
                part = np.ascontiguousarray(image[y : y + block, x : x + block, ::-1])
                out.write(part, location=(x - 1000, y + 500), plane={"C": 0, "Z": 0, "T": 0})
        out.write_metadata(
            document_name="made", channel_names={0: "TL"}, scale_x=mpp * 1e-6, scale_y=mpp * 1e-6
        )
    return path


@pytest.fixture(scope="session")
def make_ome_zarr() -> Callable[..., Path]:
    """``make_ome_zarr(path, image, version="0.5", chunk=200, unit="micrometer")`` -> path."""
    return write_ome_zarr


@pytest.fixture(scope="session")
def make_dicom() -> Callable[..., Path]:
    """``make_dicom(folder, image, ...)`` -> folder; see :func:`write_dicom`."""
    return write_dicom


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
        "wsidicom": write_dicom(folder / "dicom", small_image),
        "czi": write_czi(folder / "made.czi", small_image),
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
            (65422, 9, 1, 3_000_000),
            (65423, 9, 1, 2**32 - 5_000_000),  # signed: -5,000,000 nm
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
    """Write a Philips TIFF of levels 1, 2 and 4, padded to whole tiles, quotes escaped, as theirs are."""
    factors = (1, 2, 4)
    spacing = [
        f'PMSVR="IDoubleArray">&quot;{mpp * f / 1000:.8f}&quot; &quot;{mpp * f / 1000:.8f}&quot;'
        for f in factors
    ]
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


def write_mirax(path: Path, image: np.ndarray, mpp: float = 0.5, tile: int = 128) -> Path:
    """Write a MIRAX slide of two levels: a small JPEG beside a folder of an index and one data file.

    Sides are filled up with white to a whole number of tiles of both levels, as a scanner's frames are.
    """
    folder = path.with_suffix("")
    folder.mkdir()
    bottom, right = (-side % (2 * tile) for side in image.shape[:2])
    image = np.pad(image, ((0, bottom), (0, right), (0, 0)), constant_values=255)
    rows, cols = (side // tile for side in image.shape[:2])
    data, pages = bytearray(), []
    for factor in (1, 2):
        level = halve(image, factor)
        entries = []
        for row in range(rows // factor):
            for col in range(cols // factor):
                part = level[row * tile : (row + 1) * tile, col * tile : (col + 1) * tile]
                buffer = io.BytesIO()
                Image.fromarray(part).save(buffer, "JPEG", quality=95, subsampling=0)
                at = row * factor * cols + col * factor
                entries.append(struct.pack("<4i", at, len(data), buffer.tell(), 0))
                data += buffer.getvalue()
        pages.append(struct.pack("<2i", len(entries), 0) + b"".join(entries))
    name = "6E1C5E4C7D3245F2A1B2C3D4E5F60718"
    index = bytearray(b"01.02" + name.encode() + bytes(8))
    root = len("01.02" + name)
    struct.pack_into("<i", index, root, len(index))
    heads = len(index)
    index += bytes(4 * len(pages))
    for number, page in enumerate(pages):
        struct.pack_into("<i", index, heads + 4 * number, len(index))
        index += struct.pack("<2i", 0, len(index) + 8) + page
    (folder / "Data0000.dat").write_bytes(data)
    (folder / "Index.dat").write_bytes(index)
    sections = "".join(
        f"[LEVEL_{number}]\nOVERLAP_X=0.0\nOVERLAP_Y=0.0\nMICROMETER_PER_PIXEL_X={mpp * 2**number}\n"
        f"MICROMETER_PER_PIXEL_Y={mpp * 2**number}\nIMAGE_FORMAT=JPEG\nIMAGE_FILL_COLOR_BGR=16777215\n"
        f"DIGITIZER_WIDTH={tile}\nDIGITIZER_HEIGHT={tile}\nIMAGE_CONCAT_FACTOR={number}\n"
        for number in range(2)
    )
    (folder / "Slidedat.ini").write_text(
        f"[GENERAL]\nSLIDE_VERSION=01.02\nSLIDE_ID={name}\nIMAGENUMBER_X={cols}\nIMAGENUMBER_Y={rows}\n"
        "OBJECTIVE_MAGNIFICATION=20\nCameraImageDivisionsPerSide=1\n"
        "[HIERARCHICAL]\nHIER_COUNT=1\nNONHIER_COUNT=0\nINDEXFILE=Index.dat\nHIER_0_NAME=Slide zoom level\n"
        "HIER_0_COUNT=2\nHIER_0_VAL_0_SECTION=LEVEL_0\nHIER_0_VAL_1_SECTION=LEVEL_1\n"
        f"[DATAFILE]\nFILE_COUNT=1\nFILE_0=Data0000.dat\n{sections}",
        encoding="utf-8-sig",
    )
    Image.fromarray(image[::8, ::8].copy()).save(path, "JPEG")
    return path


def write_vms(path: Path, image: np.ndarray, mpp: float = 0.5, tile_width: int = 64) -> Path:
    """Write a Hamamatsu VMS: a list, one JPEG with restart markers, a map and a macro image."""
    bottom, right = -image.shape[0] % 16, -image.shape[1] % tile_width
    image = np.pad(image, ((0, bottom), (0, right), (0, 0)), constant_values=255)
    height, width = image.shape[:2]
    names = {
        "ImageFile": f"{path.stem}.jpg",
        "MapFile": f"{path.stem}_map2.jpg",
        "MacroImage": f"{path.stem}_macro.jpg",
    }
    for key, factor in (("ImageFile", 1), ("MapFile", 8), ("MacroImage", 8)):
        picture = halve(image, factor)
        sides = [side // 16 * 16 if factor > 1 else side for side in picture.shape[:2]]
        data, _ = restart_jpeg(
            np.ascontiguousarray(picture[: sides[0], : sides[1]]), tile_width if factor == 1 else 16
        )
        (path.parent / names[key]).write_bytes(data)
    path.write_text(
        "[Virtual Microscope Specimen]\nNoLayers=1\nNoJpegColumns=1\nNoJpegRows=1\n"
        + "".join(f"{key}={name}\n" for key, name in names.items())
        + f"SourceLens=20\nPhysicalWidth={round(width * mpp * 1e3)}\n"
        + f"PhysicalHeight={round(height * mpp * 1e3)}\n",
        encoding="latin-1",
    )
    return path


@pytest.fixture(scope="session")
def dialects() -> dict[str, Callable[..., Path]]:
    """Writers of vendors' formats, ``(path, image) -> path``, by the vendor's name."""
    return {
        "hamamatsu": write_ndpi,
        "philips": write_philips,
        "leica": write_scn,
        "mirax": write_mirax,
        "vms": write_vms,
    }
