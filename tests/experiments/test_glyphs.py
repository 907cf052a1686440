"""Digits: MNIST's files, scikit-learn's digits, and picking by class."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest

from napari_nic.errors import InvalidParameterError
from napari_nic_experiments.digits import Glyphs, read_mnist, sklearn_glyphs
from napari_nic_experiments.digits.glyphs import whiten


@pytest.fixture
def mnist(tmp_path):
    """Ten pictures as MNIST's files: labels gzipped, images plain."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (10, 28, 28), np.uint8)
    images[:, 27] = images[:, :, 27] = 0
    (tmp_path / "train-images-idx3-ubyte").write_bytes(
        struct.pack(">4I", 2051, 10, 28, 28) + images.tobytes()
    )
    labels = struct.pack(">2I", 2049, 10) + bytes(range(10))
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
    return tmp_path, images


def test_every_third_pixel_of_mnist_is_kept_and_the_bright_ones_are_white(mnist) -> None:
    folder, images = mnist
    glyphs = read_mnist(folder)
    expected = np.where(images > 63, 255, images)[:, 0:27:3, 0:27:3]
    np.testing.assert_array_equal(glyphs.images, expected)
    assert glyphs.labels.tolist() == list(range(10))


@pytest.mark.parametrize("damage", ["missing", "short", "kind"])
def test_damaged_files_are_named(mnist, damage) -> None:
    folder, _ = mnist
    file = folder / "train-images-idx3-ubyte"
    content = file.read_bytes()
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(content[:-5] if damage == "short" else b"\0" * 4 + content[4:])
    with pytest.raises(InvalidParameterError, match="MNIST"):
        read_mnist(folder)


def test_a_damaged_archive_is_named(mnist) -> None:
    folder, _ = mnist
    file = folder / "train-labels-idx1-ubyte.gz"
    file.write_bytes(file.read_bytes()[:20])
    with pytest.raises(InvalidParameterError, match=r"labels-idx1-ubyte\.gz"):
        read_mnist(folder)


@pytest.mark.data
def test_what_is_dropped_of_real_mnist_is_empty(data_dir) -> None:
    glyphs = read_mnist(data_dir / "mnist", "test")
    content = gzip.decompress((data_dir / "mnist" / "t10k-images-idx3-ubyte.gz").read_bytes())
    images = np.frombuffer(content, np.uint8, offset=16).reshape(-1, 28, 28)
    assert len(glyphs) == len(images) == 10_000
    dropped = np.count_nonzero(images[:, 27, ::3]) + np.count_nonzero(images[:, ::3, 27])
    assert dropped < 1e-3 * np.count_nonzero(glyphs.images)


def test_sklearns_digits_are_shared_out() -> None:
    train, test = sklearn_glyphs("train"), sklearn_glyphs("test")
    assert len(train) + len(test) == 1797
    assert train.images.max() == 255
    assert not train.images[:, -1].any()


def test_whitening_scales_first() -> None:
    assert whiten(np.array([0, 3, 4, 16]), 16).tolist() == [0, 47, 63, 255]


def test_picked_digits_are_of_the_class(glyphs) -> None:
    wanted = np.arange(1000) % 10
    picked = glyphs.pick(wanted, np.random.default_rng(0))
    np.testing.assert_array_equal(glyphs.labels[picked], wanted)
    assert len(np.unique(picked)) == len(glyphs)


def test_a_set_without_a_class_is_refused(glyphs) -> None:
    with pytest.raises(InvalidParameterError, match="all 10 classes"):
        Glyphs(glyphs.images[:9], glyphs.labels[:9], "nine")
