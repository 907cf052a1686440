"""Train the tissue U-Net that is shipped: overviews painted by code, and real tiles of open licences.

    python scripts/train_tissue_unet.py --tiles DATA/patches --work FOLDER --out OUT/tissue-unet

DATA holds osteosarcoma_utsw (CC BY 3.0) and bcss_large (CC0); without --tiles only painted overviews are
used. Nobody outlined the tissue of these tiles: their masks are made here, by the threshold on stain with
small holes filled, which is sure enough in tiles without dust, ink and uneven light. Give the same command
again after an interruption: it goes on from the checkpoint beside --out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from napari_nic.cli.main import main as run_command
from napari_nic.tissue import TissueOptions, segment_tissue

SETS = {"osteosarcoma_utsw": (1.0, 2.0), "bcss_large": (0.25, 2.0)}
"""um/px of the files, and of what is made of them."""

MISJUDGED = frozenset(
    {
        "Case-3-A18-11012-16647_113",
        "P9-B28-22141-15533_111",
        "P9-B28-8403-19923_107",
        "Case-3-A12-27307-29117_114",
    }
)
"""Tiles of fat and loose tissue whose mask was seen to be wrong."""

DATA_NOTE = (
    "Overviews painted by code (napari_nic.synthetic), and tiles of Osteosarcoma (UTSW; CC BY 3.0) and BCSS "
    "(CC0) with masks made by the threshold on stain, small holes filled."
)
CLOSING_UM, HOLE_UM2, PIECE_UM2 = 24.0, 40_000.0, 1_500.0


def main() -> int:
    """Make the masks, and run the training command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiles", type=Path, help="folder of the sets of tiles")
    parser.add_argument("--work", type=Path, required=True, help="folder for tiles with masks")
    parser.add_argument("--out", type=Path, required=True, help="folder of the network")
    parser.add_argument("--synthetic", default="96", help="painted overviews; default: %(default)s")
    parser.add_argument("--steps", default="600", help="default: %(default)s")
    parser.add_argument("--batch-size", default="8", help="default: %(default)s")
    args = parser.parse_args()
    command = ["tissue", "train", "--name", args.out.name, "--out", str(args.out), "--licence", "MIT"]
    command += ["--synthetic", args.synthetic, "--data-note", DATA_NOTE, "--device", "cpu"]
    command += ["--widths", "16", "16", "32", "64", "64", "--crop", "160", "--cross-entropy", "0.5"]
    command += ["--steps", args.steps, "--batch-size", args.batch_size, "--schedule", "cosine"]
    command += ["--learning-rate", "0.002", "--validate-every", "60"]
    if args.tiles is not None:
        for name, (own, mpp) in SETS.items():
            folder = args.work / name
            for picture, tissue, stem in masked(args.tiles / name, own, mpp):
                write(folder / f"{stem}.png", picture)
                write(folder / "masks" / f"{stem}.png", tissue.astype(np.uint8) * 255)
            command += ["--tiles", f"{folder}={mpp:g}"]
    return run_command(command)


def masked(folder: Path, own: float, mpp: float) -> Iterator[tuple[np.ndarray, np.ndarray, str]]:
    """Yield tiles at `mpp` um/px, their masks and their names."""
    for file in sorted(file for file in folder.rglob("*") if file.suffix in (".jpg", ".png")):
        if "masks" in file.parts or file.stem in MISJUDGED:
            continue
        picture = cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB)
        picture = cv2.resize(picture, None, fx=own / mpp, fy=own / mpp, interpolation=cv2.INTER_AREA)
        yield picture, tissue_of(picture, mpp), file.stem.replace(" ", "-")


def tissue_of(picture: np.ndarray, mpp: float) -> np.ndarray:
    """Say where tissue is: stain, gaps between fibres closed, small holes filled."""
    around = round(100 / mpp)  # glass around, so that the colour of glass is known in tiles that are full
    padded = cv2.copyMakeBorder(picture, *[around] * 4, cv2.BORDER_CONSTANT, value=(243, 243, 243))
    options = TissueOptions(min_area_um2=PIECE_UM2, max_hole_um2=HOLE_UM2, fat=False, drop_pen=False)
    mask, _ = segment_tissue(padded, mpp, options)
    side = 2 * round(CLOSING_UM / mpp / 2) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    closed = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, kernel)
    return np.asarray(closed[around:-around, around:-around] > 0)


def write(file: Path, picture: np.ndarray) -> None:
    """Write a picture as PNG."""
    file.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(file), picture[..., ::-1] if picture.ndim == 3 else picture)


if __name__ == "__main__":
    sys.exit(main())
