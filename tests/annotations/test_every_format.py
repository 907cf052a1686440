"""Contract of all formats: what is written is read, in its place, and what is lost was announced."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pydicom
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_nic.annotations import (
    FORMATS,
    UNCLASSIFIED,
    Annotation,
    AnnotationSet,
    SlideExtent,
    ellipse_outline,
    losses,
    read_annotations,
    writable_formats,
    write_annotations,
)
from napari_nic.annotations.carrying import COLOURS, FEATURES
from napari_nic.annotations.details import details, measurements
from napari_nic.errors import AnnotationError
from napari_nic.geometry import PixelSize

EXTENT = SlideExtent((60_000, 80_000), PixelSize(0.22, 0.22), centre_nm=(1_500_000, -2_000_000))
WRITTEN = writable_formats()


@pytest.fixture(autouse=True, scope="module")
def slide_is_there(dicom_slide):
    """DICOM's annotations refer to the pictures of a slide."""
    global EXTENT
    EXTENT = replace(EXTENT, path=dicom_slide)


RING = shapely.box(10, 10, 90, 70).difference(shapely.Point(50, 40).buffer(9, quad_segs=3))
TRIANGLE = shapely.Polygon([(0, 0), (40, 5), (11, 30)])
TWO = shapely.MultiPolygon([TRIANGLE, shapely.transform(TRIANGLE, lambda xy: xy + 100)])
ZIGZAG = shapely.LineString([(0, 0), (5, 7), (9, 1)])
STROKE = shapely.LineString([(1, 2), (30, 4)])

EXAMPLES = {
    "holes": Annotation("Tumour", "polygon", RING),
    "areas of several parts": Annotation("Tumour", "polygon", TWO),
    "rectangles": Annotation("Tumour", "rectangle", shapely.box(3, 4, 10, 20)),
    "circles": Annotation("Tumour", "ellipse", ellipse_outline((40.5, 30), (17, 17))),
    "ellipses": Annotation("Tumour", "ellipse", ellipse_outline((40, 30), (25.5, 12))),
    "turned ellipses": Annotation("Tumour", "ellipse", ellipse_outline((40, 30), (25, 12), -0.4)),
    "splines": Annotation("Tumour", "spline", TRIANGLE),
    "lines": Annotation("Tumour", "line", ZIGZAG),
    "lines of several parts": Annotation("Tumour", "line", shapely.MultiLineString([ZIGZAG, STROKE])),
    "arrows": Annotation("Tumour", "arrow", STROKE),
    "measured lines": Annotation("Tumour", "measurement", STROKE),
    "points": Annotation("Tumour", "point", shapely.Point(3, 4)),
    "point sets": Annotation("Tumour", "points", shapely.MultiPoint([(3, 4), (5, 6)])),
    "names": Annotation("Tumour", "polygon", TRIANGLE, name="nest <3> & co"),
    "ids": Annotation("Tumour", "polygon", TRIANGLE, id="b7e23ec2-9bd4-4a5f-a2cb-b3d16c3a7e00"),
    "measurements": Annotation(
        "Tumour",
        "polygon",
        TRIANGLE,
        extra={"properties": {"measurements": {"Area µm^2": 5.25, "x": 1.5, "far": float("inf")}}},
    ),
    "further details": Annotation(
        "Tumour", "polygon", TRIANGLE, extra={"properties": {"isLocked": True}, "parent": "p"}
    ),
}
"""Of each feature a shape that has it, and nothing else that is special."""


TOLD_THOUGH_READ = {("imagescope", "lines")}
"""What that program shows as something else, though we read it back as what it was."""


def there_and_back(
    folder: Path, annotations: AnnotationSet, name: str
) -> tuple[AnnotationSet, tuple[str, ...]]:
    path = folder / f"a{FORMATS.get(name).suffixes[0]}"
    notes = write_annotations(annotations, path, name, extent=EXTENT)
    return read_annotations(path, format=name, extent=EXTENT), notes


def tolerance(name: str) -> float:
    """How far a corner may move, px."""
    step = FORMATS.get(name).step
    return 1e-9 if not step else 0.5 if FORMATS.get(name).unit == "px" else step / 220


def same_place(name: str, ours: shapely.Geometry, theirs: shapely.Geometry) -> bool:
    far = shapely.hausdorff_distance(ours, theirs)
    return bool(far <= 2 * tolerance(name) + 1e-6)


