"""An encoder that needs no network: codes that say exactly which pixels they came from."""

from __future__ import annotations

import threading

import cv2
import numpy as np
import pytest
import tifffile

from napari_nic.encoders import EncoderSpec


class MomentEncoder:
    """Mean and spread of each colour, and the top left pixel: any shift of a patch changes the code."""

    device = "cpu"
    precision = "float32"

    def __init__(self, *, input_size=64, batch_size=32, device="cpu"):
        self.spec = EncoderSpec(
            name="moments",
            code_size=9,
            patch_size=128,
            mpp=0.5,
            input_size=input_size,
            architecture="moments",
            weights_sha256=None,
            licence="none",
            summary="for tests",
            training={},
            citation="",
        )
        self.batch_size = batch_size
        self.device = device
        self.batches = []
        self.threads = set()

    def prepare_thread(self):
        self.threads.add(threading.current_thread().name)

    def encode(self, batch):
        self.batches.append(len(batch))
        values = batch.astype(np.float32)
        return np.concatenate([values.mean((1, 2)), values.std((1, 2)), values[:, 0, 0]], axis=1)


@pytest.fixture
def moment_encoder():
    return MomentEncoder


@pytest.fixture(scope="session")
def noise_slide(tmp_path_factory):
    """A pyramid of 5,300 x 4,500 px whose every patch differs; tiles of 240 px, so that blocks share some."""
    path = tmp_path_factory.mktemp("noise") / "noise.tif"
    rng = np.random.default_rng(3)
    coarse = rng.integers(30, 220, (107, 91, 3), np.uint8)
    image = cv2.resize(coarse, (4500, 5300), interpolation=cv2.INTER_CUBIC)
    image[:, ::7] ^= 8
    with tifffile.TiffWriter(path) as tif:
        for factor in (1, 4):
            level = cv2.resize(image, (4500 // factor, 5300 // factor), interpolation=cv2.INTER_AREA)
            tif.write(
                level,
                tile=(240, 240),
                photometric="rgb",
                compression="jpeg",
                subfiletype=int(factor > 1),
                resolution=(2e4 / factor, 2e4 / factor),
                resolutionunit="CENTIMETER",
                metadata=None,
            )
    return path
