"""Slides of a learned codec: they open elsewhere, and say in a sentence what is wrong with them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_nic.errors import DamagedSlideError, NicError, WeightsError
from napari_nic.jobs import result_of
from napari_nic.names import CONTAINER_SUFFIXES
from napari_nic.recompression.codec_training.publish import add_light
from napari_nic.recompression.learned import decoding, read_codec
from napari_nic.recompression.learned.light import LightDecoder, pack_light
from napari_nic.recompression.lossy import (
    LossyOptions,
    LossyReport,
    Verdict,
    WrittenTile,
    load_pixel_codec,
    recompress_lossy,
    record_in,
    validate_lossy,
)
from napari_nic.slides import open_slide
from napari_nic.slides.readers import learned_tiles
from napari_nic.slides.readers.learned_tiles import (
    COMPRESSION,
    NETWORK_FILE,
    NETWORK_TAG,
    decode_learned,
    learned_size,
    read_network,
)

ROWS, COLS = 300, 420


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:ROWS, :COLS] / 90
    pixels = np.stack([190 + 40 * np.sin(3 * x), 110 + 30 * np.cos(2 * y), 160 + 20 * np.sin(x + y)], -1)
    pixels += rng.normal(0, 5, (ROWS, COLS, 1))
    path = tmp_path_factory.mktemp("slide") / "a.tif"
    tifffile.imwrite(path, np.clip(pixels, 0, 255).astype(np.uint8), tile=(128, 128), photometric="rgb")
    return path


def written(slide: Path, folder: Path, codec: Path, container: str, **more: Any) -> tuple[Path, LossyReport]:
    out = folder / f"result{CONTAINER_SUFFIXES[container][0]}"
    options = LossyOptions(codec=f"neural:{codec}", container=container)
    return out, result_of(recompress_lossy(slide, out, options, workers=2, **more))


def pixels_of(path: Path) -> np.ndarray:
    with open_slide(path, color="raw") as opened:
        return opened.read_region(0, opened.levels[0].region)


def copied(folder: Path, to: Path) -> Path:
    shutil.copytree(folder, to)
    return to


@pytest.mark.parametrize("container", ["tiff", "ome-zarr"])
def test_it_opens_where_the_codec_is_not(
    slide: Path, tmp_path: Path, learned_folder: Path, container: str
) -> None:
    codec = copied(learned_folder, tmp_path / "codec")
    out, report = written(slide, tmp_path, codec, container)
    shutil.rmtree(codec)
    assert report.codec == "neural:wavelet"
    assert report.better == {}
    assert np.abs(pixels_of(out).astype(float) - pixels_of(slide)).mean() < 6
    assert result_of(validate_lossy(out, slide, workers=1)).worst_error < 8
    record = record_in(out)
    assert record is not None
    assert record.codec == "neural:wavelet"


def test_the_file_names_the_network_by_its_hash(slide: Path, tmp_path: Path, learned_folder: Path) -> None:
    out, _ = written(slide, tmp_path, learned_folder, "tiff")
    network = load_pixel_codec(f"neural:{learned_folder}").network
    assert network is not None
    with tifffile.TiffFile(out) as tif:
        assert int(tif.pages.first.compression) == COMPRESSION
        travelled = read_network(tif.pages.first.tags[NETWORK_TAG].value)
    assert travelled.id == network.id
    assert travelled.decoder == network.decoder
    assert travelled.facts["name"] == "wavelet"


def test_a_tile_that_is_not_good_enough_is_jpeg_xl(slide: Path, tmp_path: Path, learned_folder: Path) -> None:
    tried: list[int] = []

    def check(tile: WrittenTile) -> Verdict:
        if (tile.level, tile.row, tile.col) != (0, 1, 1):
            return Verdict(True)
        tried.append(learned_size(tile.data) is not None and tile.data.startswith(b"NICT"))
        return Verdict(tile.attempt > 0, "hue")

    out, report = written(slide, tmp_path, learned_folder, "tiff", check=check)
    assert tried == [True, False]
    assert report.better == {"hue": 1}
    with tifffile.TiffFile(out) as tif:
        page = tif.pages.first
        starts = []
        for offset in page.dataoffsets:
            tif.filehandle.seek(offset)
            starts.append(tif.filehandle.read(2))
    assert starts.count(b"\xff\x0a") == 1
    assert starts[1 * 4 + 1] == b"\xff\x0a"
    assert np.abs(pixels_of(out).astype(float) - pixels_of(slide)).mean() < 6


def largest_tile(path: Path) -> tuple[Path, int, int]:
    """Return the file of the largest tile, and where in it the tile lies."""
    if path.is_dir():
        files = (file for file in (path / "0" / "c").rglob("*") if file.is_file())
        file = max(files, key=lambda one: one.stat().st_size)
        return file, 0, file.stat().st_size
    with tifffile.TiffFile(path) as tif:
        page = tif.pages.first
        length, offset = max(zip(page.databytecounts, page.dataoffsets, strict=True))
    return path, offset, length


@pytest.mark.parametrize("container", ["tiff", "ome-zarr"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.98])
def test_a_damaged_stream_is_told(
    slide: Path, tmp_path: Path, learned_folder: Path, container: str, share: float
) -> None:
    out, _ = written(slide, tmp_path, learned_folder, container)
    file, offset, length = largest_tile(out)
    content = bytearray(file.read_bytes())
    content[offset + int(share * length)] ^= 4
    file.write_bytes(content)
    with pytest.raises(DamagedSlideError, match="cannot be decoded"):
        pixels_of(out)


def test_a_stream_that_was_cut_off_is_told(slide: Path, tmp_path: Path, learned_folder: Path) -> None:
    out, _ = written(slide, tmp_path, learned_folder, "ome-zarr")
    file, _, length = largest_tile(out)
    for size in (0, 1, 20, 30, length - 1):
        file.write_bytes(file.read_bytes()[:size])
        with pytest.raises(DamagedSlideError):
            pixels_of(out)


def in_tiff(path: Path, change: Callable[[bytes], bytes]) -> None:
    """Change the network within a TIFF."""
    with tifffile.TiffFile(path) as tif:
        tag = tif.pages.first.tags[NETWORK_TAG]
        data, at = tag.value, tag.valueoffset
    content = bytearray(path.read_bytes())
    new = change(data)
    assert len(new) == len(data)
    content[at : at + len(new)] = new
    path.write_bytes(content)


def in_zarr(path: Path, change: Callable[[bytes], bytes]) -> None:
    file = path / NETWORK_FILE
    file.write_bytes(change(file.read_bytes()))


CHANGE = {"tiff": in_tiff, "ome-zarr": in_zarr}


@pytest.mark.parametrize("container", CHANGE)
@pytest.mark.parametrize("share", [0.0, 0.0002, 0.5, 0.9999])
def test_a_damaged_network_is_told(
    slide: Path, tmp_path: Path, learned_folder: Path, container: str, share: float
) -> None:
    out, _ = written(slide, tmp_path, learned_folder, container)

    def flipped(data: bytes) -> bytes:
        changed = bytearray(data)
        changed[int(share * len(data))] ^= 16
        return bytes(changed)

    CHANGE[container](out, flipped)
    with pytest.raises(NicError, match="network"):
        pixels_of(out)


@pytest.mark.parametrize("container", CHANGE)
def test_another_network_is_told_and_never_used(
    slide: Path, tmp_path: Path, learned_folder: Path, wavelet: Any, container: str
) -> None:
    other = wavelet.write_codec(tmp_path / "other", step=8.0)
    out, _ = written(slide, tmp_path, learned_folder, container)
    foreign = load_pixel_codec(f"neural:{other}").network
    assert foreign is not None
    CHANGE[container](out, lambda data: padded_to(foreign, len(data)))
    with pytest.raises(NicError, match=r"another (network|one)"):
        pixels_of(out)


def padded_to(network: Any, length: int) -> bytes:
    """Return a network as it travels, made as long as another one by its name."""
    lack = length - len(network.to_bytes())
    named = {**network.facts, "name": network.facts["name"] + "x" * lack}
    return type(network)(network.id, network.decoder, network.light, named).to_bytes()


def test_a_missing_network_is_told(slide: Path, tmp_path: Path, learned_folder: Path) -> None:
    out, _ = written(slide, tmp_path, learned_folder, "ome-zarr")
    (out / NETWORK_FILE).unlink()
    with pytest.raises(WeightsError, match="is not there"):
        open_slide(out)


def test_a_tile_alone_is_decoded_by_no_network(learned_folder: Path) -> None:
    codec = load_pixel_codec(f"neural:{learned_folder}")
    assert codec.network is not None
    tile = np.full((32, 48, 3), 200, np.uint8)
    data = codec.encode(tile, _settings(codec))
    assert learned_size(data) == (32, 48)
    stranger = data[:10] + bytes(16) + data[26:]
    with pytest.raises(ValueError, match="another network"):
        codec.decode(stranger)
    with pytest.raises(ValueError, match="without its slide"):
        decode_learned(data)
    for wrong in (b"", data[:20], b"NICT" + bytes(40), data[:4] + b"\x02" + data[5:]):
        with pytest.raises(ValueError, match="no tile"):
            decode_learned(wrong)


def _settings(codec: Any) -> Any:
    from napari_nic.recompression.lossy import make_settings

    return make_settings(codec)


def test_a_run_that_was_stopped_begins_anew_with_another_network(
    slide: Path, tmp_path: Path, wavelet: Any
) -> None:
    """The folder has the same name, and holds another codec now."""
    codec = wavelet.write_codec(tmp_path / "codec")
    options = LossyOptions(codec=f"neural:{codec}")
    job = recompress_lossy(slide, tmp_path / "b.tif", options, workers=1)
    for report in job:
        if report.stage.startswith("encoding") and report.done == 5:
            break
    job.close()
    shutil.rmtree(codec)
    wavelet.write_codec(tmp_path / "codec", step=8.0)
    assert result_of(recompress_lossy(slide, tmp_path / "b.tif", options, workers=1)).resumed == 0


class Flat:
    """A light decoder that shows where it was used: all is grey."""

    def decode(self, stream: bytes, rows: int, cols: int) -> np.ndarray:
        return np.full((rows, cols, 3), 128, np.uint8)


@pytest.mark.parametrize("container", ["tiff", "ome-zarr"])
def test_light_decoders_are_for_looking_alone(
    slide: Path, tmp_path: Path, learned_folder: Path, container: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec = copied(learned_folder, tmp_path / "codec")
    spec = read_codec(codec)
    light = pack_light(LightDecoder(spec.channels, 8, 1), spec.decoder_sha256)
    add_light(codec, spec, light, {}, "")
    out, _ = written(slide, tmp_path, codec, container)
    opened: list[bool] = []

    def open_decoder(decoder: bytes, light: bytes | None) -> Any:
        opened.append(light is not None)
        return Flat() if light is not None else decoding.open_decoder(decoder, light)

    monkeypatch.setitem(learned_tiles.DECODERS._entries, "learned", open_decoder)
    with open_slide(out, color="raw") as plain:
        seen = plain.with_hatching(lambda _: None)
        region = plain.levels[0].region
        assert not (plain.read_region(0, region) == 128).all()
        assert (seen.read_region(0, region) == 128).all()
        assert (np.asarray(seen.pyramid()[0][:64, :64]) == 128).all()
        assert not (plain.read_region(0, region) == 128).all()
        assert not (np.asarray(plain.pyramid()[0][:64, :64]) == 128).all()
    assert sorted(opened) == [False, True] or opened == [True]