@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize("feature", EXAMPLES)
def test_a_feature_survives_or_its_loss_is_announced(tmp_path, name, feature):
    original = AnnotationSet((EXAMPLES[feature],))
    assert FEATURES[feature][1](EXAMPLES[feature]), "the example has what it stands for"
    announced = [text for text in losses(original, name) if f"has no {feature}:" in text]
    again, notes = there_and_back(tmp_path, original, name)
    assert set(announced) <= set(notes)
    survived = len(again) == 1 and FEATURES[feature][1](again.annotations[0])
    if feature == "ids" and survived:
        survived = again.annotations[0].id == EXAMPLES["ids"].id
    if (name, feature) in TOLD_THOUGH_READ:
        assert announced
        return
    assert survived == (not announced), (announced, again.annotations)
    if not survived:
        return
    ours, theirs = original.annotations[0], again.annotations[0]
    assert theirs.label == "Tumour"
    assert same_place(name, ours.geometry, theirs.geometry)
    for value in ("names", "ids", "measurements", "further details"):
        if feature == value:
            assert (theirs.name, theirs.id) == (ours.name, theirs.id if not ours.id else ours.id)
            assert measurements(theirs) == measurements(ours)
            assert details(theirs) == details(ours)


@pytest.mark.parametrize("name", WRITTEN)
def test_all_together_lie_where_they_lay(tmp_path, name):
    labels = ("Tumour", "Stroma", UNCLASSIFIED)
    shapes = tuple(
        replace(
            shape,
            label=labels[n % 3],
            geometry=shapely.transform(shape.geometry, lambda xy, n=n: xy + np.array([300 * n, 40_000])),
        )
        for n, shape in enumerate(EXAMPLES.values())
    )
    original = AnnotationSet(shapes, {"Tumour": (200, 10, 30), "Stroma": (9, 99, 199)})
    again, notes = there_and_back(tmp_path, original, name)
    assert notes[: len(losses(original, name))] == losses(original, name)
    assert set(again.labels()) == set(labels)
    if any(COLOURS in text for text in notes):
        assert COLOURS in FORMATS.get(name).instead
    else:
        assert again.colors == original.colors
    for label in labels:
        before, after = (shapely.union_all(one.polygons(label)) for one in (original, again))
        assert shapely.symmetric_difference(before, after).area <= tolerance(name) * before.length + 1e-3
        for kinds in (("line", "arrow", "measurement"), ("point", "points")):
            ours, theirs = (
                shapely.union_all(
                    [a.geometry for a in one.annotations if a.label == label and a.kind in kinds]
                )
                for one in (original, again)
            )
            if name != "asap" and not ours.is_empty:  # whose lines are point sets
                assert same_place(name, ours, theirs)


