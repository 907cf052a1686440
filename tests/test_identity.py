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


def test_names_tell_encoders_of_others_apart() -> None:
    """Neither architecture nor weights are known of features that were imported."""
    theirs = {"name": "uni_v1", "architecture": "unknown", "code_size": 1024, "weights_sha256": None}
    assert differing(theirs, theirs | {"name": "resnet50"}) == ("name",)
    assert differing(theirs, theirs | {"name": "UNI_v1-49b04e14"}) == ()
    assert differing(theirs, theirs | {"name": "resnet50", "mpp": 1.0}) == ("mpp",)


def test_messages_name_the_entries() -> None:
    assert described({"mpp": 0.5, "code_size": 4}, ("code_size", "mpp", "options")) == (
        "code_size=4, mpp=0.5, options=None"
    )
