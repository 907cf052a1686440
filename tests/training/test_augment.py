import numpy as np
from skimage.color import hed2rgb, rgb2hed

from napari_nic.training.augment import AugmentOptions, augment

NOTHING = AugmentOptions(hed=0, brightness=0, contrast=0)


def patches(count=6):
    return np.random.default_rng(0).integers(20, 240, (count, 32, 32, 3), np.uint8)


def test_without_strength_only_the_eight_symmetries_are_left():
    batch = patches()
    changed = augment(batch, np.random.default_rng(1), NOTHING).astype(int)
    for patch, result in zip(batch.astype(int), changed, strict=True):
        turned = [np.rot90(patch, k)[:, ::step] for k in range(4) for step in (1, -1)]
        assert min(np.abs(result - one).max() for one in turned) <= 1


def test_stain_jitter_equals_scaling_in_the_hed_space_of_scikit_image(monkeypatch):
    batch = patches(1)
    rng = np.random.default_rng(3)
    result = augment(batch, rng, AugmentOptions(hed=0.2, brightness=0, contrast=0)).astype(float)
    rng = np.random.default_rng(3)
    symmetry = int(rng.integers(8))
    scale, offset = 1 + rng.uniform(-0.2, 0.2, (1, 1, 1, 3)), rng.uniform(-0.2, 0.2, (1, 1, 1, 3))
    turned = np.rot90(batch[0], symmetry % 4)
    turned = turned[:, ::-1] if symmetry >= 4 else turned
    # scikit-image measures density in units of log(1e-6); its offset is scaled alike.
    hed = rgb2hed((turned + 1.0) / 256) * scale[0] + offset[0] / -np.log(1e-6)
    expected = 256 * hed2rgb(hed) - 1
    inside = (expected > 1) & (expected < 254) & (rgb2hed((turned + 1.0) / 256) > 0).all(-1, keepdims=True)
    assert inside.mean() > 0.1
    assert np.abs(result[0] - expected)[inside].max() < 1.5


def test_every_patch_is_changed_by_itself():
    batch = np.repeat(patches(1), 5, axis=0)
    changed = augment(batch, np.random.default_rng(0), AugmentOptions())
    assert len({patch.tobytes() for patch in changed}) == 5
    assert changed.dtype == np.uint8