@pytest.mark.parametrize("name", WRITTEN)
class TestEveryWriter:
    def test_what_is_written_is_found_by_its_content(self, tmp_path, name):
        path = tmp_path / f"a{FORMATS.get(name).suffixes[0]}"
        write_annotations(AnnotationSet((EXAMPLES["holes"],)), path, name, extent=EXTENT)
        with path.open("rb") as file:
            head = file.read(65536)
        assert [other for other in FORMATS if FORMATS.get(other).recognises(head)] == [name]
        assert read_annotations(path, extent=EXTENT).labels() == ("Tumour",)

    def test_an_empty_set(self, tmp_path, name):
        path = tmp_path / f"a{FORMATS.get(name).suffixes[0]}"
        assert write_annotations(AnnotationSet(), path, name, extent=EXTENT) == ()
        assert len(read_annotations(path, extent=EXTENT)) == 0

    def test_a_failed_write_keeps_the_old_file(self, tmp_path, name, monkeypatch):
        path = tmp_path / f"a{FORMATS.get(name).suffixes[0]}"
        write_annotations(AnnotationSet((EXAMPLES["names"],)), path, name, extent=EXTENT)
        before = path.read_bytes()

        def full(*_args):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "replace", full)
        with pytest.raises(AnnotationError, match="No space left"):
            write_annotations(AnnotationSet(), path, name, extent=EXTENT)
        assert path.read_bytes() == before
        assert list(tmp_path.iterdir()) == [path]

    def test_the_same_set_makes_the_same_file(self, tmp_path, name):
        original = AnnotationSet(tuple(EXAMPLES.values()))
        files = [tmp_path / f"{n}{FORMATS.get(name).suffixes[0]}" for n in "ab"]
        for file in files:
            write_annotations(original, file, name, extent=EXTENT)
        assert _without_date(files[0]) == _without_date(files[1])

    def test_outlines_that_cross_themselves_are_repaired_before(self, tmp_path, name):
        bowtie = shapely.Polygon([(0, 0), (100, 100), (100, 0), (0, 100)])
        original = AnnotationSet((Annotation("a", "polygon", bowtie), EXAMPLES["names"]))
        again, notes = there_and_back(tmp_path, original, name)
        assert "1 outline crossed itself and was repaired" in notes
        assert again.notes == ()
        assert sum(shapely.area(again.polygons("a"))) == pytest.approx(5000, rel=1e-3)

    def test_also_outlines_of_several_parts_and_many_corners(self, tmp_path, name):
        turns = np.linspace(0, 2 * np.pi, 300, endpoint=False)
        ring = shapely.Polygon(np.stack([np.cos(turns), np.sin(turns)], 1) * 90)
        bowtie = shapely.Polygon([(200, 0), (300, 100), (300, 0), (200, 100)])
        original = AnnotationSet((Annotation("a", "polygon", shapely.MultiPolygon([ring, bowtie])),))
        again, notes = there_and_back(tmp_path, original, name)
        assert "1 outline crossed itself and was repaired" in notes
        assert sum(shapely.area(again.polygons("a"))) == pytest.approx(ring.area + 5000, rel=5e-3)

    def test_odd_texts_come_back_or_are_told(self, tmp_path, name):
        odd = (
            "quoted \"<&>' name",
            "Ärzte: Übung",
            "a, b; c\td",
            "two\nlines",
            "emoji 🔬",
            "=1+1",
            "a" * 300,
        )
        shapes = tuple(Annotation(text, "polygon", TRIANGLE, text) for text in odd)
        again, notes = there_and_back(tmp_path, AnnotationSet(shapes), name)
        for ours, theirs in zip(odd, again.annotations, strict=True):
            written = " ".join(ours.split()) if "\n" in ours or "\t" in ours else ours
            told = any(f"the class {ours!r} was written as {theirs.label!r}" in note for note in notes)
            assert told or theirs.label in (ours, written), notes
            if "names" not in FORMATS.get(name).instead:
                assert theirs.name in (ours, written)

    @settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def test_any_set_comes_back(self, tmp_path, strategies, name, data):
        original = data.draw(strategies.sets())
        again, notes = there_and_back(tmp_path, original, name)
        lost = any("without extent" in note for note in notes)
        before, after = (
            sum(shapely.area(one.polygons())) if one.polygons() else 0 for one in (original, again)
        )
        length = sum(shapely.length(original.polygons())) if original.polygons() else 0
        assert after == pytest.approx(before, rel=1e-6, abs=tolerance(name) * length + 1e-3)
        assert lost or len(again) >= len(original)

    def test_ten_thousand_objects(self, tmp_path, name):
        original = many_objects(10_000)
        again, notes = there_and_back(tmp_path, original, name)
        assert again.faults == ()
        assert notes[: len(losses(original, name))] == losses(original, name)
        for label in original.labels():
            before, after = (np.array(one.polygons(label), object) for one in (original, again))
            slack = tolerance(name) * shapely.length(before).sum()
            assert shapely.area(after).sum() == pytest.approx(shapely.area(before).sum(), rel=1e-6, abs=slack)
            centre = shapely.get_coordinates(shapely.centroid(shapely.GeometryCollection(list(before))))
            found = shapely.get_coordinates(shapely.centroid(shapely.GeometryCollection(list(after))))
            # Rounding changes areas, and with them whose centre counts how much.
            np.testing.assert_allclose(found, centre, atol=1e-3 + 10 * tolerance(name))
        for feature in ("rectangles", "circles", "ellipses", "turned ellipses", "lines", "arrows"):
            if feature not in FORMATS.get(name).instead:
                kept = [sum(map(FEATURES[feature][1], one.annotations)) for one in (original, again)]
                told_apart = (name, feature) not in TOLD_THOUGH_READ and name not in ("imagescope", "halo")
                # What other kinds are written as may be added.
                assert kept[0] <= kept[1] or not told_apart, feature
        if "ids" not in FORMATS.get(name).instead and len(again) == len(original):
            assert [a.id for a in again.annotations] == [a.id for a in original.annotations]


def _without_date(path: Path) -> object:
    """Content of a file, but for the moments at which a DICOM file was made."""
    if path.suffix != ".dcm":
        return path.read_bytes()
    document = pydicom.dcmread(path)
    for word in ("InstanceCreationTime", "ContentTime", "ContributingEquipmentSequence"):
        del document[word]
    return document


