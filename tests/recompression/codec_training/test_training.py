"""A learned codec is trained, stops, goes on, and is written; a light decoder is distilled for it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from napari_nic.errors import CancelledError, InvalidParameterError, WeightsError
from napari_nic.jobs import CancellationToken, result_of
from napari_nic.patches import TileFolder
from napari_nic.recompression.codec_training import (
    LAMBDAS,
    STARTS,
    CodecRecipe,
    DistilRecipe,
    LoadedPatches,
    load_patches,
)
from napari_nic.recompression.codec_training.augment import augment
from napari_nic.recompression.codec_training.distil import compare_decoders, distil
from napari_nic.recompression.codec_training.ms_ssim import ms_ssim
from napari_nic.recompression.codec_training.start import start_from_components
from napari_nic.recompression.codec_training.train import train_codec
from napari_nic.recompression.learned import LIGHT_FILE, decoding, read_codec, read_part
from napari_nic.recompression.learned.decoding import load_light_of, metadata_of, synthesis_macs
from napari_nic.recompression.learned.light import LightDecoder, load_light, pack_light
from napari_nic.recompression.lossy import load_pixel_codec, make_settings
from napari_nic.recompression.neural.networks import make_network
from napari_nic.recompression.neural.store import ENCODER_FILE, load_codec
from napari_nic.recompression.quality import ms_ssim as measured_ms_ssim
from napari_nic.recompression.quality import psnr
from napari_nic.training import TrainOptions


def tile(seed: int, side: int = 96) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / 30
    base = np.stack([180 + 50 * np.sin(3 * x + seed), 90 + 40 * np.cos(2 * y), 150 + 30 * np.sin(x + y)], -1)
    return np.clip(base + rng.normal(0, 4, (side, side, 1)), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six tiles of three patients."""
    path = tmp_path_factory.mktemp("tiles")
    for number in range(6):
        cv2.imwrite(str(path / f"p{number // 2}_{number}.png"), tile(number)[..., ::-1])
    return path


@pytest.fixture(scope="module")
def patches(folder: Path) -> LoadedPatches:
    return load_patches([TileFolder(folder, 0.5, group="p.")], [], size=64, held_out=0.34)


def recipe(out: Path, network: str = "bmshj2018-factorized", **changed: Any) -> CodecRecipe:
    options = {"steps": 8, "batch_size": 2, "validate_every": 4, "checkpoint_every": 3, "learning_rate": 1e-3}
    given = ("weight", "loss", "size", "quality", "card", "start", "filters", "channels")
    own = {"size": 64, "filters": 4, "channels": 12}
    own |= {name: changed.pop(name) for name in given if name in changed}
    trained = TrainOptions(**(options | changed))
    return CodecRecipe("made", out, network, device="cpu", options=trained, **own)


def files_of(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.glob("*.safetensors")}


@pytest.mark.parametrize(
    "network", ["bmshj2018-factorized", "bmshj2018-hyperprior", "mbt2018-mean", "elic2022"]
)
def test_each_network_is_trained_and_used(tmp_path: Path, patches: LoadedPatches, network: str) -> None:
    made = recipe(tmp_path / "made", network, steps=2, validate_every=2, card={"licence": "CC0"})
    reports = list(train_codec(made, patches))
    assert {"loss", "bits", "psnr"} <= set(reports[-1].validation)
    spec = read_codec(made.out)
    assert (spec.network, spec.filters, spec.channels, spec.licence) == (network, 4, 12, "CC0")
    assert spec.weight == LAMBDAS["mse"][5]
    assert spec.training["steps"] == 2
    assert "lambda 0.0483" in (made.out / "CARD.md").read_text("utf-8")
    codec = load_pixel_codec(f"neural:{made.out}")
    data = codec.encode(tile(9), make_settings(codec))
    assert codec.decode(data).shape == (96, 96, 3)


def test_it_learns(tmp_path: Path, patches: LoadedPatches) -> None:
    made = recipe(tmp_path / "made", steps=60, validate_every=20, learning_rate=5e-3, schedule="constant")
    reports = list(train_codec(made, patches))
    losses = [report.validation["loss"] for report in reports if report.validation]
    assert losses[-1] < 0.8 * losses[0]
    assert reports[-1].terms["auxiliary"] < reports[0].terms["auxiliary"]


def test_stopped_and_resumed_is_the_same_run(tmp_path: Path, patches: LoadedPatches) -> None:
    list(train_codec(recipe(tmp_path / "whole/made"), patches))
    token = CancellationToken()
    reports = train_codec(recipe(tmp_path / "parts/made"), patches, token=token)
    for _ in range(5):
        next(reports)
    token.cancel()
    with pytest.raises(CancelledError):
        next(reports)
    assert not (tmp_path / "parts/made").exists()
    rest = list(train_codec(recipe(tmp_path / "parts/made"), patches))
    assert rest[0].done == 6
    assert files_of(tmp_path / "parts/made") == files_of(tmp_path / "whole/made")
    with pytest.raises(WeightsError, match="other options"):
        next(iter(train_codec(recipe(tmp_path / "parts/made", weight=0.5), patches)))


