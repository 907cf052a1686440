"""The networks: the paper's at its own size, adapted to other sizes, and attention."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from napari_nic.errors import InvalidParameterError
from napari_nic.slide_models import SlideNetConfig, predict_codes
from napari_nic.slide_models.architectures import build_network
from napari_nic.slide_models.attention import AttentionNet


def test_the_papers_network_is_built_exactly() -> None:
    config = SlideNetConfig.adaptive(128, 1)
    assert config == SlideNetConfig(128, 1)
    assert config.is_exact
    net = build_network(config)
    # 8 separable layers: C x 9 depthwise and C x 128 pointwise weights, 2 x 128 of batch norm; then the head.
    per_layer = 128 * 9 + 128 * 128 + 2 * 128
    assert sum(p.numel() for p in net.parameters()) == 8 * per_layer + 128 * 128 + 2 * 128 + 129


@pytest.mark.parametrize(
    ("crop", "strided"), [(400, 6), (300, 5), (191, 5), (100, 4), (48, 3), (24, 2), (5, 0)]
)
def test_smaller_crops_have_fewer_strided_layers(crop: int, strided: int) -> None:
    config = SlideNetConfig.adaptive(4, 3, crop, width=4)
    assert config.strides == (2,) * strided + (1, 1)
    net = build_network(config).eval()
    assert net(torch.zeros(1, 4, crop, crop)).shape == (1, 3)


def test_crops_below_the_least_size_and_odd_descriptions_are_refused() -> None:
    with pytest.raises(InvalidParameterError, match="at least 5"):
        SlideNetConfig.adaptive(4, 1, 4)
    with pytest.raises(InvalidParameterError, match="unknown kind"):
        SlideNetConfig(4, 1, kind="transformer")  # type: ignore[arg-type]  # on purpose
    with pytest.raises(InvalidParameterError):
        SlideNetConfig(4, 1, kind="attention")
    old = {name: value for name, value in SlideNetConfig(4, 1).to_dict().items() if name != "kind"}
    assert SlideNetConfig.from_dict(old) == SlideNetConfig(4, 1)
    attention = SlideNetConfig.attention(4, 1, 24)
    assert SlideNetConfig.from_dict(attention.to_dict()) == attention
    assert not attention.is_exact


@pytest.fixture
def attention() -> AttentionNet:
    torch.manual_seed(0)
    return AttentionNet(SlideNetConfig.attention(5, 2, 8, width=6)).eval()


def test_attention_is_the_published_formula(attention: AttentionNet) -> None:
    x = torch.randn(1, 5, 3, 4)
    with torch.inference_mode():
        h = attention.features(x)
        cells = h[0].flatten(1).T
        scores = []
        for cell in cells:
            content = torch.tanh(attention.content.weight[:, :, 0, 0] @ cell + attention.content.bias)
            gate = torch.sigmoid(attention.gate.weight[:, :, 0, 0] @ cell + attention.gate.bias)
            scores.append(attention.weight.weight[0, :, 0, 0] @ (content * gate))
        weights = torch.exp(torch.stack(scores))
        weights = weights / weights.sum()
        torch.testing.assert_close(attention.attention(h).flatten(), weights)
        expected = attention.head((weights[:, None] * cells).sum(0, keepdim=True))
        torch.testing.assert_close(attention(x), expected)


def test_attention_ignores_background_and_places(attention: AttentionNet) -> None:
    x = torch.randn(2, 5, 6, 6)
    padded = torch.zeros(2, 5, 11, 9)
    padded[:, :, 3:9, 1:7] = x
    with torch.inference_mode():
        torch.testing.assert_close(attention(padded), attention(x))
        torch.testing.assert_close(attention(x.rot90(1, (2, 3))), attention(x))
        weights = attention.attention(attention.features(padded))
        assert not weights[:, :, :3].any()
        torch.testing.assert_close(weights.sum(dim=(1, 2, 3)), torch.ones(2))
        assert torch.isfinite(attention(torch.zeros(1, 5, 4, 4))).all()


def test_an_attention_bundle_predicts_cell_by_cell(toys: Any) -> None:
    card = toys.card(SlideNetConfig.attention(toys.code_size, 1, 24, width=8))
    slide = toys.plant(2, seed=0)[1].slide
    result = predict_codes(toys.untrained(card), slide.codes, slide.mask, toys.placement, device="cpu")
    assert result.cell_scores.shape == (24, 24, 2)
    # All transforms of one crop hold the same cells.
    np.testing.assert_allclose(result.std, 0, atol=1e-5)