@cache
def many_objects(number: int) -> AnnotationSet:
    """Objects of all kinds on a lattice, so that none touches another; the same in every run."""
    rng = np.random.default_rng(5)
    columns = int(np.sqrt(number)) + 1
    shapes = []
    for n in range(number):
        centre = np.array([n % columns, n // columns]) * 60 + 30.5
        corners = int(rng.integers(3, 12))
        angles = np.linspace(0, 2 * np.pi, corners, endpoint=False) + rng.uniform(0, 1)
        ring = np.stack([np.cos(angles), np.sin(angles)], 1)
        outer = centre + ring * rng.uniform(12, 25, (corners, 1))
        inner = centre + ring * 3
        kind, geometry = [
            ("polygon", shapely.Polygon(outer)),
            ("polygon", shapely.Polygon(outer, [inner])),
            (
                "polygon",
                shapely.MultiPolygon(
                    [shapely.box(*centre, *(centre + 9)), shapely.box(*(centre - 9), *(centre - 1))]
                ),
            ),
            ("rectangle", shapely.box(*(centre - 5.25), *(centre + 7.75))),
            ("line", shapely.LineString(outer)),
            ("point", shapely.Point(centre)),
            ("points", shapely.MultiPoint(outer)),
            ("ellipse", ellipse_outline(tuple(centre), tuple(rng.uniform(5, 25, 2)), n % 5 / 4)),
            ("ellipse", ellipse_outline(tuple(centre), (9.25, 9.25))),
            ("arrow", shapely.LineString(outer[:2])),
        ][n % 10]
        measured = {"properties": {"measurements": {"n": float(n)}}} if n % 2 else {}
        label = ("Tumour", "Stroma", UNCLASSIFIED)[n % 3]
        shapes.append(Annotation(label, kind, geometry, f"name {n}", f"id-{n}", measured))
    return AnnotationSet(tuple(shapes))


def test_a_circle_of_pixels_that_are_not_square_is_none_on_the_glass(tmp_path):
    extent = SlideExtent((60_000, 80_000), PixelSize(0.25, 0.22), centre_nm=(1_500_000, -2_000_000))
    drawn = AnnotationSet((EXAMPLES["circles"],))
    assert losses(drawn, "ndpa") == ()
    told = ("Hamamatsu NDPA has no ellipses: 1 ellipse is written as outlines",)
    assert losses(drawn, "ndpa", extent=extent) == told
    path = tmp_path / "a.ndpa"
    assert write_annotations(drawn, path, extent=extent) == told
    (found,) = read_annotations(path, extent=extent).annotations
    assert found.kind == "polygon"
    assert same_place("ndpa", EXAMPLES["circles"].geometry, found.geometry)


def test_what_was_edited_is_written_as_what_it_is_now(tmp_path):
    outline = EXAMPLES["ellipses"].geometry
    moved = shapely.transform(outline, lambda xy: np.where(xy == xy.max(axis=0), xy + 9, xy))
    longer = shapely.LineString([(0, 0), (5, 5), (9, 0)])
    shapes = (Annotation("a", "ellipse", moved), Annotation("a", "arrow", longer))
    for name in WRITTEN:
        assert not [text for text in losses(AnnotationSet(shapes), name) if "ellipses" in text]
        again, _ = there_and_back(tmp_path, AnnotationSet(shapes), name)
        assert again.annotations[0].kind == "polygon"
        assert "arrow" not in [a.kind for a in again.annotations]


@pytest.mark.parametrize("name", ["ndpa", "sectra", "cytomine"])
def test_files_that_have_no_place_without_their_slide_say_so(tmp_path, name):
    path = tmp_path / f"a{FORMATS.get(name).suffixes[0]}"
    path.write_text(NEEDS_SLIDE[name])
    with pytest.raises(AnnotationError, match="no place without their slide"):
        read_annotations(path)
    assert len(read_annotations(path, extent=EXTENT)) == 1


NEEDS_SLIDE = {
    "ndpa": '<annotations><ndpviewstate id="1"><title>a</title><coordformat>nanometers</coordformat>'
    '<annotation type="pin" color="#ff0000"><x>1000</x><y>2000</y></annotation></ndpviewstate></annotations>',
    "sectra": '{"type": "Point", "rowVersion": 1, "slideId": "a", "content": [{"x": 0.5, "y": 0.25}]}',
    "cytomine": '{"annotation": {"project": 1, "term": [], "location": "POINT (100 200)"}}',
}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ndpa", ((1000 - 1_500_000) / 220 + 40_000, (2000 + 2_000_000) / 220 + 30_000)),
        ("sectra", (40_000, 20_000)),
        ("cytomine", (100, 59_800)),
    ],
)
def test_units_and_corners_of_others(tmp_path, name, expected):
    path = tmp_path / f"a{FORMATS.get(name).suffixes[0]}"
    path.write_text(NEEDS_SLIDE[name])
    (found,) = read_annotations(path, extent=EXTENT).annotations
    assert (found.geometry.x, found.geometry.y) == pytest.approx(expected)


def test_what_is_not_known_of_the_slide_is_said(tmp_path):
    path = tmp_path / "a.ndpa"
    path.write_text(NEEDS_SLIDE["ndpa"])
    with pytest.raises(AnnotationError, match="pixel size of the slide is not known"):
        read_annotations(path, extent=SlideExtent((10, 10)))
    with pytest.raises(AnnotationError, match="where it lies on the glass"):
        read_annotations(path, extent=SlideExtent((10, 10), PixelSize(0.5, 0.5)))
