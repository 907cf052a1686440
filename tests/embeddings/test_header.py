"""The description of a store and what makes two runs compatible."""

from __future__ import annotations

import json

import pytest

from napari_nic.embeddings import UNKNOWN_SLIDE, StoreHeader
from napari_nic.geometry import RegionPx


def test_header_survives_json(toy):
    header = toy.header()
    assert StoreHeader.from_dict(json.loads(json.dumps(header.to_dict()))) == header


def test_the_scanned_part_is_kept_and_older_stores_know_none(toy):
    header = toy.header(slide_bounds=RegionPx(3, 4, 50, 60))
    data = json.loads(json.dumps(header.to_dict()))
    assert StoreHeader.from_dict(data).slide_bounds == RegionPx(3, 4, 50, 60)
    assert header.matches(toy.header()), "it changes no code"
    del data["slide_bounds"]
    assert StoreHeader.from_dict(data).slide_bounds is None
    with pytest.raises((KeyError, TypeError, ValueError)):
        StoreHeader.from_dict(data | {"slide_bounds": {"y": 1}})


def test_what_tells_slides_apart_is_their_fingerprint_or_what_they_were_imported_from(toy):
    assert toy.header().slide_key == toy.header().slide_fingerprint
    files = [{"a.h5": "1"}, {"a.h5": "2"}, {"a.h5": "1"}]
    one, other, again = (
        toy.header(slide_fingerprint=UNKNOWN_SLIDE, origin={"files": of}).slide_key for of in files
    )
    assert one == again != other
    nothing = [toy.header(slide_fingerprint=UNKNOWN_SLIDE, slide_name=name).slide_key for name in "ab"]
    assert nothing[0] != nothing[1]


def test_unknown_entries_of_later_versions_are_ignored(toy):
    header = toy.header()
    assert StoreHeader.from_dict(header.to_dict() | {"colour_of_the_sky": "blue"}) == header


@pytest.mark.parametrize(
    "change",
    [
        {"batch_size": 64},
        {"created": "later"},
        {"software": "napari-nic 9"},
        {"reader": "another"},
        {"tissue": {"method": "edited"}},
    ],
)
def test_what_changes_codes_by_rounding_at_most_may_resume(toy, change):
    assert toy.header().matches(toy.header(**change))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"slide_fingerprint": "sha256:bbbb"}, "slide: sha256:aaaa -> sha256:bbbb"),
        ({"precision": "bfloat16"}, "precision: float32 -> bfloat16"),
        ({"color": {"profile": "sRGB", "applied": True}}, "colour profile applied: False -> True"),
        ({"rows": 91}, "grid rows: 90 -> 91"),
        ({"encoder": {"code_size": 7}}, "encoder code_size: 5 -> 7"),
    ],
)
def test_differences_are_named(toy, change, named):
    differences = toy.header().differences(toy.header(**change))
    assert named in differences
    assert not toy.header().matches(toy.header(**change))


def test_options_of_an_encoder_make_a_difference_and_none_make_none(toy):
    header = toy.header()
    pooled = toy.header(encoder=dict(header.encoder) | {"options": {"pooling": "cls"}})
    assert not header.matches(pooled)
    assert not pooled.matches(header)
    assert pooled.matches(StoreHeader.from_dict(json.loads(json.dumps(pooled.to_dict()))))


def test_an_encoder_may_be_renamed_and_redescribed(toy):
    header = toy.header()
    assert header.matches(toy.header(encoder=dict(header.encoder) | {"name": "new", "summary": "better"}))
    assert header.encoder_name == "toy"
    assert header.code_size == 5
