import numpy as np
import pytest

from napari_nic.errors import InvalidParameterError
from napari_nic.training.augmentation import PRESETS, Augmenter, contact_sheet


@pytest.fixture(scope="module")
def patches():
    return np.random.default_rng(0).integers(0, 200, (2, 40, 40, 3), np.uint8)


def places_of(sheet, patch):
    """Top left corners (y, x) of a patch in the sheet."""
    side = len(patch)
    windows = np.lib.stride_tricks.sliding_window_view(sheet, (side, side, 3))[:, :, 0]
    return np.argwhere((windows == patch).all((2, 3, 4)))


def test_originals_come_first_and_every_copy_differs(patches):
    sheet = contact_sheet(patches, Augmenter(PRESETS["light"]), columns=3, seed=5)
    assert sheet.dtype == np.uint8
    (top,), (bottom,) = places_of(sheet, patches[0]), places_of(sheet, patches[1])
    assert top[1] == bottom[1] < 40
    assert bottom[0] - top[0] > 40
    row = sheet[top[0] : top[0] + 40, top[1] + 40 :]
    inked = np.flatnonzero((row != 255).any((0, 2)))
    assert len(np.split(inked, np.flatnonzero(np.diff(inked) > 1) + 1)) == 3


def test_without_changes_all_columns_are_the_original(patches):
    sheet = contact_sheet(patches, Augmenter(PRESETS["none"]), columns=3)
    assert len(places_of(sheet, patches[0])) == 4


def test_what_the_network_sees_is_the_middle(patches):
    sheet = contact_sheet(patches, Augmenter(PRESETS["none"]), columns=1, size=20)
    assert len(places_of(sheet, patches[0, 10:30, 10:30])) == 2


def test_labels_are_drawn_and_fit(patches):
    def sheet(**labels):
        return contact_sheet(patches, Augmenter(PRESETS["none"]), columns=1, **labels)

    long = "a title that is much longer than one small patch"
    assert sheet(title=long).shape[1] > sheet().shape[1]
    named = sheet(names=["tumour", "normal"])
    assert named.shape[0] > sheet().shape[0]
    tops = [int(places_of(named, patch)[0, 0]) for patch in patches]
    first, second = (named[top - 20 : top, :60] for top in tops)
    assert (first < 100).any()
    assert (second < 100).any()
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("wrong", [{"columns": 0}, {"names": ["one"]}])
def test_sheets_without_content_are_refused(patches, wrong):
    with pytest.raises(InvalidParameterError, match="needs patches"):
        contact_sheet(patches, Augmenter(PRESETS["none"]), **wrong)
