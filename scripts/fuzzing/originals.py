"""Originals made by code, of every kind of file that the program opens."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import tifffile
from PIL import Image

from fuzzing.dicom_slide import SIDE_PX, write_dicom_slide

ROOT = Path(__file__).resolve().parents[2]
MOST_BYTES = 5_000_000
"""Of a real file that is mutated: each mutant is a copy."""

KINDS = ("slide", "annotation", "store", "bundle", "encoder", "features", "document")


@dataclass(frozen=True)
class Original:
    """A healthy file or folder.

    Attributes
    ----------
    kind : str
        One of :data:`KINDS`: how it is opened.
    name : str
        What it is, for reports.
    path : Path
    """

    kind: str
    name: str
    path: Path


def make_originals(kind: str, folder: Path) -> list[Original]:
    """Write all originals of a kind below `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    return [Original(kind, name, path) for name, path in _MAKERS[kind](folder)]


def _module(path: str) -> ModuleType:
    """Load a module of the test suite, whose writers are as imperfect as those of real programs."""
    spec = importlib.util.spec_from_file_location(path.replace("/", "_").removesuffix(".py"), ROOT / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _slides(folder: Path) -> Iterator[tuple[str, Path]]:
    shared, writers = _module("tests/conftest.py"), _module("tests/slides/conftest.py")
    image = shared.tissue_image(701, 903, seed=3)
    yield from _tiffs(folder, image)
    yield "jpeg pyramid", shared.write_tiff(folder / "pyramid.tif", image)
    yield "one level", shared.write_tiff(folder / "one.tif", image, factors=(1,), compression="zlib")
    for vendor, write in (
        ("hamamatsu", writers.write_ndpi),
        ("philips", writers.write_philips),
        ("leica", writers.write_scn),
    ):
        suffix = {"hamamatsu": ".ndpi", "philips": ".tiff", "leica": ".scn"}[vendor]
        yield vendor, write(folder / f"{vendor}{suffix}", image[:640, :768])
    for version in ("0.4", "0.5"):
        yield (
            f"OME-Zarr {version}",
            writers.write_ome_zarr(folder / f"v{version}.zarr", image, version=version),
        )
    yield from _pictures(folder, image)
    yield from _optional(folder, writers, image)


def _tiffs(folder: Path, image: np.ndarray) -> Iterator[tuple[str, Path]]:
    aperio = "Aperio Image Library v11.2.1\r\n903x701 (256x256) J2K/YUV16 Q=70|AppMag = 20|MPP = 0.4990"
    common = {"photometric": "rgb", "metadata": None, "tile": (256, 256)}
    per_cm = {"resolution": (2e4, 2e4), "resolutionunit": "CENTIMETER"}
    written: dict[str, dict[str, object]] = {
        "aperio.svs": common | {"compression": "jpeg", "description": aperio},
        "j2k.svs": common | {"compression": "aperio_jp2000_rgb", "description": aperio},
        "big.tif": common | per_cm | {"compression": "zlib", "bigtiff": True},
        "swapped.tif": common | per_cm | {"compression": "lzw", "byteorder": ">"},
        "strips.tif": per_cm | {"photometric": "rgb", "rowsperstrip": 16, "metadata": None},
        "planar.tif": common | per_cm | {"planarconfig": "separate", "compression": "zlib"},
        "webp.tif": common | per_cm | {"compression": "webp"},
        "predicted.tif": common | per_cm | {"compression": "zlib", "predictor": True},
        "imagej.tif": {"imagej": True, "resolution": (2.0, 2.0), "metadata": {"unit": "um"}},
        "some.ome.tif": {
            "ome": True,
            "photometric": "rgb",
            "tile": (256, 256),
            "metadata": {"axes": "YXS", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5},
        },
    }
    for name, options in written.items():
        writer = {
            key: options.pop(key) for key in ("bigtiff", "byteorder", "imagej", "ome") if key in options
        }
        with tifffile.TiffWriter(folder / name, **writer) as tif:
            separate = options.get("planarconfig") == "separate"
            tif.write(np.moveaxis(image, -1, 0) if separate else image, **options)
        yield name, folder / name


def _pictures(folder: Path, image: np.ndarray) -> Iterator[tuple[str, Path]]:
    picture = Image.fromarray(image)
    for name, form in (
        ("rgb.png", picture),
        ("palette.png", picture.quantize(64)),
        ("grey16.png", Image.fromarray((image[..., 0].astype(np.uint16) << 8) + 5)),
        ("rgb.jpg", picture),
        ("cmyk.jpg", picture.convert("CMYK")),
    ):
        form.save(folder / name, dpi=(50_800, 50_800))
        yield name, folder / name


def _optional(folder: Path, writers: ModuleType, image: np.ndarray) -> Iterator[tuple[str, Path]]:
    """Formats whose writers the test suite may have, by the names that it gives them."""
    for name, suffix in (
        ("write_dicom", ""),
        ("write_czi", ".czi"),
        ("write_mirax", ".mrxs"),
        ("write_vms", ".vms"),
    ):
        write: Callable[..., Path] | None = getattr(writers, name, None)
        if write is not None:
            yield name.removeprefix("write_"), write(folder / f"{name}{suffix}", image)


def _annotations(folder: Path) -> Iterator[tuple[str, Path]]:
    import shapely

    from napari_nic.annotations import (
        FORMATS,
        Annotation,
        AnnotationSet,
        SlideExtent,
        ellipse_outline,
        writable_formats,
        write_annotations,
    )
    from napari_nic.geometry import PixelSize

    slide = write_dicom_slide(folder / "dicom")
    extent = SlideExtent((SIDE_PX, SIDE_PX), PixelSize(0.5, 0.5, "given"), (0.0, 0.0), path=slide)
    hole = [(20, 20), (40, 20), (40, 40)]
    shapes = AnnotationSet(
        (
            Annotation("Tumour", "polygon", shapely.Polygon([(0, 0), (99, 3), (80, 90)], [hole]), "a"),
            Annotation("Stroma", "rectangle", shapely.box(100, 120, 300, 333.5), "b"),
            Annotation("Tumour", "point", shapely.Point(5, 7), "c"),
            Annotation("Normal", "line", shapely.LineString([(0, 0), (50, 60)]), "d"),
            Annotation("Normal", "ellipse", ellipse_outline((400, 300), (50, 20), 0.3), "e"),
            Annotation("Stroma", "ellipse", ellipse_outline((40, 300), (9, 9)), "f"),
            Annotation("Stroma", "arrow", shapely.LineString([(90, 80), (50, 60)]), "g"),
        )
    )
    for name in writable_formats():
        path = folder / f"{name}{FORMATS.get(name).suffixes[0]}"
        write_annotations(shapes, path, name, extent=extent)
        yield path.name, path
    yield "negative.xml", _imagescope(folder / "negative.xml")


def _imagescope(path: Path) -> Path:
    regions = "".join(
        f'<Region Id="{n}" Type="0" NegativeROA="{n % 2}" Text=""><Attributes/><Vertices>'
        + "".join(f'<Vertex X="{x + n}" Y="{y}" Z="0"/>' for x, y in ((0, 0), (60, 5), (40, 70)))
        + "</Vertices></Region>"
        for n in range(2)
    )
    path.write_text(
        '<?xml version="1.0"?><Annotations MicronsPerPixel="0.5"><Annotation Id="1" Name="Tumor" '
        f'LineColor="65280"><Attributes/><Regions>{regions}</Regions></Annotation></Annotations>'
    )
    return path


def _stores(folder: Path) -> Iterator[tuple[str, Path]]:
    yield "store", _make_store(folder)


def _make_store(folder: Path) -> Path:
    from napari_nic.encoders import load_encoder
    from napari_nic.pipeline import iter_compress, prepare_store
    from napari_nic.slides import open_slide

    shared = _module("tests/conftest.py")
    slide_path = shared.write_tiff(folder / "made.tif", shared.tissue_image(1400, 1800, seed=1))
    with open_slide(slide_path) as slide, prepare_store(slide, load_encoder("mean-rgb")) as store:
        for _ in iter_compress(slide, load_encoder("mean-rgb"), store):
            pass
        return store.path


def _bundles(folder: Path) -> Iterator[tuple[str, Path]]:
    import torch

    from napari_nic.encoders import get_spec
    from napari_nic.slide_models import ModelBundle, ModelCard, SlideNetConfig, Standardiser
    from napari_nic.slide_models.network import SlideNet

    config = SlideNetConfig(3, outputs=1, crop_size=8, width=4, strides=(1, 2))
    card = ModelCard("tiny", "classification", ("healthy", "lesion"), get_spec("mean-rgb").to_dict(), config)
    torch.manual_seed(0)
    weights = {name: value.numpy() for name, value in SlideNet(config).state_dict().items()}
    scaling = Standardiser(np.zeros(3, np.float32), np.ones(3, np.float32))
    yield "bundle", ModelBundle(card, weights, scaling).save(folder / "tiny")


def _encoders(folder: Path) -> Iterator[tuple[str, Path]]:
    import torch

    from napari_nic.encoders import EncoderSpec
    from napari_nic.encoders.nets import NicEncoderNet
    from napari_nic.training.publish import save_encoder

    spec = EncoderSpec("other", 3, 128, 0.5, 64, "nic-64")
    torch.manual_seed(0)
    save_encoder(NicEncoderNet(3), spec, folder / "other", card="# other", training={})
    yield "encoder", folder / "other"


def _features(folder: Path) -> Iterator[tuple[str, Path]]:
    from napari_nic.embeddings import EXPORTERS, IMPORTERS, CompressedSlide, export_store

    store = CompressedSlide.open(_make_store(folder))
    for name in EXPORTERS:
        if name not in IMPORTERS or name == "clam-pt":  # a tensor alone has no places
            continue
        files = export_store(store, folder / name, name)
        yield name, files[0]
    shutil.rmtree(store.path)
    yield from _features_of_others(folder)


def _features_of_others(folder: Path) -> Iterator[tuple[str, Path]]:
    """Write files as their programs do, what belongs together side by side; of slides at 0.5 um/px."""
    import torch

    writers = _module("tests/embeddings/hdf5_writers.py")
    places = writers.islands(512)
    codes, tiles = writers.codes(len(places)), writers.grid(9, 8, 1)
    clam = writers.clam_features(folder / "clam of CLAM" / "s.h5", places)
    writers.clam_patches(clam.with_name("s_patches.h5"), places, size=512, level_dim=(9000, 9000))
    yield "clam of CLAM", clam
    tensor = writers.tensor(folder / "tensor of CLAM" / "s.pt", torch.from_numpy(codes))
    writers.clam_patches(tensor.with_name("s_patches.h5"), places, size=512, level_dim=(9000, 9000))
    yield "tensor of CLAM", tensor
    yield "trident of TRIDENT", writers.trident(folder / "trident of TRIDENT" / "s.h5", places)
    yield "STAMP 1", writers.stamp_1(folder / "STAMP 1" / "s.h5", tiles, augmented=1)
    for version in ("2.0.0", "2.5.0"):
        yield f"STAMP {version}", writers.stamp(folder / version / "s.h5", tiles, 0.5, version=version)[0]
    atlas = folder / "AtlasPatch" / "s.h5"
    yield "AtlasPatch", writers.atlaspatch(atlas, places, {"uni": codes})
    yield "Prov-GigaPath", writers.gigapath(folder / "Prov-GigaPath" / "s.h5", places)


def real_originals(data: Path) -> tuple[Original, ...]:
    """List small files of other programs below the folder of real data, each as what it is opened as."""
    found = []
    for kind, folder, suffixes in (
        ("slide", "slides_real", ()),
        ("slide", "slides", (".svs",)),
        ("annotation", "annotations", (".xml", ".geojson", ".json", ".txt")),
        ("features", "features", (".h5",)),
    ):
        for path in sorted((data / folder).rglob("*")):
            is_small = path.is_file() and path.stat().st_size < MOST_BYTES
            if is_small and (not suffixes or path.suffix in suffixes):
                found.append(Original(kind, str(path.relative_to(data)), path))
    return tuple(found)


def companions(original: Original) -> list[Path]:
    """List the files that belong to an original and lie beside it, the folder of a MIRAX slide included."""
    beside = original.path.parent.glob(f"{original.path.stem}*")
    return [path for path in beside if path != original.path and original.kind in ("slide", "features")]


def _documents(folder: Path) -> Iterator[tuple[str, Path]]:
    """Journals of a document: one with edits behind its head, one written anew."""
    import shapely

    from napari_nic.annotations import Annotation
    from napari_nic.editing import AnnotationObject, Document, Edited, Journal, State

    for name, is_anew in (("edits", False), ("anew", True)):
        document, journal = Document(author="Anna"), Journal(folder / name, "f", "slide")
        edits = []
        document.watch(edits.append)
        for number in range(12):
            area = shapely.Point(100 * number, 50).buffer(40, 3)
            annotation = Annotation("Tumour" if number % 3 else "Stroma", "polygon", area, f"shape {number}")
            document.put(
                "draw", AnnotationObject(f"id-{number}", annotation, measurements={"area": area.area})
            )
            if number % 4 == 0:
                document.undo()
            state = State(document.objects(), document.classes, ranks=document.ranks)
            journal.write(edits, state, Edited("Anna", "2026-11-29T10:00:00+00:00"))
            edits.clear()
        if is_anew:
            journal.write_all(state, Edited())
        journal.close()
        yield f"journal, {name}", journal.path


_MAKERS: dict[str, Callable[[Path], Iterator[tuple[str, Path]]]] = {
    "slide": _slides,
    "annotation": _annotations,
    "store": _stores,
    "bundle": _bundles,
    "encoder": _encoders,
    "features": _features,
    "document": _documents,
}
