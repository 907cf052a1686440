"""Learned codecs as files: they come back whole, decode alone, and damage is told."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import load, save

from napari_nic.errors import WeightsError
from napari_nic.recompression.neural.store import (
    CODEC_FILE,
    DECODER_FILE,
    ENCODER_FILE,
    decoder_bytes,
    load_codec,
    load_decoder,
    save_codec,
)


@pytest.fixture
def folder(codec, tmp_path):
    save_codec(codec, tmp_path / "codec")
    return tmp_path / "codec"


def test_a_codec_comes_back(codec, folder, pixels):
    found = load_codec(folder)
    assert found.description == codec.description
    streams = codec.encode(pixels)
    assert found.encode(pixels) == streams
    np.testing.assert_array_equal(found.decode(streams, (128, 128)), codec.decode(streams, (128, 128)))
    assert decoder_bytes(found) == decoder_bytes(codec) == (folder / DECODER_FILE).read_bytes()
    assert json.loads((folder / CODEC_FILE).read_text())["network"] == codec.description.network


def test_without_its_encoder_it_decodes(folder, codec, pixels):
    (folder / ENCODER_FILE).unlink()
    found = load_codec(folder)
    streams = codec.encode(pixels)
    np.testing.assert_array_equal(found.decode(streams, (128, 128)), codec.decode(streams, (128, 128)))
    with pytest.raises(WeightsError):
        found.encode(pixels)
    with pytest.raises(WeightsError):
        save_codec(found, folder)


@pytest.mark.parametrize("file", [CODEC_FILE, DECODER_FILE, ENCODER_FILE])
def test_a_flipped_bit_is_told(folder, file):
    content = bytearray((folder / file).read_bytes())
    content[len(content) * 2 // 3] ^= 1
    (folder / file).write_bytes(bytes(content))
    with pytest.raises(WeightsError):
        load_codec(folder)


def test_missing_files_and_others_are_told(folder, codecs, name):
    other = next(codec for key, codec in codecs.items() if key != name)
    (folder / DECODER_FILE).write_bytes(decoder_bytes(other))
    with pytest.raises(WeightsError, match="different"):
        load_codec(folder)
    (folder / DECODER_FILE).unlink()
    with pytest.raises(WeightsError, match="missing"):
        load_codec(folder)
    for wrong in (b"", b"no safetensors", save({"a": np.zeros(3, np.float32)})):
        with pytest.raises(WeightsError):
            load_decoder(wrong)


def changed(content: bytes, **entries: object) -> bytes:
    arrays = dict(load(content))
    description = {**json.loads(arrays["description"].tobytes()), **entries}
    arrays["description"] = np.frombuffer(json.dumps(description).encode(), np.uint8)
    return save(arrays)


def test_descriptions_are_checked(codec):
    content = decoder_bytes(codec)
    assert load_decoder(changed(content)).description == codec.description
    for wrong in (
        {"format": 2},
        {"network": "jpeg"},
        {"filters": 0},
        {"filters": codec.description.filters + 1},
        {"channels": 10**9},
        {"symbols_sha256": "0" * 64},
        {"decoder_sha256": "no"},
        {"more": 1},
    ):
        with pytest.raises(WeightsError):
            load_decoder(changed(content, **wrong))
