"""Features that are read many at a time become what they become one by one."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_nic.annotations import PartRead, geojson_format, geojson_plain, json_parsing, read_annotations
from napari_nic.annotations.geojson_plain import PlainFeatures
from napari_nic.errors import AnnotationError

STAR = [[0, 0], [10.5, 0], [12, 7], [10, 10], [-3, 12.25], [0, 0]]
OTHER_RINGS = [
    [[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]],
    [[0, 0], [9, 0], [5, 7]],
    [[0, 0], [9, 0], [5, 7], [0, 0]],
    [[0, 0], [9, 0], [0, 0]],
    [[0, 0], [10, 10], [10, 0], [0, 10], [1, 1], [0, 0]],
    [[0, 0], [5, 5], [9, 9], [9, 9], [9, 9], [0, 0]],
    [[0, 0, 1], [9, 0, 1], [5, 7, 1], [4, 7, 1], [0, 0, 1]],
    [[0, 0], [9, 0], [5, 7, 3], [4, 7], [2, 9], [0, 0]],
    [[0, 0], ["9", 0], [5, 7], [4, 7], [2, 9], [0, 0]],
    [[0, 0], [True, 0], [5, 7], [4, 7], [2, 9], [0, 0]],
    [[0, 0], [None, 0], [5, 7], [4, 7], [2, 9], [0, 0]],
    [[0, 0], [float("nan"), 0], [5, 7], [4, 7], [2, 9], [0, 0]],
    [[0, 0], [1e12, 0], [5, 7], [4, 7], [2, 9], [0, 0]],
    [[0, 0], [10**400, 0], [5, 7], [4, 7], [2, 9], [0, 0]],
    [[0, -0.0], [9, 0], [5, 7], [4, 7], [2, 9], [-0.0, 0]],
    ["ab", "cd", "ef", "gh", "ij", "ab"],
    [],
    "ring",
]
RINGS = st.one_of(st.just(STAR), st.just(STAR), st.sampled_from(OTHER_RINGS))
GEOMETRIES = st.one_of(
    st.builds(lambda ring: {"type": "Polygon", "coordinates": [ring]}, RINGS),
    st.builds(lambda ring: {"type": "Polygon", "coordinates": [ring]}, RINGS),
    st.builds(lambda ring: {"type": "Polygon", "coordinates": [STAR, ring]}, RINGS),
    st.builds(lambda ring: {"type": "Polygon", "coordinates": [ring], "plane": {"z": 1}}, RINGS),
    st.builds(lambda ring: {"type": "MultiPolygon", "coordinates": [[ring]]}, RINGS),
    st.sampled_from([None, 5, {}, {"type": "Point", "coordinates": [1, 2]}, {"type": "Polygon"}]),
)
WORDS = st.sampled_from(["", "Tumor", "T\u00f6mor", "half \ud800", None, 5, ["x"], {"a": 1}])
COLORS = st.sampled_from([[200, 0, 0], [1, 2, 3], [True, 1, 1], [1, 1, 1.0], [[1], 2, 3], "#010203", None])
CLASSES = st.one_of(
    st.fixed_dictionaries(
        {}, optional={"name": WORDS, "names": st.lists(WORDS, max_size=2), "color": COLORS}
    ),
    st.sampled_from(["Tumor", None, 5, {"name": "A", "colorRGB": -65536}]),
)
PROPERTIES = st.fixed_dictionaries(
    {},
    optional={
        "objectType": st.sampled_from(["detection", "annotation", "cell", 3]),
        "classification": CLASSES,
        "name": WORDS,
        "isLocked": st.sampled_from([True, 1, False]),
        "measurements": st.sampled_from([{"a": 1.5}, [{"name": "a", "value": "NaN"}]]),
        "color": COLORS,
        "type": st.sampled_from(["ellipse", "x"]),
        "id": st.just("7"),
    },
)
FEATURES = st.fixed_dictionaries(
    {"type": st.sampled_from(["Feature", "Feature", "Feature", "feature"]), "geometry": GEOMETRIES},
    optional={
        "id": st.sampled_from(["a", "PathCellObject", "", 5, "\u00e9", None]),
        "properties": PROPERTIES | st.sampled_from([None, [1]]),
        "nucleusGeometry": st.just({"type": "Point", "coordinates": [1, 2]}),
        "children": st.just([{"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 2]}}]),
    },
)


def read_carefully(path):
    """As one object after the other, by Python's own parser."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PlainFeatures, "drawn", lambda *_: None)
        patch.setattr(json_parsing.orjson, "loads", json.loads)
        patch.setattr(geojson_format, "features_of", refusing)
        return outcome(path)


def refusing(_text):
    raise json_parsing.NotInPiecesError
    yield


