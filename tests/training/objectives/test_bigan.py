import numpy as np
import pytest
import torch

from napari_nic.training.objectives.bigan import BiganObjective, PairCritic, make_generator
from napari_nic.training.objectives.codes import encode_plain

SMALL = {"generator_width": 8, "critic_width": 8}


def test_the_discriminators_layers_have_spectral_norm_one():
    torch.manual_seed(0)
    critic = PairCritic(6, 64, 8).train()
    for _ in range(30):
        critic(torch.randn(4, 3, 64, 64), torch.randn(4, 6))
    with torch.inference_mode():
        norms = [float(torch.linalg.matrix_norm(layer.weight, 2)) for layer in critic.score[::2]]
    assert max(abs(norm - 1) for norm in norms) < 0.05


def test_the_generator_paints_patches():
    with torch.inference_mode():
        picture = make_generator(6, 64, 8)(torch.randn(3, 6))
    assert picture.shape == (3, 3, 64, 64)
    assert float(picture.abs().max()) <= 1


def test_kept_weights_are_an_average_that_follows(source, quick):
    torch.manual_seed(0)
    objective = BiganObjective(quick(settings=SMALL | {"average": 0.5}), [source])
    start = objective.encoder.code.weight.clone()
    with torch.no_grad():
        objective.live_encoder.code.weight.add_(1.0)
    objective._average()
    moved = objective.encoder.code.weight - start
    torch.testing.assert_close(moved, torch.full_like(moved, 0.5))


def test_encoder_and_generator_do_not_move_the_discriminator_and_the_other_way_round(source, quick):
    torch.manual_seed(0)
    objective = BiganObjective(quick(settings=SMALL), [source]).train()
    painters, critic = objective.optimisers(1e-3)
    of_painters = {id(p) for group in painters.param_groups for p in group["params"]}
    of_critic = {id(p) for group in critic.param_groups for p in group["params"]}
    kept = {id(p) for p in [*objective.encoder.parameters(), *objective.generator.parameters()]}
    assert not of_painters & of_critic
    assert of_painters | of_critic | kept == {id(p) for p in objective.parameters()}
    assert not any(p.requires_grad for p in objective.encoder.parameters())


def test_both_cycles_are_in_the_loss_with_their_weights(source, quick):
    weights = {"code_cycle": 0.5, "picture_cycle": 3.0}
    torch.manual_seed(0)
    objective = BiganObjective(quick(settings=SMALL | weights), [source]).train()
    x = torch.rand(4, 3, objective.input_size, objective.input_size) * 2 - 1
    loss, terms = objective._fool(x)
    expected = terms["adversarial"] + 0.5 * terms["code_cycle"] + 3.0 * terms["picture_cycle"]
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)


def test_an_encoder_of_statistics_plays_with_a_head_that_knows_places(source, quick):
    torch.manual_seed(0)
    objective = BiganObjective(quick(settings=SMALL, architecture="nic-64-pooled"), [source])
    x = torch.rand(4, 3, 64, 64) * 2 - 1
    objective.train()
    loss, _ = objective._fool(x)
    loss.backward()
    assert all(weight.grad is not None for weight in objective.live_latent.parameters())
    assert all(weight.grad is not None for weight in objective.live_encoder.convs.parameters())
    assert objective.live_encoder.code.weight.grad is None
    objective.eval()
    with torch.inference_mode():
        mirrored = objective.latent(objective.encoder, x.flip(3)) - objective.latent(objective.encoder, x)
    assert float(mirrored.abs().mean()) > 1e-3


def test_its_code_is_then_made_of_its_features(source, quick):
    torch.manual_seed(0)
    options = quick(settings=SMALL, architecture="nic-64-pooled", code_size=5)
    objective = BiganObjective(options, [source]).eval()
    patches = source.draw(200, np.random.default_rng(0)).images
    objective.finish(patches)
    codes = encode_plain(objective.encoder, patches)
    covariance = torch.cov(codes.T)
    assert float(covariance.diag().sqrt().mean()) == pytest.approx(1, rel=1e-3)
    off = covariance - covariance.diag().diag()
    assert float(off.abs().max()) < 1e-2 * float(covariance.diag().max())


def test_closing_the_picture_cycle_brings_the_reconstruction_nearer(source, quick):
    torch.manual_seed(0)
    objective = BiganObjective(quick(settings=SMALL | {"picture_cycle": 50.0, "code_cycle": 0.0}), [source])
    objective.train()
    painters, _ = objective.optimisers(3e-3)
    x = torch.full((8, 3, objective.input_size, objective.input_size), 0.7)
    errors = []
    for _ in range(12):
        loss, terms = objective._fool(x)
        painters.zero_grad(set_to_none=True)
        loss.backward()
        painters.step()
        errors.append(terms["picture_cycle"])
    assert errors[-1] < 0.6 * errors[0]
