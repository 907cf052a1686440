"""``napari-nic export``."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from napari_nic.embeddings import CompressedSlide


def test_npy_beside_the_store(cli, store: Path) -> None:
    outcome = cli("export", store, "--format", "npy")
    assert outcome.code == 0
    main = Path(outcome.out.splitlines()[0])
    assert main.parent == store.parent
    expected = CompressedSlide.open(store).read()
    np.testing.assert_array_equal(np.load(main), np.moveaxis(expected, -1, 0))


def test_trident_to_a_file(cli, store: Path, tmp_path: Path) -> None:
    out = tmp_path / "made.h5"
    assert cli("export", store, "--format", "trident", "--out", out).code == 0
    with h5py.File(out) as file:
        assert file["features"].shape == (int(CompressedSlide.open(store).coverage.sum()), 3)


def test_slide_stands_for_its_store(cli, slide: Path, store: Path, tmp_path: Path) -> None:
    (record,) = cli("export", slide, "--format", "npy", "--out", tmp_path / "arrays", "--json").json
    assert all(Path(file).is_file() for file in record["files"])


def test_slide_without_store(cli, slide: Path) -> None:
    outcome = cli("export", slide, "--format", "npy")
    assert outcome.code == 1
    assert f"napari-nic compress {slide}" in outcome.err


def test_slide_with_several_stores(cli, slide: Path, store: Path) -> None:
    cli("compress", slide, "--encoder", "mean-rgb", "--out", slide.with_name("made.other.nic.zarr"))
    outcome = cli("export", slide, "--format", "npy")
    assert outcome.code == 1
    assert "made.nic.zarr, made.other.nic.zarr" in outcome.err


def test_unknown_format(cli, store: Path) -> None:
    outcome = cli("export", store, "--format", "floppy")
    assert outcome.code == 2
    assert "trident" in outcome.err


def test_existing_file_is_kept(cli, store: Path) -> None:
    cli("export", store, "--format", "npy")
    assert cli("export", store, "--format", "npy").code == 1
    assert cli("export", store, "--format", "npy", "--overwrite").code == 0
