"""The four networks: what training needs of them, weights of others, and CompressAI as the judge."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_nic.errors import InvalidParameterError, UnknownNameError, WeightsError
from napari_nic.recompression.neural.bottleneck import EntropyBottleneck
from napari_nic.recompression.neural.codec import freeze
from napari_nic.recompression.neural.elic import groups_of
from napari_nic.recompression.neural.networks import NETWORKS, channels_of, load_network, make_network

THEIRS = {
    "bmshj2018-factorized": "FactorizedPrior",
    "bmshj2018-hyperprior": "ScaleHyperprior",
    "mbt2018-mean": "MeanScaleHyperprior",
    "elic2022": "Elic2022Chandelier",
}


def bits(likelihoods: dict[str, torch.Tensor]) -> float:
    return float(sum(-torch.log2(value).sum() for value in likelihoods.values()))


def test_all_is_there_that_training_needs(name):
    torch.manual_seed(0)
    net = make_network(name, 8, 16).train()
    x = torch.rand(2, 3, 64, 64)
    main = [p for key, p in net.named_parameters() if not key.endswith("quantiles")]
    optimiser = torch.optim.Adam(main, 1e-3)
    losses = []
    for _ in range(12):
        pixels, likelihoods = net(x)
        assert pixels.shape == x.shape
        loss = (
            255 * ((pixels - x) ** 2).mean()
            + sum(-v.log2().sum() for v in likelihoods.values()) / x[:, 0].numel()
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in main)
    assert set(likelihoods) == ({"y"} if name == "bmshj2018-factorized" else {"y", "z"})
    net.eval()
    assert torch.equal(net.latents(x), net.latents(x))


def test_quantiles_are_learned_or_found():
    torch.manual_seed(0)
    bottleneck = EntropyBottleneck(4)
    with torch.no_grad():
        for matrix in bottleneck.matrices:
            matrix += 0.3 * torch.randn_like(matrix)
    before = float(bottleneck.aux_loss().detach())
    optimiser = torch.optim.Adam([bottleneck.quantiles], 1.0)
    for _ in range(200):
        optimiser.zero_grad()
        bottleneck.aux_loss().backward()
        optimiser.step()
    learned = float(bottleneck.aux_loss().detach())
    assert learned < 0.5 * before
    bottleneck.find_quantiles()
    assert float(bottleneck.aux_loss().detach()) < 0.01 < learned


def test_values_below_a_bound_are_led_back():
    from napari_nic.recompression.neural.layers import LowerBound

    x = torch.tensor([0.5, 2.0], requires_grad=True)
    (LowerBound(1.0)(x) * torch.tensor([-1.0, 1.0])).sum().backward()
    assert x.grad.tolist() == [-1.0, 1.0]
    x.grad = None
    LowerBound(1.0)(x).sum().backward()
    assert x.grad.tolist() == [0.0, 1.0]


def test_names_of_all_versions_are_known(nets):
    net = nets["mbt2018-mean"]
    state = net.state_dict()
    older = {}
    for name, value in state.items():
        for new, old in (("matrices.", "_matrix"), ("biases.", "_bias"), ("factors.", "_factor")):
            name = name.replace(f"entropy_bottleneck.{new}", f"entropy_bottleneck.{old}")
        older[f"module.{name}"] = value
    found = load_network("mbt2018-mean", older)
    assert all(torch.equal(value, found.state_dict()[name]) for name, value in state.items())
    with pytest.raises(WeightsError):
        load_network("mbt2018-mean", {name: value for name, value in state.items() if "g_s" not in name})
    with pytest.raises(WeightsError):
        load_network("elic2022", state)
    with pytest.raises(WeightsError):
        load_network("mbt2018-mean", {**state, "g_a.0.bias": state["g_a.0.bias"] * torch.nan})


def test_published_sizes_and_names():
    assert NETWORKS.names() == tuple(THEIRS)
    assert channels_of("bmshj2018-factorized", 5) == (128, 192)
    assert channels_of("bmshj2018-hyperprior", 6) == (192, 320)
    assert channels_of("mbt2018-mean", 4) == (128, 192)
    assert channels_of("mbt2018-mean", 5) == (192, 320)
    assert channels_of("elic2022", 1) == (192, 320)
    assert groups_of(320) == (16, 16, 32, 64, 192)
    assert groups_of(192) == (16, 16, 32, 64, 64)
    for wrong in ((0, 8), (8, 5000)):
        with pytest.raises(InvalidParameterError):
            make_network("elic2022", *wrong)
    with pytest.raises(InvalidParameterError):
        channels_of("mbt2018-mean", 9)
    with pytest.raises(UnknownNameError):
        make_network("jpeg", 8, 8)


def theirs_of(net):
    """CompressAI's network with the weights of ours."""
    models = pytest.importorskip(
        "compressai.models", reason="CompressAI is not installed", exc_type=ImportError
    )
    kind = getattr(models, THEIRS[net.name])
    more = {"groups": list(net.groups)} if net.name == "elic2022" else {}
    theirs = kind(N=net.filters, M=net.channels, **more).eval()
    own, wanted = net.state_dict(), theirs.state_dict()
    computed = ("_offset", "_quantized_cdf", "_cdf_length", "scale_table", "scale_bound", "target", "bound")
    assert set(own) <= set(wanted)
    assert all(name.endswith(computed) for name in set(wanted) - set(own))
    theirs.load_state_dict({**wanted, **own})
    theirs.update(force=True)
    return theirs