@pytest.mark.parametrize("network", ["bmshj2018-factorized", "bmshj2018-hyperprior"])
def test_components_are_a_codec_before_the_first_step(
    tmp_path: Path, patches: LoadedPatches, network: str
) -> None:
    options = {"steps": 1, "validate_every": 1, "learning_rate": 1e-9, "schedule": "constant"}
    options |= {"filters": 16, "channels": 64}
    found = {}
    for start in STARTS:
        made = recipe(tmp_path / start, network, start=start, **options)
        found[start] = list(train_codec(made, patches))[-1].validation
    assert found["components"]["psnr"] > 35 > 20 > found["random"]["psnr"]
    assert 0 < found["components"]["bits"] < 4
    codec = load_pixel_codec(f"neural:{tmp_path / 'components'}")
    picture = tile(9, 64)
    assert psnr(picture, codec.decode(codec.encode(picture, make_settings(codec)))) > 35
    with pytest.raises(WeightsError, match="other options"):
        list(train_codec(recipe(tmp_path / "random", network, start="components", **options), patches))


def test_components_of_flat_tiles_are_numbers() -> None:
    net = make_network("bmshj2018-hyperprior", 8, 32)
    start_from_components(net, np.full((2, 64, 64, 3), 240, np.uint8), 0.1)
    assert all(torch.isfinite(value).all() for value in net.state_dict().values())


def test_a_start_that_a_network_does_not_have_is_refused(tmp_path: Path, patches: LoadedPatches) -> None:
    with pytest.raises(InvalidParameterError, match="no such start for this network"):
        list(train_codec(recipe(tmp_path / "made", "mbt2018-mean", start="components"), patches))
    too_many = recipe(tmp_path / "made", start="components", filters=4, channels=20)
    with pytest.raises(InvalidParameterError, match="no components for all channels"):
        list(train_codec(too_many, patches))
    with pytest.raises(InvalidParameterError, match="no such start"):
        recipe(tmp_path / "made", start="wavelets")


def test_patients_are_on_one_side_only(folder: Path) -> None:
    found = load_patches([TileFolder(folder, 0.5, group="p.")], [], size=64, held_out=0.34)
    assert len(found.train) == len(found.held_out) == 1
    assert found.facts[0]["groups"] == 3
    plain = found.held_out[0].draw(40, np.random.default_rng(0)).images
    means = {round(float(image.mean()), 3) for image in plain}
    again = found.held_out[0].draw(40, np.random.default_rng(0)).images
    np.testing.assert_array_equal(plain, again)
    assert len(means) > 10
    changed = found.train[0].draw(40, np.random.default_rng(0)).images
    assert changed.shape == (40, 64, 64, 3)


def test_what_cannot_be_trained_on_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError, match="nothing to train on"):
        load_patches([], [], size=64, held_out=0.1)
    for wrong in ({"size": 60}, {"loss": "ms-ssim"}, {"loss": "mae"}, {"quality": 9}):
        with pytest.raises(InvalidParameterError):
            recipe(tmp_path / "made", **wrong)
    with pytest.raises(InvalidParameterError, match="no tile"):
        load_patches([TileFolder(folder, 0.5)], [], size=128, held_out=0.1)


def test_augmentation_keeps_to_the_picture() -> None:
    rng = np.random.default_rng(1)
    image = tile(0, 64)
    made = [augment(image, rng) for _ in range(40)]
    assert all(one.dtype == np.uint8 and one.shape == image.shape for one in made)
    assert all(abs(float(one.mean()) - float(image.mean())) < 60 for one in made)
    assert any(np.array_equal(one, image[::-1, ::-1]) or np.array_equal(one, image[::-1]) for one in made)


def test_ms_ssim_is_the_one_that_is_measured() -> None:
    rng = np.random.default_rng(0)
    one = tile(0, 192)
    for sigma in (2, 12, 40):
        other = np.clip(one + rng.normal(0, sigma, one.shape), 0, 255).astype(np.uint8)
        x, y = (torch.from_numpy(a).permute(2, 0, 1)[None].float() / 255 for a in (one, other))
        assert float(ms_ssim(x, y)) == pytest.approx(measured_ms_ssim(one, other), abs=2e-3)


def test_it_learns_by_ms_ssim(tmp_path: Path) -> None:
    path = tmp_path / "tiles"
    path.mkdir()
    for number in range(2):
        cv2.imwrite(str(path / f"{number}.png"), tile(number, 200)[..., ::-1])
    patches = load_patches([TileFolder(path, 0.5)], [], size=192, held_out=0.5)
    made = recipe(tmp_path / "made", loss="ms-ssim", size=192, steps=2, validate_every=2)
    reports = list(train_codec(made, patches))
    assert 0 < reports[-1].validation["ms_ssim"] < 1
    assert read_codec(made.out).weight == 60.5


# -- light decoders ----------------------------------------------------------------------------------------


