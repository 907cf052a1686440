"""The small networks: prepared for use they give the same codes, and every way of training learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_nic_experiments.digits.encoders import (
    METHODS,
    EncoderData,
    EncoderTraining,
    encode_patches,
    load_digit_encoder,
    train_digit_encoder,
)
from napari_nic_experiments.digits.network import DigitEncoderNet, PreparedDigitNet
from napari_nic_experiments.digits.objectives import make_painter


def test_the_prepared_network_gives_the_same_codes() -> None:
    torch.manual_seed(0)
    net = DigitEncoderNet(5)
    pixels = torch.randint(0, 256, (40, 3, 9, 9)).float()
    net(pixels / 127.5 - 1)  # running statistics that are not 0 and 1
    net.eval()
    with torch.no_grad():
        torch.testing.assert_close(PreparedDigitNet(net)(pixels - 128), net(pixels / 127.5 - 1))


def test_painters_paint_patches() -> None:
    painted = make_painter(7, 8).eval()(torch.zeros(2, 7))
    assert painted.shape == (2, 3, 9, 9)


@pytest.mark.parametrize("method", METHODS[:-1])
def test_encoders_are_trained_once_and_loaded(method, images, tmp_path) -> None:
    data = EncoderData(images, images.glyphs)
    training = EncoderTraining(steps=4, batch_size=8, validate_every=2)
    reports = list(train_digit_encoder(method, 6, data, tmp_path, training))
    assert reports[-1].done == 4
    assert np.isfinite(reports[-1].loss)
    assert list(train_digit_encoder(method, 6, data, tmp_path, training)) == []
    codes = encode_patches(load_digit_encoder(method, tmp_path), images.glyphs.table)
    assert codes.shape == (41, 6)
    assert codes.dtype == np.float16
    assert np.isfinite(codes).all()


def test_what_validates_was_not_trained_on(images) -> None:
    kept, away = EncoderData(images, images.glyphs).sources("supervised")
    kept, away = (source.draw(400, np.random.default_rng(0)).images for source in (kept, away))
    # The glyphs differ by class and by a speck; no picture of one part is in the other.
    assert not {patch.tobytes() for patch in kept} & {patch.tobytes() for patch in away}