def test_compressai_computes_the_same(net, pixels):
    theirs = theirs_of(net)
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    with torch.inference_mode():
        wanted = theirs(x)
        found, likelihoods = net(x)
        y_hat = net.latents(x)
        torch.testing.assert_close(net.g_s(y_hat), wanted["x_hat"], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found, wanted["x_hat"], rtol=1e-4, atol=1e-4)
    assert set(likelihoods) == set(wanted["likelihoods"])
    for name, value in likelihoods.items():
        torch.testing.assert_close(value, wanted["likelihoods"][name], rtol=1e-3, atol=1e-6)
    back = load_network(net.name, theirs.state_dict()).state_dict()
    assert all(torch.equal(used(back, name), used(net.state_dict(), name)) for name in back)


def used(state, name):
    """A parameter without what a checkerboard's mask hides: CompressAI sets that to 0 when it computes."""
    mask = state.get(f"{name.removesuffix('weight')}mask") if name.endswith(".weight") else None
    return state[name] if mask is None else state[name] * mask


def test_streams_are_as_short_as_compressais(net):
    from napari_nic.recompression.neural.freezing import sample_pixels

    theirs = theirs_of(net)
    pixels = sample_pixels(1, 256)
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    with torch.inference_mode():
        wanted = theirs.compress(x)
        float_bits = bits(net(x)[1])
    strings = wanted["strings"]
    size = sum(len(string) for part in strings for string in part)
    (stream,) = freeze(net, pixels).encode(pixels)
    assert len(stream) < 1.01 * size
    assert 8 * len(stream) < 1.01 * float_bits + 128


def test_compressais_tables_are_ours():
    entropy_models = pytest.importorskip(
        "compressai.entropy_models", reason="CompressAI is not installed", exc_type=ImportError
    )
    from compressai.models.google import get_scale_table

    from napari_nic.recompression.neural.tables import SCALES, gaussian_tables

    np.testing.assert_allclose(SCALES, get_scale_table(), rtol=1e-5)
    gaussian = entropy_models.GaussianConditional(None)
    gaussian.update_scale_table(get_scale_table())
    own = gaussian_tables()
    np.testing.assert_array_equal(own.offsets, gaussian._offset.numpy())
    for number, table in enumerate(own.tables):
        length = int(gaussian._cdf_length[number])
        wanted = np.diff(gaussian._quantized_cdf[number, :length].numpy())
        # They round in float32, and share out what is left otherwise: bits that coding by theirs costs more.
        shares = table / 65536
        entropy = -(shares * np.log2(shares)).sum()
        assert (shares * np.log2(table / wanted)).sum() < 0.01 * entropy + 1e-4
