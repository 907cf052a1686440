"""Files that were damaged, or made to keep the reader busy: one sentence, soon, and never a traceback."""

from __future__ import annotations

import copy
import gzip
import json
import os
import time

import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_nic.annotations import (
    UNCLASSIFIED,
    Annotation,
    AnnotationSet,
    read_annotations,
    write_annotations,
)
from napari_nic.annotations.asap_format import NO_GROUP
from napari_nic.errors import AnnotationError

SOON_S = 10
"""Generous: the faults that these tests hold took minutes."""

SQUARE = [[0, 0], [100, 0], [100, 100], [0, 100], [0, 0]]
GOOD = {
    "type": "FeatureCollection",
    "features": [
        {
            "type": "Feature",
            "id": "a",
            "geometry": {"type": "Polygon", "coordinates": [SQUARE, [[10, 10], [20, 10], [20, 20]]]},
            "properties": {
                "objectType": "annotation",
                "name": "n",
                "classification": {"name": "Tumor", "color": [200, 0, 0]},
                "measurements": {"Area": 5.5},
            },
        },
        {
            "type": "Feature",
            "geometry": {"type": "MultiPolygon", "coordinates": [[SQUARE], [SQUARE]]},
            "properties": {"classification": {"names": ["Immune", "CD8"], "colorRGB": -65536}},
        },
        {
            "type": "Feature",
            "geometry": {
                "type": "GeometryCollection",
                "geometries": [{"type": "Point", "coordinates": [1, 2]}],
            },
            "properties": {"classification": "Stroma", "color": "#010203"},
        },
        {
            "type": "Feature",
            "geometry": {"type": "LineString", "coordinates": [[1, 2], [3, 4]]},
            "properties": {"label": "Line"},
        },
    ],
}
ASAP = (
    '<?xml version="1.0"?><ASAP_Annotations><Annotations>'
    '<Annotation Name="a" Type="Polygon" PartOfGroup="Tumour" Color="#FF0000"><Coordinates>'
    '<Coordinate Order="0" X="0" Y="0"/><Coordinate Order="1" X="9" Y="0"/>'
    '<Coordinate Order="2" X="9" Y="7"/>'
    "</Coordinates></Annotation></Annotations><AnnotationGroups>"
    '<Group Name="Tumour" PartOfGroup="None" Color="#FF0000"><Attributes/></Group>'
    "</AnnotationGroups></ASAP_Annotations>"
)
IMAGESCOPE = (
    '<Annotations MicronsPerPixel="0.25"><Annotation Id="1" Name="T" LineColor="255"><Regions>'
    '<Region Id="1" Type="0" Text="" NegativeROA="0"><Vertices>'
    '<Vertex X="0" Y="0"/><Vertex X="50" Y="0"/><Vertex X="50" Y="50"/></Vertices></Region>'
    '<Region Id="2" Type="2" Text="" NegativeROA="1"><Vertices>'
    '<Vertex X="10" Y="10"/><Vertex X="20" Y="20"/></Vertices></Region></Regions></Annotation></Annotations>'
)
LEAVES = (
    None,
    True,
    -1,
    10**400,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "12",
    "\ud800",
    "x\x00y",
    [],
    {},
    [[]],
    [[[[[1, 2]]]]],
    {"type": "Polygon"},
    ["Polygon"],
)


@pytest.fixture
def soon():
    begin = time.perf_counter()
    yield
    assert time.perf_counter() - begin < SOON_S


def refused(path, said=None):
    with pytest.raises(AnnotationError, match=said) as caught:
        read_annotations(path)
    assert path.name in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"<!--" * 16_000,
        b"<?" * 32_000,
        b"<!DOCTYPE" * 7_000,
        b"<!---->" * 9_000,
        b"<?x?>" * 13_000,
        b"<!DOCTYPE a [" + b"[" * 64_000,
        b"<" * 65_536,
        b" " * 200_000,
    ],
)
def test_a_prolog_without_end_is_told_at_once(tmp_path, soon, content):
    (tmp_path / "a.xml").write_bytes(content)
    refused(tmp_path / "a.xml", "not recognised")


def deep(opening, closing, depth, inner="1"):
    return opening * depth + inner + closing * depth


