"""Results are checked at any later time, with their slide and without."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_nic.errors import DamagedSlideError, StoreMismatchError, UnreadableSlideError
from napari_nic.jobs import result_of
from napari_nic.names import CONTAINER_SUFFIXES
from napari_nic.recompression import GlassOptions
from napari_nic.recompression.lossy import (
    CONTAINERS,
    LossyOptions,
    estimate_lossy,
    recompress_lossy,
    record_in,
    validate_lossy,
)


def made(slide: Path, folder: Path, container: str, **options: object) -> Path:
    out = folder / f"a{CONTAINER_SUFFIXES[container][0]}"
    chosen = LossyOptions(codec="jpeg", container=container, **options)  # type: ignore[arg-type] # by name
    result_of(recompress_lossy(slide, out, chosen, workers=1))
    return out


def largest(path: Path) -> Path:
    files = [path] if path.is_file() else [file for file in (path / "0" / "c").rglob("*") if file.is_file()]
    return max(files, key=lambda file: file.stat().st_size)


@pytest.mark.parametrize("container", CONTAINERS.names())
def test_a_whole_result_is_compared_with_its_slide(plain_slide: Path, tmp_path: Path, container: str) -> None:
    out = made(plain_slide, tmp_path, container, glass=GlassOptions(margin_um=10))
    found = result_of(validate_lossy(out, plain_slide, workers=1))
    assert found.tiles == 16
    assert 0 < found.mean_error <= found.worst_error < 6
    assert found.record.codec == "jpeg"
    assert found.record.source == plain_slide.name
    assert result_of(validate_lossy(out, workers=2)).against == ""


@pytest.mark.parametrize("container", CONTAINERS.names())
def test_one_changed_byte_is_found(plain_slide: Path, tmp_path: Path, container: str) -> None:
    out = made(plain_slide, tmp_path, container)
    file = largest(out)
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 1
    file.write_bytes(content)
    with pytest.raises(DamagedSlideError, match="not as it was written"):
        result_of(validate_lossy(out, workers=1))


def test_a_missing_chunk_is_found(plain_slide: Path, tmp_path: Path) -> None:
    out = made(plain_slide, tmp_path, "ome-zarr")
    largest(out).unlink()
    with pytest.raises(DamagedSlideError, match="not as it was written"):
        result_of(validate_lossy(out, workers=1))


def test_a_file_that_was_cut_off_is_found(plain_slide: Path, tmp_path: Path) -> None:
    out = made(plain_slide, tmp_path, "tiff")
    content = out.read_bytes()
    for size in (len(content) // 2, len(content) - 20):
        out.write_bytes(content[:size])
        with pytest.raises(DamagedSlideError):
            result_of(validate_lossy(out, workers=1))


def test_another_slide_is_told(plain_slide: Path, tmp_path: Path) -> None:
    out = made(plain_slide, tmp_path, "tiff")
    other = tmp_path / "other.tif"
    tifffile.imwrite(other, np.full((800, 1000, 3), 99, np.uint8), tile=(256, 256), photometric="rgb")
    with pytest.raises(StoreMismatchError, match="another slide"):
        result_of(validate_lossy(out, other, workers=1))


def test_what_another_program_wrote_is_told(plain_slide: Path) -> None:
    assert record_in(plain_slide) is None
    with pytest.raises(UnreadableSlideError, match="mode lossy"):
        result_of(validate_lossy(plain_slide))


@pytest.mark.parametrize("container", ["tiff", "ome-zarr"])
def test_an_estimate_is_near_and_writes_nothing(plain_slide: Path, tmp_path: Path, container: str) -> None:
    options = LossyOptions(codec="jpegxl", container=container, glass=GlassOptions(margin_um=10))
    out = tmp_path / f"a{CONTAINER_SUFFIXES[container][0]}"
    guess = result_of(estimate_lossy(plain_slide, out, options, workers=1))
    assert list(tmp_path.iterdir()) == []
    report = result_of(recompress_lossy(plain_slide, out, options, workers=1))
    assert guess.sampled
    assert guess.levels[0].glass == report.levels[0].glass
    assert guess.levels[0].size == pytest.approx(report.levels[0].size, rel=0.02)
