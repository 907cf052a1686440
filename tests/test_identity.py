"""Which descriptions of encoders mean the same codes."""

from __future__ import annotations

import pytest

from napari_nic.encoders import get_spec
from napari_nic.identity import KEYS, described, differing, identity


def test_what_is_for_people_does_not_matter() -> None:
    ours = get_spec("nic-default").to_dict()
    assert differing(ours, ours | {"name": "other", "summary": "x", "licence": "y"}) == ()


@pytest.mark.parametrize("key", KEYS)
def test_what_makes_codes_matters(key: str) -> None:
    ours = get_spec("nic-default").to_dict()
    assert differing(ours, ours | {key: "other"}) == (key,)
    assert differing(ours | {key: "other"}, {k: v for k, v in ours.items() if k != key}) == (key,)


def test_a_specification_matches_its_own_description() -> None:
    spec = get_spec("nic-default")
    assert spec.matches(spec.to_dict())
    assert not spec.matches(get_spec("mean-rgb").to_dict())
    assert spec.identity().items() <= identity(spec.to_dict()).items()


def test_messages_name_the_entries() -> None:
    assert described({"mpp": 0.5, "code_size": 4}, ("code_size", "mpp", "options")) == (
        "code_size=4, mpp=0.5, options=None"
    )
