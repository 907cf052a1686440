"""Does the detector find faults that are planted, and does it keep quiet where there are none?

    python scripts/planted_faults.py                     # 200 tiles of tissue made by code
    python scripts/planted_faults.py --tiles FOLDER      # 200 tiles of the pictures below a folder

Each tile is compressed as it is (a false alarm if anything is found) and with one fault planted before: what
is found is found through the codec's own noise. SSIM is that of the faulty tile: it alone would pass most.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import imagecodecs
import numpy as np

from napari_nic.recompression.quality import FaultLimits, find_faults, ssim
from napari_nic.synthetic import synthetic_patches

SIDE = 256
HUE_DEG, STEP = 5, 6
BLOCKS = (8, 16, 32, 64)
LEAST_CHROMA, LEAST_TEXTURE = 5, 4
"""Of tiles that a fault can be seen in: mean saturation, and spread of brightness, grey levels."""


def jpeg(subsampling: str) -> Callable[[np.ndarray], np.ndarray]:
    """Return what JPEG of quality 90 makes of a tile."""
    return lambda tile: imagecodecs.jpeg8_decode(
        imagecodecs.jpeg8_encode(tile, level=90, subsampling=subsampling)
    )


def jpeg_xl(effort: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return what JPEG XL of distance 1 makes of a tile."""
    return lambda tile: imagecodecs.jpegxl_decode(
        imagecodecs.jpegxl_encode(tile, distance=1.0, effort=effort, lossless=False, numthreads=1)
    )


CODECS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "JPEG q90 4:2:0": jpeg("420"),
    "JPEG q90 4:4:4": jpeg("444"),
    "JPEG XL d1.0 e3": jpeg_xl(3),
    "JPEG XL d1.0 e7": jpeg_xl(7),
}


def with_hue(tile: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turn all hues (of HSV) by five degrees, either way."""
    hsv = cv2.cvtColor(tile.astype(np.float32) / 255, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0] + rng.choice([-HUE_DEG, HUE_DEG])) % 360
    return np.clip(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB) * 255 + 0.5, 0, 255).astype(np.uint8)


def with_block(tile: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Make a block of 8 to 64 pixels six levels brighter, or darker where it is bright, at any place."""
    side = int(rng.choice(BLOCKS))
    y, x = (int(rng.integers(0, size - side + 1)) for size in tile.shape[:2])
    out = tile.astype(np.int16)
    block = out[y : y + side, x : x + side]
    block += STEP if block.mean() < 128 else -STEP
    return np.clip(out, 0, 255).astype(np.uint8)


def with_swap(tile: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Swap two channels."""
    orders = ([1, 0, 2], [0, 2, 1], [2, 1, 0])
    return np.ascontiguousarray(tile[..., orders[int(rng.integers(3))]])


def with_shift(tile: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Shift by one pixel along one axis."""
    way = [(0, 1), (0, -1), (1, 0), (-1, 0)][int(rng.integers(4))]
    moved = np.float32([[1, 0, way[1]], [0, 1, way[0]]])
    return cv2.warpAffine(
        tile, moved, tile.shape[1::-1], flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE
    )


FAULTS: Mapping[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    f"hue off by {HUE_DEG} degrees": with_hue,
    f"block edge of {STEP} levels": with_block,
    "swapped channel": with_swap,
    "shift of 1 px": with_shift,
}
KINDS = dict(
    zip(FAULTS, ({"hue"}, {"block edge", "line"}, {"swapped channels", "hue"}, {"shift"}), strict=True)
)
"""What the detector may call each."""


class Row(NamedTuple):
    """What was found of one codec and one fault, or of none.

    Attributes
    ----------
    codec, fault : str
        An empty fault: clean tiles.
    tiles, found : int
        With a finding of the right kind; of clean tiles, with any.
    named : int
        Tiles of which anything at all was said.
    ssim : float
        Mean over the tiles.
    """

    codec: str
    fault: str
    tiles: int
    found: int
    named: int
    ssim: float


def is_telling(tile: np.ndarray) -> bool:
    """Whether a tile shows enough for any of the faults to be there: no bare glass, nothing grey."""
    colors = tile.astype(int)
    return bool(np.ptp(colors, axis=2).mean() > LEAST_CHROMA and colors.mean(axis=2).std() > LEAST_TEXTURE)


def trials(
    tiles: Sequence[np.ndarray],
    codecs: Mapping[str, Callable[[np.ndarray], np.ndarray]] = CODECS,
    *,
    seed: int = 0,
    with_ssim: bool = True,
) -> Iterator[Row]:
    """Plant each fault in each tile, for each codec; and none."""
    limits = FaultLimits()
    for codec, decoded in codecs.items():
        for fault in ("", *FAULTS):
            rng = np.random.default_rng(seed)
            found = named = 0
            similar = []
            for tile in tiles:
                got = decoded(FAULTS[fault](tile, rng) if fault else tile)
                kinds = {broken.kind for broken in find_faults(tile, got).beyond(limits)}
                named += bool(kinds)
                found += bool(kinds & KINDS[fault] if fault else kinds)
                similar += [ssim(tile, got)] if with_ssim else []
            mean = float(np.mean(similar)) if similar else float("nan")
            yield Row(codec, fault, len(tiles), found, named, mean)


def synthetic_tiles(n: int, seed: int = 0) -> list[np.ndarray]:
    """Return tiles of tissue made by code that show enough."""
    tiles: list[np.ndarray] = []
    while len(tiles) < n:
        tiles += [tile for tile in synthetic_patches(n - len(tiles), SIDE, seed) if is_telling(tile)]
        seed += 1
    return tiles


def tiles_below(folder: Path, n: int, seed: int = 0) -> list[np.ndarray]:
    """Return tiles of the pictures below a folder, at most one of each, that show enough; RGB."""
    rng = np.random.default_rng(seed)
    suffixes = {".png", ".jpg", ".jpeg", ".tif", ".tiff"}
    paths = [p for p in sorted(folder.rglob("*")) if p.suffix.lower() in suffixes and "mask" not in str(p)]
    tiles: list[np.ndarray] = []
    for number in rng.permutation(len(paths)):
        picture = cv2.imread(str(paths[number]), cv2.IMREAD_COLOR)
        if picture is None or min(picture.shape[:2]) < SIDE:
            continue
        y, x = (int(rng.integers(0, size - SIDE + 1)) for size in picture.shape[:2])
        tile = np.ascontiguousarray(picture[y : y + SIDE, x : x + SIDE, ::-1])
        if is_telling(tile):
            tiles.append(tile)
        if len(tiles) == n:
            break
    return tiles


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tiles", type=Path, metavar="FOLDER", help="of pictures, instead of made tiles")
    parser.add_argument("--number", type=int, default=200)
    options = parser.parse_args()
    chosen = tiles_below(options.tiles, options.number) if options.tiles else synthetic_tiles(options.number)
    print(f"{len(chosen)} tiles of {SIDE} x {SIDE} px")
    print(f"{'codec':17}{'planted':26}{'found':>10}{'named at all':>14}{'mean SSIM':>11}")
    for row in trials(chosen):
        name = row.fault or "nothing (false alarms)"
        print(
            f"{row.codec:17}{name:26}{f'{row.found}/{row.tiles}':>10}{f'{row.named}/{row.tiles}':>14}{row.ssim:11.3f}"
        )
