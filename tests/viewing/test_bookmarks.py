"""A bookmark is read back as it was written, and nothing else is taken for one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_nic.errors import InvalidParameterError
from napari_nic.viewing import Bookmark

places = st.floats(-1e8, 1e8)


@given(y=places, x=places, downsample=st.floats(1e-6, 1e6))
def test_there_and_back(y, x, downsample):
    mark = Bookmark("Gland, 2", y, x, downsample)
    assert Bookmark.from_dict(json.loads(json.dumps(mark.to_dict()))) == mark


GOOD = Bookmark("a", 1.0, 2.0, 3.0).to_dict()


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        [],
        {},
        GOOD | {"name": ""},
        GOOD | {"name": "a\nb"},
        GOOD | {"y_px": "1"},
        GOOD | {"x_px": 1e300},
        GOOD | {"downsample": 0},
        GOOD | {"downsample": float("nan")},
        GOOD | {"more": 1},
    ],
)
def test_anything_else_is_refused(wrong):
    with pytest.raises(InvalidParameterError, match="not a bookmark"):
        Bookmark.from_dict(wrong)