def outcome(path):
    """All that is told of a file, or why it is refused."""
    try:
        found = read_annotations(path)
    except AnnotationError as error:
        return str(error)
    shapes = [(a, a.geometry.wkb, repr(a.extra)) for a in found.annotations]
    return shapes, dict(found.colors), found.source, found.notes, found.faults, found.recoloured


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(features=st.lists(FEATURES, min_size=1, max_size=8), piece=st.sampled_from([100, 10**6]))
def test_both_ways_give_the_same(tmp_path, features, piece):
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_parsing, "PIECE_BYTES", piece)
        found = outcome(path)
    assert found == read_carefully(path)


@pytest.mark.data
def test_both_ways_give_the_same_of_real_files(data_dir):
    files = sorted((data_dir / "annotations").rglob("*.geojson"))
    if not files:
        pytest.skip("no GeoJSON files there")
    for path in files:
        assert outcome(path) == read_carefully(path)


def nuclei(number):
    """Features as QuPath writes detections."""
    angle = np.linspace(0, 2 * np.pi, 17)
    for n in range(number):
        ring = np.round(np.stack([np.cos(angle), np.sin(angle)], 1) * 9 + (n * 20, n), 1)
        ring[-1] = ring[0]
        yield {
            "type": "Feature",
            "id": f"{n}",
            "geometry": {"type": "Polygon", "coordinates": [ring.tolist()]},
            "properties": {"objectType": "detection", "classification": {"name": "AB"[n % 2]}},
        }


def test_what_many_programs_write_is_read_the_fast_way(tmp_path, monkeypatch):
    """Else it would still be right, and nobody would notice that it takes three times as long."""
    carefully = []
    real = geojson_format._try_feature
    monkeypatch.setattr(
        geojson_format, "_try_feature", lambda *args: (carefully.append(args[1]), real(*args))
    )
    made = []
    real_make = geojson_plain.make_areas
    monkeypatch.setattr(
        geojson_format, "make_areas", lambda shapes: (real_make(shapes), made.extend(s.area for s in shapes))
    )
    unclassified = next(nuclei(1))
    del unclassified["properties"]["classification"]
    cell = next(nuclei(1)) | {"nucleusGeometry": {"type": "Point", "coordinates": [1, 2]}}
    cell["properties"] |= {"measurements": {"Area": 5.5}, "isLocked": False, "name": "n"}
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [*nuclei(20), unclassified, cell]}))
    assert len(read_annotations(path)) == 22
    assert carefully == []
    assert len(made) == 22
    assert None not in made


def test_features_that_say_the_same_share_what_they_say(tmp_path):
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": list(nuclei(3))}))
    first, second, _ = read_annotations(path).annotations
    assert first.extra is second.extra
    assert first.extra == {"properties": {"objectType": "detection"}}


def test_reading_tells_how_far_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(json_parsing, "PIECE_BYTES", 2000)
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": list(nuclei(60))}))
    told = list(geojson_format.iter_read(path))
    shares = [progress.fraction for progress in told if progress.stage == "Reading outlines"]
    assert len(shares) > 5
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1, abs=0.01)
    assert {progress.stage for progress in told} == {"Reading outlines", "Checking outlines"}


def test_what_is_read_so_far_is_told_piece_by_piece(tmp_path, monkeypatch):
    """Areas with their classes and colours; those that take longer to make come with the rest."""
    monkeypatch.setattr(json_parsing, "PIECE_BYTES", 2000)
    with_hole = next(nuclei(1))
    with_hole["geometry"]["coordinates"].append([[1, 1], [2, 1], [2, 2], [1, 1]])
    found = [*nuclei(30), with_hole, *nuclei(30)]
    colors = {"A": [1, 2, 3], "B": [4, 5, 6]}
    for feature in found:
        given = feature["properties"]["classification"]
        given["color"] = colors[given["name"]]
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": found}))
    told = [report for report in geojson_format.iter_read(path) if isinstance(report, PartRead)]
    shapes = read_annotations(path)
    plain = [shape for shape in shapes.annotations if not shape.geometry.interiors]
    assert len(told) > 5
    assert all(len(part.areas) == len(part.labels) for part in told)
    assert [area.wkb for part in told for area in part.areas] == [shape.geometry.wkb for shape in plain]
    assert [label for part in told for label in part.labels] == [shape.label for shape in plain]
    assert told[-1].colors == shapes.colors == {"A": (1, 2, 3), "B": (4, 5, 6)}


def test_what_was_told_does_not_count_where_the_file_is_read_afresh(tmp_path, monkeypatch):
    monkeypatch.setattr(json_parsing, "PIECE_BYTES", 2000)
    path = tmp_path / "a.geojson"
    text = json.dumps({"type": "FeatureCollection", "features": list(nuclei(60))})
    path.write_text(text.replace("]}", '],"bbox":[0,0,1,1]}')[:-1] + ', "more": {"features": []}}')
    parts = [report for report in geojson_format.iter_read(path) if isinstance(report, PartRead)]
    assert parts[-1].is_afresh
    assert not parts[-1].areas
