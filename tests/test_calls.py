"""Whole jobs in one call: the same results as the rooms give, progress, cancel, and clear refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import napari_nic as nic
from napari_nic import device
from napari_nic.embeddings import CompressedSlide
from napari_nic.encoders import get_spec
from napari_nic.errors import CancelledError, StoreError, StoreMismatchError
from napari_nic.geometry import RegionPx
from napari_nic.jobs import Progress
from napari_nic.pipeline import BlocksDone, GridOptions
from napari_nic.slide_models import ModelBundle, ModelCard, SlideNetConfig, Standardiser
from napari_nic.slide_models.architectures import build_network


@pytest.fixture
def stored(slide_path: Path, tmp_path: Path) -> CompressedSlide:
    """The slide compressed by mean colours."""
    return nic.compress(slide_path, "mean-rgb", out=tmp_path / "a.nic.zarr")


def test_compress_gives_a_complete_store_and_its_picture(stored: CompressedSlide, tmp_path: Path) -> None:
    assert stored.is_complete
    assert stored.status == "complete"
    assert not stored.writable
    assert stored.encoded().any()
    again = nic.open_compressed(tmp_path / "a.nic.zarr")
    np.testing.assert_array_equal(again.read(), stored.read())
    assert "data:image/png;base64," in stored._repr_html_()


def test_compress_takes_what_is_open_and_leaves_it_open(slide_path: Path, tmp_path: Path) -> None:
    encoder = nic.load_encoder("mean-rgb")
    told: list[Progress] = []
    with nic.open_slide(slide_path) as slide:
        store = nic.compress(slide, encoder, out=tmp_path / "b.nic.zarr", progress=told.append)
        assert slide.read_region(0, RegionPx(0, 0, 8, 8)).shape == (8, 8, 3)
    assert not isinstance(told[0], BlocksDone), "finding tissue is told too"
    reports = [report for report in told if isinstance(report, BlocksDone)]
    assert reports[0].done == 0
    assert reports[-1].done == reports[-1].total == int(store.coverage.sum())


def test_a_second_call_has_nothing_to_do(slide_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "c.nic.zarr"
    first = nic.compress(slide_path, "mean-rgb", out=path)
    reports: list[Progress] = []
    second = nic.compress(slide_path, "mean-rgb", out=path, progress=reports.append)
    assert [report.total for report in reports] == [0]
    np.testing.assert_array_equal(first.read(), second.read())


def test_a_store_is_gone_on_with_in_its_own_precision(
    slide_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "p.nic.zarr"
    begun = nic.compress(slide_path, nic.load_encoder("nic-default", precision="bfloat16"), out=path)
    monkeypatch.setattr(device, "_has_bfloat16", lambda _: False)
    assert nic.compress(slide_path, "nic-default", out=path).header.precision == "bfloat16"
    replaced = nic.compress(slide_path, "nic-default", out=path, overwrite=True)
    assert replaced.header.precision == "float32"
    assert begun.header.precision == "bfloat16"


def test_other_options_are_refused_or_overwrite(slide_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "d.nic.zarr"
    nic.compress(slide_path, "mean-rgb", out=path)
    fine = GridOptions(stride=64)
    with pytest.raises(StoreMismatchError):
        nic.compress(slide_path, "mean-rgb", out=path, options=fine)
    store = nic.compress(slide_path, "mean-rgb", out=path, options=fine, overwrite=True)
    assert store.grid.stride_px == 64


def test_a_bar_is_drawn_and_removed(
    slide_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = nic.compress(slide_path, "mean-rgb", out=tmp_path / "e.nic.zarr", progress=True)
    assert store.is_complete
    assert "mean" not in capsys.readouterr().out


def test_cancelling_keeps_what_was_done(slide_path: Path, tmp_path: Path) -> None:
    token, path = nic.CancellationToken(), tmp_path / "f.nic.zarr"

    def stop(report: Progress) -> None:
        if isinstance(report, BlocksDone):
            token.cancel()

    with pytest.raises(CancelledError):
        nic.compress(slide_path, "mean-rgb", out=path, cancel=token, progress=stop)
    assert nic.open_compressed(path).status == "partial"
    assert nic.compress(slide_path, "mean-rgb", out=path).is_complete


def test_glass_is_an_error(tmp_path: Path, make_tiff: Any) -> None:
    glass = make_tiff(tmp_path / "glass.tif", np.full((600, 700, 3), 243, np.uint8))
    with pytest.raises(StoreError, match="no tissue was found"):
        nic.compress(glass, "mean-rgb")


def test_what_a_file_contradicts_itself_in_is_a_warning(
    slide_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_nic import calls

    def noticing(path: Any) -> Any:
        slide = nic.open_slide(path)
        slide.notices += ("its header contradicts its pixels",)
        return slide

    monkeypatch.setattr(calls, "open_slide", noticing)
    with pytest.warns(UserWarning, match="contradicts its pixels"):
        nic.compress(slide_path, "mean-rgb", out=tmp_path / "g.nic.zarr")


def test_pca_is_that_of_the_room(stored: CompressedSlide) -> None:
    from napari_nic.explain import pca_overlay

    expected = pca_overlay(stored.read(), stored.encoded(), stored.grid.placement)
    for given in (stored, stored.path, str(stored.path)):
        np.testing.assert_array_equal(nic.pca(given).data, expected.data)


def test_nothing_encoded_is_an_error(slide_path: Path, tmp_path: Path) -> None:
    from napari_nic.pipeline import prepare_store

    with nic.open_slide(slide_path) as slide:
        prepare_store(slide, nic.load_encoder("mean-rgb"), path=tmp_path / "h.nic.zarr").close()
    with pytest.raises(StoreError, match="encoded yet"):
        nic.pca(tmp_path / "h.nic.zarr")


@pytest.fixture
def model() -> ModelBundle:
    """A model of the encoder mean-rgb, with random weights."""
    import torch

    network = SlideNetConfig.compact(3, 1, 24, width=8)
    card = ModelCard("toy", "classification", ("normal", "lesion"), get_spec("mean-rgb").to_dict(), network)
    torch.manual_seed(0)
    weights = {name: value.numpy() for name, value in build_network(network).state_dict().items()}
    return ModelBundle(card, weights, Standardiser(np.full(3, 128, np.float32), np.full(3, 40, np.float32)))


def test_predict_and_saliency_are_those_of_the_rooms(
    stored: CompressedSlide, model: ModelBundle, tmp_path: Path
) -> None:
    from napari_nic.explain import grad_cam
    from napari_nic.slide_models import predict

    model.save(tmp_path / "toy")
    expected = predict(model, stored, device="cpu")
    found = nic.predict(stored.path, tmp_path / "toy", device="cpu")
    np.testing.assert_array_equal(found.mean, expected.mean)
    raw = grad_cam(model, stored.read(), stored.encoded(), target=0, device="cpu")
    for target in ("normal", 0):
        overlay = nic.saliency(stored, model, target=target, device="cpu")
        np.testing.assert_array_equal(overlay.data[overlay.mask], raw.values[raw.mask])
    assert "<Overlay" in repr(overlay)
    assert "normal" in overlay._repr_html_()


def test_a_model_of_another_encoder_is_refused(stored: CompressedSlide) -> None:
    bundle = nic.load_model("lesion-demo")
    assert "lesion-demo" in repr(bundle)
    assert "lesion" in bundle._repr_html_()
    with pytest.raises(nic.NicError, match="another encoder"):
        nic.predict(stored, bundle)
    with pytest.raises(nic.NicError, match="another encoder"):
        nic.saliency(stored, "lesion-demo")


def test_what_notebooks_show(slide_path: Path, tmp_path: Path) -> None:
    with nic.open_slide(slide_path) as slide:
        shown = slide._repr_html_()
        tissue = nic.find_tissue(slide)
    assert slide_path.name in shown
    assert "data:image/png" in shown
    assert "data:image/png" not in slide._repr_html_(), "a closed slide has facts, but no pixels"
    assert "mm2" in repr(tissue)
    assert "data:image/png" in tissue._repr_html_()
