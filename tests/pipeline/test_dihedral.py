"""Codes of transformed patches: those of the transformed slide, resumable, and never taken for others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_nic.embeddings import CompressedSlide, find_stores
from napari_nic.embeddings.dihedral import (
    N_DIHEDRAL,
    apply_dihedral,
    open_transformed,
    transformed_path,
    undo_dihedral,
)
from napari_nic.errors import CancelledError, StoreError, StoreMismatchError
from napari_nic.jobs import CancellationToken
from napari_nic.pipeline import GridOptions, iter_compress, iter_compress_transformed, prepare_store
from napari_nic.slides import open_slide

EVERYTHING = GridOptions(min_tissue=0)


@pytest.mark.parametrize("transform", range(N_DIHEDRAL))
def test_undoing_a_transform_gives_the_array_back(transform: int) -> None:
    grid = np.arange(24).reshape(2, 3, 4)
    np.testing.assert_array_equal(undo_dihedral(apply_dihedral(grid, transform), transform), grid)


def compressed(path: Path, encoder: Any, *, transformed: bool = False) -> CompressedSlide:
    with open_slide(path) as slide, prepare_store(slide, encoder, options=EVERYTHING) as store:
        for _ in iter_compress(slide, encoder, store, workers=1):
            pass
        if transformed:
            for _ in iter_compress_transformed(slide, encoder, store, workers=1):
                pass
    return CompressedSlide.open(store.path)


@pytest.fixture
def image() -> np.ndarray:
    """4 x 3 patches of noise."""
    return np.random.default_rng(0).integers(0, 255, (512, 384, 3), np.uint8)


@pytest.fixture
def slide_file(image: np.ndarray, make_tiff: Callable[..., Path], tmp_path: Path) -> Path:
    return make_tiff(tmp_path / "upright.tif", image, factors=(1,), compression=None)


def test_they_are_the_codes_of_the_turned_slide(
    image: np.ndarray, slide_file: Path, make_tiff: Callable[..., Path], tmp_path: Path, moment_encoder: Any
) -> None:
    encoder = moment_encoder(input_size=128)
    store = compressed(slide_file, encoder, transformed=True)
    transformed = open_transformed(store)
    assert len(transformed) == N_DIHEDRAL - 1
    for number in (1, 3, 4, 6):
        file = make_tiff(
            tmp_path / f"turned{number}.tif",
            apply_dihedral(image, number).copy(),
            factors=(1,),
            compression=None,
        )
        expected = compressed(file, encoder).read()
        np.testing.assert_allclose(
            apply_dihedral(transformed[number - 1].read(), number), expected, rtol=2e-3, atol=1e-2
        )
    assert find_stores(slide_file) == [store.path]


def test_an_interrupted_run_goes_on(slide_file: Path, moment_encoder: Any) -> None:
    encoder = moment_encoder()
    store = compressed(slide_file, encoder)
    token = CancellationToken()
    with open_slide(slide_file) as slide:
        run = iter_compress_transformed(slide, encoder, store, token=token, workers=1)
        assert next(run).stage == "dihedral transform 1 of 7"
        next(run)
        token.cancel()
        with pytest.raises(CancelledError):
            list(run)
        assert open_transformed(store) == ()
        before = transformed_path(store.path, 1).stat().st_mtime_ns
        list(iter_compress_transformed(slide, encoder, store, workers=1))
        assert transformed_path(store.path, 1).stat().st_mtime_ns == before
        assert len(open_transformed(store)) == N_DIHEDRAL - 1
        assert not any(
            report.blocks for report in iter_compress_transformed(slide, encoder, store, workers=1)
        )


def test_what_does_not_belong_is_refused(slide_file: Path, moment_encoder: Any, tmp_path: Path) -> None:
    encoder = moment_encoder()
    store = compressed(slide_file, encoder, transformed=True)
    transformed_path(store.path, 1).rename(tmp_path / "one")
    transformed_path(store.path, 2).rename(transformed_path(store.path, 1))
    (tmp_path / "one").rename(transformed_path(store.path, 2))
    with pytest.raises(StoreMismatchError, match="do not belong"):
        open_transformed(store)
    with open_slide(slide_file) as slide, pytest.raises(StoreMismatchError, match="other settings"):
        list(iter_compress_transformed(slide, encoder, store, workers=1))
    third = CompressedSlide.open(transformed_path(store.path, 3))
    with pytest.raises(StoreMismatchError):
        third.check_encoder(encoder.spec)


def test_the_slide_comes_first(slide_file: Path, moment_encoder: Any) -> None:
    encoder = moment_encoder()
    with (
        open_slide(slide_file) as slide,
        prepare_store(slide, encoder, options=EVERYTHING) as store,
        pytest.raises(StoreError, match="finish it first"),
    ):
        list(iter_compress_transformed(slide, encoder, store))