@pytest.mark.parametrize(
    "text",
    [
        "[" * 200_000,
        deep("[", "]", 900),
        deep('{"a":', "}", 900),
        '{"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": '
        + deep(
            '{"type": "GeometryCollection", "geometries": [',
            "]}",
            300,
            '{"type":"Point","coordinates":[1,2]}',
        )
        + "}]}",
        '{"type": "Polygon", "coordinates": ' + deep("[", "]", 800) + "}",
        '{"type": "Polygon", "coordinates": [[' + ",".join([deep("[", "]", 400)] * 5) + "]]}",
        '{"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 2]}, "properties": '
        '{"classification": {"name": ' + deep("[", "]", 800) + "}}}",
        '{"type": "Point", "coordinates": [' + "9" * 5000 + ", 1]}",
        '{"type": "Point", "coordinates": [1e999, 1]}',
    ],
)
def test_deep_and_huge_json(tmp_path, soon, text):
    (tmp_path / "a.geojson").write_text(text)
    refused(tmp_path / "a.geojson")


def test_names_of_any_type(tmp_path):
    nested = json.loads(deep("[", "]", 800))
    document = copy.deepcopy(GOOD)
    document["features"][0] |= {"id": nested}
    document["features"][0]["properties"]["name"] = {"a": nested}
    (tmp_path / "a.geojson").write_text(json.dumps(document))
    first = read_annotations(tmp_path / "a.geojson").annotations[0]
    assert (first.name, first.id) == ("", "")


def test_entities_and_outer_document_types_are_refused(tmp_path, soon):
    laughs = "".join(f'<!ENTITY l{i + 1} "{f"&l{i};" * 10}">' for i in range(9))
    for declared in (
        f'<!DOCTYPE x [<!ENTITY l0 "ha">{laughs}]>',
        '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd">',
        '<!DOCTYPE x PUBLIC "-//x" "http://127.0.0.1:9/x.dtd">',
    ):
        (tmp_path / "a.xml").write_text(ASAP.replace("?>", f"?>{declared}", 1).replace('X="9"', 'X="9&l9;"'))
        refused(tmp_path / "a.xml", "refused for safety")


def test_an_outline_that_crosses_itself_a_million_times_is_left_out_and_named(tmp_path, soon):
    tangle = np.random.default_rng(0).uniform(0, 5000, (3000, 2)).tolist()
    (tmp_path / "a.geojson").write_text(json.dumps(document_of(tangle)))
    refused(tmp_path / "a.geojson", "feature 0: an outline that crosses itself")
    (tmp_path / "a.geojson").write_text(json.dumps(document_of(SQUARE, tangle)))
    found = read_annotations(tmp_path / "a.geojson")
    assert [a.geometry.area for a in found.annotations] == [10_000]
    assert "feature 1 (an outline that crosses itself" in found.notes[0]


def test_a_long_outline_that_crosses_itself_now_and_then_is_repaired(tmp_path, soon):
    rng, angle = np.random.default_rng(0), np.linspace(0, 2 * np.pi, 20_000, endpoint=False)
    ring = 5000 * np.stack([np.cos(angle), np.sin(angle)], 1) + rng.normal(0, 1.0, (20_000, 2))
    (tmp_path / "a.geojson").write_text(json.dumps(document_of(ring.tolist())))
    found = read_annotations(tmp_path / "a.geojson")
    assert found.annotations[0].geometry.area == pytest.approx(np.pi * 5000**2, rel=1e-3)
    assert found.notes == ("1 outline crossed itself and was repaired",)


def document_of(*rings):
    features = [{"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}} for ring in rings]
    return {"type": "FeatureCollection", "features": features}


@pytest.mark.parametrize("value", ["nan", "1e308", "1e999", "-1e12", "inf"])
@pytest.mark.parametrize("text", [ASAP, IMAGESCOPE])
def test_numbers_that_are_no_place(tmp_path, text, value):
    (tmp_path / "a.xml").write_text(text.replace('X="0"', f'X="{value}"', 1))
    refused(tmp_path / "a.xml", "not finite|beyond any slide")


def test_bad_shapes_are_left_out_and_named_the_others_kept(tmp_path):
    rings = [SQUARE, [[0, 0], [1e300, 0], [1, 1]], [[0, 0], ["x", 0], [1, 1]], [[0, 0], [None, 0], [1, 1]]]
    (tmp_path / "a.geojson").write_text(json.dumps(document_of(*rings)))
    found = read_annotations(tmp_path / "a.geojson")
    assert len(found) == 1
    (note,) = found.notes
    assert note.startswith(
        "3 damaged shapes were left out: feature 1 (coordinates beyond any slide, 1e+300 px)"
    )
    assert "feature 2 (coordinates that are no numbers" in note
    assert "feature 3" in note


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (gzip.compress(bytes(10**7)), "gzip"),
        (b"PK\x03\x04" + bytes(99), "ZIP"),
        (b"\x89PNG\r\n\x1a\n" + bytes(99), "PNG"),
        (b"\xac\xed\x00\x05", "qpdata"),
        (bytes(range(256)) * 9, "begins with"),
        (b"", "an empty file"),
        (b"\xef\xbb\xbf \n", "an empty file"),
    ],
)
def test_what_is_no_annotation_file_is_named(tmp_path, content, said):
    (tmp_path / "a.xml").write_bytes(content)
    refused(tmp_path / "a.xml", said)


