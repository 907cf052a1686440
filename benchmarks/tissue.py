"""Tissue by the network against the threshold, in Dice, on overviews painted by code that training never saw.

    python benchmarks/tissue.py [--overviews 6] [--slide SLIDE --outlines FILE] [--sheet FOLDER OUT]

For each variant the mean Dice and the worst one: *threshold* is this program's own, *published threshold*
that of the paper (distance to white above 85, closed with radius 9). Places where ink hides tissue are not
counted: one method leaves them out on purpose. Training and test overviews come of the same painter with
other seeds, which favours the network: real slides are another matter. So --slide compares both with outlines
that somebody drew, and --sheet puts pictures of a folder side by side, with both masks, to look at.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from napari_nic.annotations import covered_share, disjoint, read_annotations
from napari_nic.slides import open_slide, read_overview
from napari_nic.synthetic import VARIANTS, OverviewSpec, paint_overview
from napari_nic.tissue import TissueOptions, drop_small, segment_tissue
from napari_nic.tissue.components import fill_holes
from napari_nic.tissue.unet.predict import THRESHOLD, Predictor

HELD_OUT = 1_000_000
"""Seeds from here on; training uses those from 0."""

SIDE, MPP = 640, 4.0
CLOSING = 9
GREEN, BLUE = (0, 200, 0), (30, 60, 230)

Method = Callable[[np.ndarray, float], np.ndarray]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="tissue-unet")
    parser.add_argument("--overviews", type=int, default=6, help="of each variant; default: 6")
    parser.add_argument("--slide", type=Path)
    parser.add_argument("--outlines", type=Path)
    parser.add_argument("--sheet", nargs=2, type=Path, metavar=("FOLDER", "OUT"))
    parser.add_argument("--sheet-mpp", type=float, default=16.0, help="um/px of its pictures; default: 16")
    args = parser.parse_args()
    predictor = Predictor.load(args.network, device="cpu")
    methods: dict[str, Method] = {
        "U-Net": lambda image, mpp: cleaned(predictor.share(image) > THRESHOLD, mpp),
        "threshold": lambda image, mpp: segment_tissue(image, mpp)[0],
        "published threshold": published,
    }
    if args.overviews:
        compare(methods, args.overviews)
    if args.slide is not None:
        compare_slide(methods, args.slide, args.outlines)
    if args.sheet is not None:
        write_sheet(methods, *args.sheet, args.sheet_mpp)


def cleaned(mask: np.ndarray, mpp: float) -> np.ndarray:
    """Fill holes and drop specks as the search on a slide does."""
    options = TissueOptions()
    return drop_small(fill_holes(mask, options.max_hole_um2 / mpp**2), options.min_area_um2 / mpp**2)


def published(image: np.ndarray, mpp: float) -> np.ndarray:
    """The threshold of the paper."""
    del mpp
    far = np.linalg.norm(255.0 - image.astype(np.float32), axis=2) > 85
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * CLOSING + 1,) * 2)
    return np.asarray(cv2.morphologyEx(far.astype(np.uint8), cv2.MORPH_CLOSE, kernel) > 0)


def dice(found: np.ndarray, wanted: np.ndarray) -> float:
    """Twice what both share by the sum of both."""
    total = int(found.sum()) + int(wanted.sum())
    return 2 * int((found & wanted).sum()) / total if total else 1.0


def compare(methods: dict[str, Method], count: int) -> None:
    """Print Dice for each variant."""
    print("| overviews | " + " | ".join(f"{name}: mean (worst)" for name in methods) + " |")
    print("|---" * (len(methods) + 1) + "|")
    every: dict[str, list[float]] = {name: [] for name in methods}
    seconds = dict.fromkeys(methods, 0.0)
    for variant in VARIANTS:
        cells = []
        painted = [paint_overview(OverviewSpec(HELD_OUT + n, variant, SIDE, MPP)) for n in range(count)]
        for name, method in methods.items():
            scores = []
            for one in painted:
                started = time.process_time()
                found = method(one.image, one.mpp)
                seconds[name] += time.process_time() - started
                scores.append(dice(found & ~one.hidden, one.tissue & ~one.hidden))
            every[name] += scores
            cells.append(f"{np.mean(scores):.3f} ({min(scores):.3f})")
        print(f"| {variant} | " + " | ".join(cells) + " |", flush=True)
    print("| all | " + " | ".join(f"{np.mean(s):.3f} ({min(s):.3f})" for s in every.values()) + " |")
    pixels = len(VARIANTS) * count * SIDE**2
    speeds = " | ".join(f"{pixels / 1e6 / spent:.2f} Mpx/s" for spent in seconds.values())
    print(f"| speed, one core | {speeds} |\n")


def compare_slide(methods: dict[str, Method], slide_file: Path, outlines: Path) -> None:
    """Print Dice on a slide, against outlines that somebody drew; beyond the slide they are cut off."""
    import shapely

    with open_slide(slide_file) as slide:
        overview = read_overview(slide, MPP)
        pixel, step = slide.require_pixel_size(), overview.placement.step_um
        scale = np.array([pixel.x / step[1], pixel.y / step[0]])
        areas = disjoint(read_annotations(outlines).polygons())
    in_pixels = shapely.transform(areas, lambda points: points * scale)
    wanted = covered_share(in_pixels, overview.image.shape[:2]) >= 0.5
    print(f"| {slide_file.name} | " + " | ".join(methods) + " |")
    print("|---" * (len(methods) + 1) + "|")
    scores = [dice(method(overview.image, step[0]), wanted) for method in methods.values()]
    print("| Dice | " + " | ".join(f"{score:.3f}" for score in scores) + " |\n")


def write_sheet(methods: dict[str, Method], folder: Path, out: Path, mpp: float) -> None:
    """Write pictures with the outlines of both masks: green the network, below it blue the threshold."""
    columns = []
    for file in sorted(file for file in folder.rglob("*") if file.suffix in (".png", ".jpg")):
        image = np.ascontiguousarray(cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB))
        shown = [
            outlined(image, methods[name](image, mpp), color)
            for name, color in (("U-Net", GREEN), ("threshold", BLUE))
        ]
        size = (360, round(360 * image.shape[0] / image.shape[1]))
        columns.append(np.vstack([cv2.resize(one, size, interpolation=cv2.INTER_AREA) for one in shown]))
    height = max(column.shape[0] for column in columns)
    padded = [np.pad(c, [(0, height - c.shape[0]), (0, 4), (0, 0)], constant_values=255) for c in columns]
    rows = [padded[start : start + 5] for start in range(0, len(padded), 5)]
    rows[-1] += [np.full_like(padded[0], 255)] * (len(rows[0]) - len(rows[-1]))
    sheet = np.vstack([np.hstack(row) for row in rows])
    cv2.imwrite(str(out), sheet[..., ::-1])
    print(f"{out}: above the network (green), below the threshold (blue)")


def outlined(image: np.ndarray, mask: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    """Return a picture with the outlines of a mask."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    return np.asarray(cv2.drawContours(image.copy(), contours, -1, color, 3))


if __name__ == "__main__":
    main()
