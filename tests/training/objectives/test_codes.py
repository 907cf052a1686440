import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from napari_nic.encoders.nets import NicEncoderNet
from napari_nic.errors import InvalidParameterError
from napari_nic.training.objectives.codes import encode_plain, principal_codes, standardise_codes


@pytest.fixture
def patches():
    """Random patches of different mean colours."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 80, (60, 64, 64, 3))
    return (noise + rng.integers(0, 170, (60, 1, 1, 3))).astype(np.uint8)


def test_principal_codes_are_the_principal_components_of_the_features(patches):
    torch.manual_seed(0)
    net = NicEncoderNet(5).eval()
    with torch.inference_mode():
        x = torch.from_numpy(patches).permute(0, 3, 1, 2).float() / 127.5 - 1
        features = net.features(x).double().numpy()
    principal_codes(net, patches)
    spread = np.maximum(features.std(0, ddof=1), 1e-3 * features.std(0, ddof=1).mean())
    expected = PCA(5).fit_transform((features - features.mean(0)) / spread)
    codes = encode_plain(net, patches).numpy()
    np.testing.assert_allclose(np.abs(codes), np.abs(expected), atol=2e-2 * expected.std())


def test_a_code_longer_than_what_it_is_made_of_is_refused(patches):
    with pytest.raises(InvalidParameterError, match="1152 features of 60 patches"):
        principal_codes(NicEncoderNet(64), patches)


def test_standardised_codes_keep_the_ratio_of_distances(patches):
    torch.manual_seed(0)
    net = NicEncoderNet(5).eval()
    before = encode_plain(net, patches)
    standardise_codes(net, patches)
    after = encode_plain(net, patches)
    ratio = torch.pdist(after) / torch.pdist(before)
    assert float((ratio.max() - ratio.min()) / ratio.mean()) < 1e-3
    assert float(after.mean(0).abs().max()) < 1e-3
    assert float(after.std(0).mean()) == pytest.approx(1, abs=1e-3)