def test_pipes_and_devices_are_refused(tmp_path, soon):
    os.mkfifo(tmp_path / "a.geojson")
    refused(tmp_path / "a.geojson", "not a regular file")
    with pytest.raises(AnnotationError, match="not a regular file"):
        write_annotations(AnnotationSet(), tmp_path / "a.geojson")
    (tmp_path / "zero.xml").symlink_to("/dev/zero")
    refused(tmp_path / "zero.xml", "not a regular file")


def test_absurdly_large_files_are_not_read(tmp_path, soon):
    for name, start in (("a.geojson", b"{"), ("a.xml", b"<ASAP_Annotations>")):
        path = tmp_path / name
        path.write_bytes(start)
        os.truncate(path, 2**33)  # takes no space
        refused(path, "too large")


@pytest.mark.parametrize("text", [ASAP, IMAGESCOPE])
@pytest.mark.parametrize(
    ("encoding", "declared"),
    [
        ("utf-8-sig", ""),
        ("utf-16", ""),
        ("utf-16", "utf-16"),
        ("latin-1", "iso-8859-1"),
        ("cp1252", "windows-1252"),
    ],
)
def test_encodings(tmp_path, text, encoding, declared):
    body = text.replace('<?xml version="1.0"?>', "").replace('"Tumour"', '"Tumör"').replace('"T"', '"Tumör"')
    head = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""
    (tmp_path / "a.xml").write_bytes((head + body).encode(encoding))
    assert read_annotations(tmp_path / "a.xml").labels() == ("Tumör",)


def test_encodings_that_nobody_knows(tmp_path):
    for name in ("x-unknown", "utf-7", "idna", "hex", "shift_jis"):
        text = ASAP.replace("?>", f' encoding="{name}"?>', 1).replace('"Tumour"', '"T\xe4"')
        (tmp_path / "a.xml").write_bytes(text.encode("latin-1"))
        refused(tmp_path / "a.xml")


def test_json_in_utf_16(tmp_path):
    (tmp_path / "a.geojson").write_bytes(json.dumps(GOOD).encode("utf-16"))
    assert len(read_annotations(tmp_path / "a.geojson")) == 4


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [(("1234,5", "0,25"), (1234.5, 0.25)), (("1,234", "9999,5"), (1.234, 9999.5)), (("1,5", "2"), (1.5, 2))],
)
def test_decimal_commas(tmp_path, numbers, expected):
    text = ASAP.replace("Polygon", "Dot").replace('X="9" Y="7"', 'X="{}" Y="{}"'.format(*numbers))
    (tmp_path / "a.xml").write_text(text)
    found = read_annotations(tmp_path / "a.xml")
    assert shapely.get_coordinates(found.annotations[0].geometry)[-1] == pytest.approx(expected)
    assert "decimal commas were read as decimal points" in found.notes


def test_commas_that_may_set_thousands_apart_are_no_guess(tmp_path):
    (tmp_path / "a.xml").write_text(ASAP.replace('X="9" Y="7"', 'X="1,234" Y="7"'))
    refused(tmp_path / "a.xml", r"(?s)thousands.*'1,234'")
    (tmp_path / "a.xml").write_text(ASAP.replace('X="9" Y="7"', 'X="1,234,567" Y="7"'))
    refused(tmp_path / "a.xml", "no number")


def paths_of(value, here=()):
    """Every place in a JSON document."""
    yield here
    members = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, member in members:
        yield from paths_of(member, (*here, key))


def mutated(document, path, leaf):
    if not path:
        return leaf
    document = copy.deepcopy(document)
    parent = document
    for key in path[:-1]:
        parent = parent[key]
    if leaf is LEAVES:  # stands for leaving it out
        del parent[path[-1]]
    else:
        parent[path[-1]] = leaf
    return document


def read_or_refuse(path, suffix=".xml"):
    """Whatever is read is sound and can be written; what is refused names the file."""
    found, error = None, None
    try:
        found = read_annotations(path)
    except AnnotationError as refusal:
        error = refusal
    if found is None:
        assert path.name in str(error)
        return
    for a in found.annotations:
        assert a.geometry.is_valid
        assert np.isfinite(shapely.get_coordinates(a.geometry)).all()
        (a.label + a.name + a.id + "".join(found.notes)).encode()
    write_annotations(found, path.with_suffix(f".out{suffix}"))


