"""The fast parser says what Python's own says, whole and in pieces."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_nic.annotations import json_parsing
from napari_nic.annotations.json_parsing import NotInPiecesError, features_of, parsed

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**25), 10**25),
    st.floats(),
    st.text(st.characters(exclude_categories=())),
    st.sampled_from(["\ud800", '}, {"type": "Feature"', "9" * 30]),
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


@st.composite
def features(draw):
    """Features, some with others inside them, as different programs lay them out."""
    feature = {"type": "Feature", "properties": draw(VALUES), "children": [{"type": "Feature", "a": 1}] * 2}
    return {key: feature[key] for key in draw(st.permutations(list(feature)))}


def same(ours, theirs) -> bool:
    """Whether two values are alike, their types and the order of their keys too; NaN is like NaN."""
    if type(ours) is not type(theirs):
        return False
    if isinstance(ours, list):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    if isinstance(ours, dict):
        return list(ours) == list(theirs) and all(map(same, ours.values(), theirs.values()))
    return repr(ours) == repr(theirs)


@settings(deadline=None)
@given(value=VALUES, plain=st.booleans())
def test_values_of_all_kinds(value, plain):
    text = json.dumps(value, ensure_ascii=plain).encode("utf-8", "surrogatepass")
    assert same(parsed(text), json.loads(text))


@pytest.mark.parametrize(
    "text",
    [
        b"[18446744073709551615, 18446744073709551616, -9223372036854775808, -9223372036854775809]",
        b'{"id": 123456789012345678901234567890}',
        b"[0.12345678901234567890123, 1e-400, -0, -0.0, 1E5]",
        b'{"a": 1, "b": 2, "a": 3}',
        b"[NaN, Infinity, -Infinity, 1e999]",
        b'["\\ud800", "\\udc00\\ud800", "\xed\xa0\x80"]',
        b'\xef\xbb\xbf{"a": 1}',
        '{"a": 1}'.encode("utf-16"),
        '{"a": "\u00e9"}'.encode("utf-16-le"),
    ],
)
def test_what_the_fast_parser_says_otherwise_or_refuses(text):
    assert same(parsed(text), json.loads(text))


@pytest.mark.parametrize("text", [b"", b"{", b"[1,]", b'["\n"]', b"[1] 2", b"nul", b"[" * 100_000, b"\xff"])
def test_what_is_no_json_is_none_for_both(text):
    for parse in (parsed, json.loads):
        with pytest.raises((ValueError, RecursionError)):
            parse(text)


@pytest.mark.parametrize("place", range(20))
@pytest.mark.parametrize("length", [18, 19, 20, 40])
def test_long_numbers_are_found_wherever_they_stand(place, length):
    text = b"[" + b" " * place + b"1" * length + b"]"
    assert same(parsed(text), json.loads(text))


def test_ids_of_digits_are_no_reason_to_look_closely(monkeypatch):
    """The pattern takes longer than all the rest, and ids have eight digits in a row now and then."""
    text = json.dumps([{"id": "12345678-1234-4321-8765-123456789012", "x": 0.12345678901234567}] * 9).encode()
    monkeypatch.setattr(json_parsing, "_LONG", None)
    assert parsed(text) == json.loads(text)


@settings(deadline=None)
@given(
    found=st.lists(features(), max_size=6),
    indent=st.sampled_from([None, 1]),
    is_list=st.booleans(),
    size=st.integers(1, 60),
)
def test_pieces_are_the_features_of_the_whole(found, indent, is_list, size):
    document = found if is_list else {"type": "FeatureCollection", "features": found}
    text = json.dumps(document, indent=indent).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_parsing, "PIECE_BYTES", size)
        try:
            pieces = [piece for piece, _ in features_of(text)]
        except NotInPiecesError:
            return  # cut on another level, where features hold features: then it is parsed as a whole
    theirs = json.loads(text)
    assert same([one for piece in pieces for one in piece], theirs if is_list else theirs["features"])


def test_a_file_of_many_features_comes_in_pieces_that_say_how_far_it_is(monkeypatch):
    monkeypatch.setattr(json_parsing, "PIECE_BYTES", 1000)
    found = [{"type": "Feature", "id": f"{n}", "properties": {"name": "}, {"}} for n in range(200)]
    text = json.dumps({"type": "FeatureCollection", "features": found}).encode()
    pieces = list(features_of(text))
    assert len(pieces) > 8
    assert max(len(piece) for piece, _ in pieces) < 40
    places = [place for _, place in pieces]
    assert places == sorted(places)
    assert len(text) - 3 <= places[-1] <= len(text)


@pytest.mark.parametrize(
    "text",
    [
        b"{}",
        b'{"type": "FeatureCollection", "features": [], "crs": 1}',
        b'{"crs": 1, "type": "FeatureCollection", "features": []}',
        b'{"type": "FeatureCollection", "features": [{"type": "Feature"}], "features": []}',
        b'{"type": "FeatureCollection", "features": [{"type": "Feature"},]}',
        b'{"type": "FeatureCollection", "features": [{"type": "Feature"}]',
        b'{"type": "FeatureCollection", "features": [{"type": "Feature"]}',
        b'{"type": "FeatureCollection", "features": []}]}',
        b'[{"type": "Topology"}]',
        b'{"type": "FeatureCollection", "features": [',
    ],
)
def test_what_is_no_plain_collection_is_left_to_the_parser_of_the_whole(text):
    with pytest.raises(NotInPiecesError):
        list(features_of(text))
