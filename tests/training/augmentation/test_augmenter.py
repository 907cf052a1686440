from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from napari_nic.errors import InvalidParameterError
from napari_nic.training.augmentation import PRESETS, Augmenter, AugmentOptions

CHANGES = [
    field.name for field in fields(AugmentOptions) if field.name not in ("symmetries", "elastic_sigma")
]
STRENGTHS = {"shift": 4.0, "elastic_alpha": 100.0, "blur": 1.0}


@pytest.fixture(scope="module")
def patches(make_tissue):
    """Six different patches of 64 px of tissue, uint8 (6, 64, 64, 3)."""
    tissue = make_tissue(700, 800)
    cuts = [tissue[y : y + 64, x : x + 64] for y in (260, 330) for x in (280, 350, 420)]
    return torch.from_numpy(np.stack(cuts))


def pixels(result):
    """Back to 0..255, channels last."""
    return ((result + 1) * 127.5).permute(0, 2, 3, 1)


def test_without_changes_patches_are_only_scaled(patches):
    result = Augmenter(PRESETS["none"])(patches, seed=3)
    torch.testing.assert_close(pixels(result), patches.float(), atol=1e-3, rtol=0)


@pytest.mark.parametrize("name", PRESETS)
def test_result_is_what_a_network_takes(patches, name):
    result = Augmenter(PRESETS[name])(patches, seed=0, size=48)
    assert result.shape == (6, 3, 48, 48)
    assert result.dtype == torch.float32
    assert result.is_contiguous(memory_format=torch.channels_last)
    assert torch.isfinite(result).all()
    assert result.min() >= -1
    assert result.max() <= 1


@pytest.mark.parametrize("name", ["light", "strong"])
def test_the_same_seed_gives_the_same_batch_and_another_one_another(patches, name):
    augmenter = Augmenter(PRESETS[name])
    torch.manual_seed(1)
    first = augmenter(patches, seed=7)
    torch.manual_seed(2)
    assert torch.equal(augmenter(patches, seed=7), first)
    changed = (augmenter(patches, seed=8) - first).abs().mean((1, 2, 3))
    assert (changed > 0.01).all()


def test_either_order_of_axes(patches):
    augmenter = Augmenter(PRESETS["strong"])
    assert torch.equal(augmenter(patches.permute(0, 3, 1, 2), seed=1), augmenter(patches, seed=1))


@pytest.mark.parametrize("preset", ["light", "any-hue"])
def test_a_patch_does_not_see_the_others(patches, preset):
    augmenter = Augmenter(PRESETS[preset])
    others = patches.clone()
    others[0] = 255 - others[0]
    one, two = augmenter(patches, seed=5), augmenter(others, seed=5)
    assert torch.equal(one[1:], two[1:])
    assert not torch.equal(one[0], two[0])


def test_equal_patches_become_different_ones(patches):
    repeated = patches[:1].expand(16, -1, -1, -1)
    for name in CHANGES:
        options = replace(PRESETS["none"], **{name: STRENGTHS.get(name, 0.3)})
        result = Augmenter(options)(repeated, seed=0)
        # A blur of less than about 0.1 px changes nothing that a float32 holds.
        assert len({one.numpy().tobytes() for one in result}) >= (13 if name == "blur" else 16), name


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_keeps_to_its_strength(patches, name):
    """Half the strength changes less, with the same draws."""
    full = STRENGTHS.get(name, 0.3)
    plain = Augmenter(PRESETS["none"])(patches, seed=0)

    def change(strength):
        result = Augmenter(replace(PRESETS["none"], **{name: strength}))(patches, seed=0)
        return float((result - plain).abs().mean())

    assert 0 < change(full / 2) < change(full)


def test_switching_one_change_off_leaves_the_others_as_they_were(patches):
    options = replace(PRESETS["none"], symmetries=True, zoom=0.2)
    both = Augmenter(replace(options, hue=0.4))(patches, seed=2).mean(1)
    same_place = Augmenter(options)(patches, seed=2).mean(1)
    apart = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(both, same_place, strict=True)]
    assert min(apart) > 0.6


def test_a_batch_larger_than_the_cache_is_changed_like_a_small_one(patches, monkeypatch):
    options = replace(PRESETS["strong"], noise=0.0)
    whole = Augmenter(options)(patches, seed=4)
    monkeypatch.setattr("napari_nic.training.augmentation.augmenter.CACHED_PIXELS", 2 * 64 * 64)
    torch.testing.assert_close(Augmenter(options)(patches, seed=4), whole, atol=1e-4, rtol=0)


def test_a_margin_brings_real_tissue_in(patches):
    """Zoomed out within its margin, a patch shows nothing mirrored: it equals the larger patch, resized."""
    options = replace(PRESETS["none"], zoom=0.2)
    result = Augmenter(options)(patches, seed=0, size=48)
    mirrored = Augmenter(options)(patches[:, 8:56, 8:56], seed=0)
    inner = (slice(None), slice(None), slice(12, 36), slice(12, 36))
    torch.testing.assert_close(result[inner], mirrored[inner], atol=1e-4, rtol=0)
    assert not torch.allclose(result, mirrored, atol=1e-2)


def test_no_patches_give_none(patches):
    assert Augmenter(PRESETS["strong"])(patches[:0], seed=0).shape == (0, 3, 64, 64)


@pytest.mark.parametrize(
    "images",
    [
        torch.zeros(2, 64, 64, 3),
        torch.zeros(64, 64, 3, dtype=torch.uint8),
        torch.zeros(2, 64, 32, 3, dtype=torch.uint8),
        torch.zeros(2, 64, 64, 4, dtype=torch.uint8),
    ],
)
def test_other_arrays_are_refused(images):
    with pytest.raises(InvalidParameterError, match="RGB"):
        Augmenter(PRESETS["none"])(images, seed=0)


def test_a_network_that_sees_more_than_the_patch_is_refused(patches):
    with pytest.raises(InvalidParameterError, match="smaller"):
        Augmenter(PRESETS["none"])(patches, seed=0, size=65)