def test_a_light_decoder_is_distilled_and_named(tmp_path: Path, patches: LoadedPatches) -> None:
    made = recipe(tmp_path / "made")
    list(train_codec(made, patches))
    before = files_of(made.out)
    options = TrainOptions(steps=30, batch_size=2, validate_every=10, checkpoint_every=10)
    how = DistilRecipe(made.out, width=8, blocks=1, size=64, device="cpu", options=options)
    reports = list(distil(how, patches))
    losses = [report.validation["loss"] for report in reports if report.validation]
    assert losses[-1] < losses[0]
    assert {name: data for name, data in files_of(made.out).items() if name != LIGHT_FILE} == before
    spec = read_codec(made.out)
    light = read_part(made.out, LIGHT_FILE, spec.light_sha256)
    assert metadata_of(light)["of"] == spec.decoder_sha256
    assert spec.light_training["steps"] == 30
    compared = result_of(compare_decoders(made.out, patches))
    assert [one.name for one in compared] == ["full", "light"]
    assert all(one.tiles_per_second > 0 and 5 < one.psnr < 60 and 0 < one.ssim < 1 for one in compared)
    network = load_pixel_codec(f"neural:{made.out}").network
    assert network is not None
    assert network.light == light


def test_a_light_decoder_starts_as_the_best_linear_map() -> None:
    torch.manual_seed(0)
    y = torch.randn(6, 12, 8, 8) * torch.tensor([100.0, 1.0, 4.0] * 4)[:, None, None]
    pixels = torch.nn.functional.pixel_shuffle(torch.einsum("ok,nkhw->nohw", torch.randn(768, 12), y), 16)
    pixels = 0.5 + 0.1 * pixels / pixels.std()
    net = LightDecoder(12, 48, 1)
    net.start_from(y[:4], pixels[:4])
    with torch.no_grad():
        torch.testing.assert_close(net(y[4:]), pixels[4:], rtol=0, atol=2e-3)


def test_a_narrow_light_decoder_starts_with_channels_that_count_alike() -> None:
    torch.manual_seed(0)
    y = torch.randn(64, 12, 4, 4) * torch.tensor([100.0, 1.0, 4.0, 0.0] * 3)[:, None, None]
    net = LightDecoder(12, 8, 1)
    before = net.first(y).detach()
    net.start_from(y, torch.zeros(64, 3, 64, 64))
    after = net.first(y).detach()
    assert float(before.std()) > 10
    assert 0.2 < float(after.std()) < 1
    alone = net.first(y * (torch.arange(12) % 4 == 1)[:, None, None]).detach()
    assert float(alone.std()) > 0.3 * float(after.std()), "quiet channels are heard beside loud ones"


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_viewer_has_the_precision_that_is_quicker(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    net = LightDecoder(12, 48, 2)
    data = pack_light(net, "a" * 64)
    monkeypatch.setattr(decoding, "choose_precision", lambda *_: precision)
    light = decoding.light_for_looking(data, "a" * 64)
    assert {value.dtype for value in light.parameters()} == {getattr(torch, precision)}
    y = torch.randn(1, 12, 4, 4)
    with torch.inference_mode():
        exact, found = net(y), light(y).float()
    assert float((found - exact).abs().max()) < (1e-5 if precision == "float32" else 0.02)


def test_a_codec_that_only_decodes_is_no_teacher(
    learned_folder: Path, tmp_path: Path, patches: LoadedPatches
) -> None:
    copy = tmp_path / "decoder"
    shutil.copytree(learned_folder, copy)
    (copy / ENCODER_FILE).unlink()
    with pytest.raises(WeightsError, match="without the weights of its encoder"):
        list(distil(DistilRecipe(copy, width=8, blocks=1, size=64, device="cpu"), patches))


def test_a_light_decoder_of_another_codec_is_refused() -> None:
    data = pack_light(LightDecoder(12, 8, 1), "a" * 64)
    assert load_light_of(data, "a" * 64).channels == 12
    with pytest.raises(WeightsError, match="another codec"):
        load_light_of(data, "b" * 64)
    with pytest.raises(WeightsError, match="no weights"):
        load_light_of(b"nonsense", "a" * 64)
    with pytest.raises(WeightsError, match="does not fit"):
        load_light(data, metadata_of(data) | {"width": "16"})
    with pytest.raises(WeightsError, match="does not fit"):
        load_light(data[:-8], metadata_of(data))


@pytest.mark.parametrize(("channels", "width", "blocks"), [(192, 48, 4), (320, 64, 4), (12, 8, 1)])
def test_a_light_decoder_is_as_light_as_it_says(channels: int, width: int, blocks: int) -> None:
    net = LightDecoder(channels, width, blocks)
    assert net.macs == pytest.approx(synthesis_macs(net, channels))
    assert net.macs <= 16_000


def test_multiplications_of_the_published_synthesis(learned_folder: Path) -> None:
    """Four transposed convolutions of 5 x 5, N = 72, M = 288."""
    codec = load_codec(learned_folder)
    convolutions = 25 * (288 * 72 / 256 + 72 * 72 / 64 + 72 * 72 / 16 + 72 * 3 / 4)
    assert synthesis_macs(codec.synthesis, 288) == pytest.approx(convolutions)
