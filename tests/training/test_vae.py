from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_nic.encoders import load_encoder
from napari_nic.errors import CancelledError, WeightsError
from napari_nic.jobs import CancellationToken
from napari_nic.patches import TileFolder, TileSet, load_tiles
from napari_nic.training.publish import weigh_codes
from napari_nic.training.recipe import VaeRecipe, reconstruction_quality, train_encoder
from napari_nic.training.vae import Vae, VaeOptions, load_vae, train_vae, vae_loss

OPTIONS = VaeOptions(code_size=16, steps=12, batch_size=8, decoder_width=16, checkpoint_every=4)


def patches_of(folder):
    return TileSet(load_tiles([TileFolder(folder, 1.0)], mpp=1.0, least_side=64).tiles, 64, mpp=1.0)


def weights_of(folder):
    return load_vae(folder).state_dict()


def test_the_loss_is_the_papers_with_the_usual_sign_of_the_divergence():
    x = torch.zeros(2, 3, 64, 64)
    mean, log_variance = torch.full((2, 4), 2.0), torch.zeros(2, 4)
    loss, terms = vae_loss(x, x + 0.5, mean, log_variance, 0.1)
    assert terms == {"mse": pytest.approx(0.25), "kl": pytest.approx(8.0)}
    assert float(loss) == pytest.approx(0.25 + 0.1 * 8)
    reference = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, 1.0), torch.distributions.Normal(0.0, 1.0)
    )
    assert terms["kl"] == pytest.approx(float(reference.sum(1).mean()))


def test_training_lowers_the_loss(tile_folder, tmp_path):
    options = replace(OPTIONS, steps=40)
    errors = [p.terms["mse"] for p in train_vae(patches_of(tile_folder), tmp_path, options)]
    assert len(errors) == 40
    assert np.mean(errors[-10:]) < 0.7 * np.mean(errors[:5])


def test_stopped_and_resumed_gives_the_same_weights(tile_folder, tmp_path):
    list(train_vae(patches_of(tile_folder), tmp_path / "whole", OPTIONS))
    run = train_vae(patches_of(tile_folder), tmp_path / "parts", OPTIONS)
    for _ in range(5):
        next(run)
    run.close()
    rest = list(train_vae(patches_of(tile_folder), tmp_path / "parts", OPTIONS))
    assert [p.done for p in rest] == list(range(6, 13))
    whole, parts = weights_of(tmp_path / "whole"), weights_of(tmp_path / "parts")
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_a_checkpoint_of_other_options_is_refused(tile_folder, tmp_path):
    list(train_vae(patches_of(tile_folder), tmp_path, replace(OPTIONS, steps=1)))
    with pytest.raises(WeightsError, match="gamma"):
        list(train_vae(patches_of(tile_folder), tmp_path, replace(OPTIONS, gamma=1.0)))


def test_cancelling_keeps_the_checkpoint(tile_folder, tmp_path):
    token = CancellationToken()
    run = train_vae(patches_of(tile_folder), tmp_path, OPTIONS, token=token)
    next(run)
    token.cancel()
    with pytest.raises(CancelledError):
        next(run)
    assert weights_of(tmp_path)


def test_the_recipe_makes_an_encoder_that_loads(tile_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_NIC_HOME", str(tmp_path))
    monkeypatch.setattr("napari_nic.training.recipe.HELD_OUT_PATCHES", 256)
    recipe = VaeRecipe("mine", [TileFolder(tile_folder, 1.0)], licence="CC0", options=OPTIONS, device="cpu")
    list(train_encoder(recipe))
    encoder = load_encoder("mine", device="cpu", precision="float32")
    assert encoder.spec.code_size == 16
    assert encoder.spec.training["tiles"] == 12
    assert "PSNR" in (recipe.folder / "CARD.md").read_text()
    codes = encoder.encode(patches_of(tile_folder).draw(500, np.random.default_rng(5)).images)
    assert np.abs(codes.mean(0)).max() < 0.5
    assert 0.5 < codes.std(0).mean() < 1.5
    assert encoder.spec.training["steps"] == OPTIONS.steps


def test_distance_of_weighed_codes_is_distance_of_reconstructions():
    torch.manual_seed(0)
    vae = Vae(6, decoder_width=16).eval()
    mixing = torch.randn(6, 3 * 64 * 64)
    vae.decoder = LinearDecoder(mixing)
    patches = np.random.default_rng(0).integers(0, 256, (40, 64, 64, 3), np.uint8)
    x = torch.from_numpy(patches).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.inference_mode():
        painted = vae.decoder(vae.encoder(x)).flatten(1)
        weigh_codes(vae, patches)
        codes = vae.encoder(x)
    ratio = torch.pdist(codes) / torch.pdist(painted)
    assert (ratio.max() - ratio.min()) / ratio.mean() < 1e-2
    assert float(codes.std(0).mean()) == pytest.approx(1, abs=1e-3)
    assert float(codes.mean(0).abs().max()) < 1e-3


class LinearDecoder(torch.nn.Module):
    """Paints a weighted sum of fixed pictures, so that its metric is known exactly."""

    def __init__(self, pictures):
        super().__init__()
        self.pictures = pictures

    def forward(self, code):
        return (code @ self.pictures).view(-1, 3, 64, 64)


def test_reconstruction_quality_is_peak_signal_to_noise():
    class Grey(torch.nn.Module):
        def encoder(self, x):
            return x

        def decoder(self, x):
            return x * 0

    patches = np.zeros((3, 64, 64, 3), np.uint8)
    patches[:, :32] = 255
    quality = reconstruction_quality(Grey(), patches)
    assert quality["held_out_psnr_db"] == pytest.approx(6.02, abs=0.01)
    assert quality["held_out_psnr_of_mean_colour_db"] == pytest.approx(6.02, abs=0.01)
