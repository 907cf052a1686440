import numpy as np
import pytest
import torch

from napari_nic.encoders.nets import NicEncoderNet
from napari_nic.training.loop import Sources, run_training
from napari_nic.training.objectives.metric import weigh_codes
from napari_nic.training.objectives.vae import VaeObjective, make_decoder, vae_loss


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


def test_training_lowers_the_error(source, quick, tmp_path):
    options = quick(steps=40, validate_every=0, settings={"decoder_width": 16})
    torch.manual_seed(0)
    run = run_training(VaeObjective(options, [source]), Sources([source]), tmp_path, options)
    errors = [report.terms["mse"] for report in run]
    assert np.mean(errors[-10:]) < 0.7 * np.mean(errors[:5])


@pytest.mark.parametrize("side", [64, 128])
def test_the_decoder_paints_patches_of_the_encoders_size(side):
    assert make_decoder(8, side, 16)(torch.zeros(2, 8)).shape == (2, 3, side, side)


def test_distance_of_weighed_codes_is_distance_of_reconstructions():
    torch.manual_seed(0)
    encoder, decoder = NicEncoderNet(6).eval(), LinearDecoder(torch.randn(6, 3 * 64 * 64))
    patches = np.random.default_rng(0).integers(0, 256, (40, 64, 64, 3), np.uint8)
    x = torch.from_numpy(patches).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.inference_mode():
        painted = decoder(encoder(x)).flatten(1)
        weigh_codes(encoder, decoder, patches)
        codes = encoder(x)
    ratio = torch.pdist(codes) / torch.pdist(painted)
    assert (ratio.max() - ratio.min()) / ratio.mean() < 1e-2
    assert float(codes.std(0).mean()) == pytest.approx(1, abs=1e-3)
    assert float(codes.mean(0).abs().max()) < 1e-3


class LinearDecoder(torch.nn.Module):
    """Paints a weighted sum of fixed pictures, so that its metric is known exactly."""

    def __init__(self, pictures):
        super().__init__()
        self.pictures = torch.nn.Parameter(pictures, requires_grad=False)

    def forward(self, codes):
        """Map (B, C) to (B, 3, 64, 64)."""
        return (codes @ self.pictures).view(-1, 3, 64, 64)
