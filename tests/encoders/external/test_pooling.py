import pytest
import torch

from napari_nic.encoders.external.pooling import pool
from napari_nic.errors import WeightsError

TOKENS = torch.randn(2, 7, 3, generator=torch.Generator().manual_seed(0))
"""A class token, two registers, four patches."""


def test_codes_and_maps_are_taken_as_they_come():
    codes = torch.arange(6.0).reshape(2, 3)
    assert torch.equal(pool(codes, "auto"), codes)
    assert torch.equal(pool(codes[:, :, None, None], "auto"), codes)
    maps = torch.stack([codes, codes + 2], -1)[..., None]
    assert torch.equal(pool(maps, "auto"), codes + 1)
    assert torch.equal(pool(maps, "mean"), codes + 1)
    assert torch.equal(pool((codes,), "auto"), codes)


def test_tokens_are_pooled_as_asked():
    assert torch.equal(pool(TOKENS, "cls", prefix_tokens=3), TOKENS[:, 0])
    assert torch.equal(pool(TOKENS, "mean", prefix_tokens=3), TOKENS[:, 3:].mean(1))
    both = pool(TOKENS, "cls+mean", prefix_tokens=3)
    assert torch.equal(both, torch.cat([TOKENS[:, 0], TOKENS[:, 3:].mean(1)], 1))
    assert torch.equal(pool(TOKENS, "mean", prefix_tokens=0), TOKENS.mean(1))


@pytest.mark.parametrize(
    ("output", "pooling", "prefix", "problem"),
    [
        (TOKENS, "auto", 1, "how to pool"),
        (TOKENS, "cls", 0, "needs a class token"),
        (TOKENS, "mean", 7, "needs a class token"),
        (torch.zeros(2, 3), "cls", 1, "does not apply"),
        (torch.zeros(2, 3), "mean", 1, "does not apply"),
        (torch.zeros(2, 3, 4, 4), "cls+mean", 1, "does not apply"),
        (torch.zeros(2), "auto", 1, "gives no codes"),
        ({"codes": TOKENS}, "auto", 1, "gives no codes"),
        ((TOKENS, TOKENS), "auto", 1, "gives no codes"),
    ],
)
def test_what_cannot_be_pooled_is_refused(output, pooling, prefix, problem):
    with pytest.raises(WeightsError, match=problem):
        pool(output, pooling, prefix_tokens=prefix)