@pytest.mark.parametrize("leaf", [*LEAVES, LEAVES], ids=lambda leaf: repr(leaf)[:12])
def test_every_value_of_a_geojson_replaced_by_any_type(tmp_path, leaf):
    for number, path in enumerate(paths_of(GOOD)):
        if leaf is LEAVES and not path:
            continue
        file = tmp_path / f"{number}.geojson"
        file.write_text(json.dumps(mutated(GOOD, path, leaf)))
        read_or_refuse(file, (".xml", ".geojson")[number % 2])


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_files_with_bytes_gone_wrong(tmp_path, data):
    good = data.draw(st.sampled_from([json.dumps(GOOD).encode(), ASAP.encode(), IMAGESCOPE.encode()]))
    content = bytearray(good)
    for _ in range(data.draw(st.integers(1, 4))):
        at, length = data.draw(st.integers(0, len(content))), data.draw(st.integers(0, 12))
        piece = data.draw(
            st.one_of(
                st.binary(max_size=6),
                st.sampled_from(
                    [b"<", b'"', b"&#0;", b"1e999", b"nan", b"[", b"]", b"{", b"null", b"<Annotation>"]
                ),
            )
        )
        content[at : at + length] = piece
    (tmp_path / "fuzzed.xml").write_bytes(bytes(content))
    read_or_refuse(tmp_path / "fuzzed.xml")


FORBIDDEN = [
    "a\x01b",
    "Tumour\x0b",
    "\ud800",
    "a\x00",
    "\ufffe",
    "tab\tnew\nline",
    "None",
    "none",
    " spaced ",
]


@pytest.mark.parametrize("suffix", [".xml", ".geojson"])
def test_any_name_can_be_read_back(tmp_path, suffix):
    shapes = [
        Annotation(text, "polygon", shapely.box(n, 0, n + 1, 1), text) for n, text in enumerate(FORBIDDEN)
    ]
    path = tmp_path / f"a{suffix}"
    notes = write_annotations(AnnotationSet(tuple(shapes)), path)
    again = read_annotations(path)
    assert len(set(again.labels())) == len(FORBIDDEN), "no two classes became one"
    assert UNCLASSIFIED not in again.labels()
    if suffix == ".xml":
        assert any(r"'Tumour\x0b' was written as" in note for note in notes)
        assert any("'None' was written as" in note for note in notes)
        assert any("in the names of 5 shapes" in note for note in notes)
        assert {"none", " spaced ", "tab\tnew\nline"} <= set(again.labels())
        assert NO_GROUP not in again.labels()


def test_classes_that_differ_only_in_what_xml_forbids_stay_apart(tmp_path):
    labels = ("a\x01", "a\x02", "a\ufffd")
    shapes = [Annotation(label, "polygon", shapely.box(0, 0, 1, 1)) for label in labels]
    write_annotations(AnnotationSet(tuple(shapes)), tmp_path / "a.xml")
    assert len(read_annotations(tmp_path / "a.xml").labels()) == 3


@pytest.mark.parametrize("suffix", [".xml", ".geojson"])
def test_what_cannot_be_read_back_leaves_the_good_file(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    write_annotations(AnnotationSet((Annotation("a", "polygon", shapely.box(0, 0, 9, 9)),)), path)
    before = path.read_bytes()
    for geometry in (shapely.Point(float("nan"), 1), shapely.box(0, 0, 1e300, 1e300)):
        bad = AnnotationSet((Annotation("a", "point" if geometry.area == 0 else "polygon", geometry),))
        with pytest.raises(AnnotationError, match="cannot be written"):
            write_annotations(bad, path)
        assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_only_annotations_are_replaced_and_only_under_their_own_suffix(tmp_path):
    one = AnnotationSet((Annotation("a", "polygon", shapely.box(0, 0, 9, 9)),))
    slide = tmp_path / "slide.svs"
    slide.write_bytes(b"II*\x00" + bytes(99))
    with pytest.raises(AnnotationError, match="is not replaced"):
        write_annotations(one, slide, "asap")
    assert slide.read_bytes().startswith(b"II*")
    with pytest.raises(AnnotationError, match="another format"):
        write_annotations(one, tmp_path / "a.xml", "geojson")
    write_annotations(one, tmp_path / "a.geojson")
    with pytest.raises(AnnotationError, match="of another format than was said"):
        read_annotations(tmp_path / "a.geojson", format="asap")
