"""Large pictures are worked on in bands of rows, to save memory: no pixel comes out otherwise."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from napari_nic.errors import CancelledError
from napari_nic.jobs import CancellationToken
from napari_nic.tissue import components, pen, segment, segment_tissue, stain

MODULES = ((segment, "BAND_ROWS"), (components, "BAND_ROWS"), (pen, "_BAND_ROWS"), (stain, "_BAND_ROWS"))


def picture(rows: int, cols: int, seed: int) -> np.ndarray:
    """Tissue, fat, ink and dust in all shades, over several bands."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(120, 256, (-(-rows // 25), -(-cols // 25), 3), np.uint8)
    image = cv2.resize(coarse, (cols, rows), interpolation=cv2.INTER_CUBIC).astype(float)
    image[: rows // 2] = 0.15 * image[: rows // 2] + 0.85 * 243 + rng.normal(0, 2.5, (rows // 2, cols, 3))
    image[-rows // 8 :, : cols // 3] = (20, 120, 60)
    return np.clip(image, 0, 255).astype(np.uint8)


def in_bands(monkeypatch, rows: int, *args, **options):
    for module, name in MODULES:
        monkeypatch.setattr(module, name, rows)
    return segment_tissue(*args, **options)


@pytest.mark.parametrize("shape", [(130, 90), (257, 64), (61, 200), (1, 1), (3, 40)])
@pytest.mark.parametrize("um_per_px", [4.0, 8.0, 16.0])
@pytest.mark.parametrize("filled", [False, True])
def test_bands_change_no_pixel(monkeypatch, shape, um_per_px, filled):
    image = picture(*shape, seed=shape[0])
    unscanned = np.zeros(shape, bool)
    unscanned[: shape[0] // 3, : shape[1] // 4] = True
    options = {"unscanned": unscanned if filled else None}
    whole, threshold = in_bands(monkeypatch, 10_000, image, um_per_px, **options)
    banded, same_threshold = in_bands(monkeypatch, 17, image, um_per_px, **options)
    assert threshold == same_threshold
    assert np.array_equal(whole, banded)
    if shape == (130, 90):
        assert whole.any()
        assert not whole.all()


def test_cancelling_is_heard_between_bands_and_steps(monkeypatch):
    """However large the picture is, no more than a band, or one step, is worked on after it."""
    image = picture(300, 100, 0)

    class Counting(CancellationToken):
        def __init__(self, stop_at):
            super().__init__()
            self.seen, self.stop_at = 0, stop_at

        def checkpoint(self):
            self.seen += 1
            if self.seen == self.stop_at:
                self.cancel()
            super().checkpoint()

    counting = Counting(0)
    in_bands(monkeypatch, 17, image, 8.0, token=counting)
    assert counting.seen > 2 * 300 / 17
    for stop_at in range(1, counting.seen + 1, 5):
        with pytest.raises(CancelledError):
            segment_tissue(image, 8.0, token=Counting(stop_at))
