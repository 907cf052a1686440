from types import SimpleNamespace

import numpy as np
import pytest
import torch

from napari_nic.encoders.batches import fitting_batches
from napari_nic.errors import DeviceError


@pytest.fixture
def encoder():
    return SimpleNamespace(device="cuda:0", batch_size=32)


def forward_that_takes(limit, sizes):
    def forward(patches):
        if len(patches) > limit:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        sizes.append(len(patches))
        return patches[:, :1]

    return forward


def test_batches_are_halved_until_they_fit_and_stay_small(encoder):
    patches, sizes = np.arange(100).reshape(100, 1), []
    codes = list(fitting_batches(encoder, patches, forward_that_takes(10, sizes)))
    assert np.array_equal(np.concatenate(codes), patches)
    assert set(sizes[:-1]) == {8}
    assert encoder.batch_size == 8


@pytest.mark.parametrize(("least", "what"), [(1, "a single patch"), (5, "a batch of 5 patches")])
def test_a_batch_never_gets_smaller_than_the_network_takes(encoder, least, what):
    with pytest.raises(DeviceError, match=what):
        list(fitting_batches(encoder, np.zeros((40, 1)), forward_that_takes(0, []), least=least))
    assert encoder.batch_size == least


def test_no_patches_make_no_batches(encoder):
    assert list(fitting_batches(encoder, np.zeros((0, 1)), forward_that_takes(10, []))) == []
