"""A learned codec beside JPEG, JPEG XL and AVIF, on tiles that it never saw, at equal SSIM.

    python benchmarks/neural_training.py CODEC TILES... [--crops 60] [--halve]

CODEC is the name or folder of a learned codec, TILES are folders of pictures. Squares of 256 px are cut from
the middle of each picture, a few pixels off the grid of 8 that JPEG cuts by: pictures that were JPEG once
flatter it there. With --halve the pictures are averaged 2 x 2 first, which leaves little of such a grid. For
each kind of codec the bits a pixel that it needs for the learned codec's SSIM are interpolated; all codecs
have full chroma but where 4:2:0 is said.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from napari_nic.recompression.learned import find_codec, read_codec
from napari_nic.recompression.lossy import CodecSettings, PixelCodec, load_pixel_codec, make_settings
from napari_nic.recompression.quality import ms_ssim, psnr, ssim
from napari_nic.slides.looking import looking

SIDE, OFF = 256, 3
CURVES: dict[str, tuple[str, str, tuple[float, ...]]] = {
    "JPEG 4:2:0": ("jpeg", "4:2:0", (50, 70, 80, 85, 90, 93, 95, 97, 99)),
    "JPEG 4:4:4": ("jpeg", "4:4:4", (50, 70, 80, 85, 90, 93, 95, 97, 99)),
    "JPEG XL": ("jpegxl", "4:4:4", (50, 65, 75, 82, 88, 90, 93, 96, 98)),
    "AVIF": ("avif", "4:4:4", (40, 50, 60, 70, 75, 80, 85, 90, 95)),
}


class Measured(NamedTuple):
    """Means over crops."""

    bits: float
    ssim: float
    psnr: float
    ms_ssim: float
    encode_ms: float
    decode_ms: float


def crops_of(folders: Sequence[Path], count: int, *, halved: bool) -> list[np.ndarray]:
    """Cut the middle of pictures, as many of each folder."""
    found: list[np.ndarray] = []
    for folder in folders:
        every = sorted(
            file for file in folder.rglob("*") if file.suffix.lower() in (".png", ".jpg", ".tif", ".bmp")
        )
        files = [file for file in every if "masks" not in file.parts]
        own = list(_cut(files, halved=halved))
        step = max(1, len(own) * len(folders) // count)
        found += own[::step][: max(1, count // len(folders))]
    return found


def _cut(files: Sequence[Path], *, halved: bool) -> Iterator[np.ndarray]:
    for file in files:
        image = cv2.imread(str(file), cv2.IMREAD_COLOR)
        if image is None:
            continue
        if halved:
            image = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        rows, cols = image.shape[:2]
        if min(rows, cols) < SIDE:
            continue
        top, left = ((side - SIDE) // 2 // 8 * 8 for side in (rows, cols))
        top, left = (min(at + OFF, side - SIDE) for at, side in ((top, rows), (left, cols)))
        yield np.ascontiguousarray(image[top : top + SIDE, left : left + SIDE, ::-1])


def measure(crops: Sequence[np.ndarray], codec: PixelCodec, settings: CodecSettings) -> Measured:
    """Encode and decode all crops."""
    rows = []
    for crop in crops:
        begun = time.perf_counter()
        data = codec.encode(crop, settings)
        middle = time.perf_counter()
        made = codec.decode(data)
        ended = time.perf_counter()
        bits = 8 * len(data) / (SIDE * SIDE)
        times = 1000 * (middle - begun), 1000 * (ended - middle)
        rows.append((bits, ssim(crop, made), psnr(crop, made), ms_ssim(crop, made), *times))
    means = np.mean(np.array(rows)[:, :4], 0)
    return Measured(
        *(float(value) for value in means), *(float(v) for v in np.median(np.array(rows)[:, 4:], 0))
    )


def bits_at(curve: Sequence[Measured], wanted: float, of: Callable[[Measured], float]) -> float:
    """Interpolate the bits a pixel that a codec needs; nan beyond its qualities."""
    ordered = sorted(curve, key=of)
    xs, ys = [of(one) for one in ordered], [np.log(one.bits) for one in ordered]
    return float(np.exp(np.interp(wanted, xs, ys))) if xs[0] <= wanted <= xs[-1] else float("nan")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("codec")
    parser.add_argument("tiles", nargs="+", type=Path)
    parser.add_argument("--crops", type=int, default=60)
    parser.add_argument("--halve", action="store_true")
    args = parser.parse_args()
    crops = crops_of(args.tiles, args.crops, halved=args.halve)
    spec = read_codec(find_codec(args.codec))
    learned = load_pixel_codec(f"neural:{args.codec}")
    print(
        f"{len(crops)} crops of {SIDE} px; {spec.name}: {spec.network}, N {spec.filters}, M {spec.channels}"
    )
    print(f"\n{'codec':24} {'bits/px':>8} {'SSIM':>7} {'PSNR':>6} {'MS-SSIM':>8} {'enc ms':>7} {'dec ms':>7}")
    measure(crops[:1], learned, make_settings(learned))  # PyTorch is loaded with the first
    found = _row("learned", measure(crops, learned, make_settings(learned)))
    if spec.light_sha256:
        with looking(wanted=True):
            measure(crops[:1], learned, make_settings(learned))
            _row("learned, light decoder", measure(crops, learned, make_settings(learned)))
    curves = {}
    for name, (kind, subsampling, qualities) in CURVES.items():
        codec = load_pixel_codec(kind)
        curves[name] = [measure(crops, codec, make_settings(codec, q, subsampling)) for q in qualities]
        for quality, one in zip(qualities, curves[name], strict=True):
            if quality == 90:
                _row(f"{name} {quality:g}", one)
    print(f"\nbits a pixel at the learned codec's {'SSIM':>17} {'MS-SSIM':>17} {'PSNR':>17}")
    for name, curve in curves.items():
        cells = []
        for of in (lambda m: m.ssim, lambda m: m.ms_ssim, lambda m: m.psnr):
            needed = bits_at(curve, of(found), of)
            cells.append(f"{needed:7.3f} ({100 * (1 - found.bits / needed):+5.1f} %)")
        print(f"{name:36} {' '.join(f'{cell:>17}' for cell in cells)}")
    print("(+: the learned codec needs so much less)")


def _row(name: str, one: Measured) -> Measured:
    print(
        f"{name:24} {one.bits:8.3f} {one.ssim:7.4f} {one.psnr:6.2f} {one.ms_ssim:8.4f} "
        f"{one.encode_ms:7.1f} {one.decode_ms:7.1f}"
    )
    return one


if __name__ == "__main__":
    main()
