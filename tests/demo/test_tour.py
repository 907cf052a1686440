"""The tour: from nothing to pictures and an array in a folder."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from napari_nic.demo import DemoDone, run_demo
from napari_nic.embeddings import CompressedSlide
from napari_nic.errors import CancelledError, UnknownNameError
from napari_nic.jobs import CancellationToken


@pytest.fixture
def model_folder(mean_rgb_model, tmp_path):
    return mean_rgb_model.save(tmp_path / "model")


@pytest.mark.usefixtures("small_sample")
def test_everything_is_made(tmp_path, model_folder):
    out = tmp_path / "out"
    *_, last = run_demo(out, bundle=model_folder, samples=tmp_path / "samples")
    assert isinstance(last, DemoDone)
    assert all(path.exists() and path.parent == out for path in last.files)
    pictures = [path.name for path in last.files if path.suffix == ".png"]
    assert pictures == ["1-slide.png", "2-pca.png", "3-prediction.png", "4-saliency.png"]
    sizes = set()
    for name in pictures:
        with Image.open(out / name) as picture:
            sizes.add(picture.size)
    assert len(sizes) == 1

    (store_path,) = [path for path in last.files if path.name.endswith(".nic.zarr")]
    with CompressedSlide.open(store_path) as store:
        assert store.is_complete
        rows, cols, channels = store.shape
    array = np.load(next(path for path in last.files if path.name.endswith("_features.npy")))
    assert array.shape == (channels, rows, cols)
    assert last.prediction.cell_scores.shape == (rows, cols, 2)
    assert 0 < last.agreement.n_inside < last.agreement.n_cells

    # Once more over what is there.
    *_, again = run_demo(out, bundle=model_folder, samples=tmp_path / "samples")
    assert again.files == last.files


def test_an_unknown_model_is_told_before_any_work(tmp_path):
    with pytest.raises(UnknownNameError, match="no-such-model"):
        next(run_demo(tmp_path / "out", bundle="no-such-model"))
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("small_sample")
def test_it_can_be_cancelled(tmp_path, model_folder):
    token = CancellationToken()
    tour = run_demo(tmp_path / "out", bundle=model_folder, samples=tmp_path / "samples", token=token)
    next(tour)
    token.cancel()
    with pytest.raises(CancelledError):
        list(tour)
