"""What was read of a file is kept, is the same when it comes back, and is never that of another content."""

from __future__ import annotations

import json
import math
import os
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shapely.geometry import LineString, MultiPoint, MultiPolygon, Point, box

from napari_nic.annotations import (
    UNCLASSIFIED,
    Annotation,
    AnnotationSet,
    Fault,
    read_annotations,
    write_annotations,
)
from napari_nic.errors import AnnotationError, CancelledError
from napari_nic.jobs import CancellationToken, result_of
from napari_nic.outlines import cache as module
from napari_nic.outlines import reading
from napari_nic.outlines.cache import OutlineCache, SettledFile, cache_folder, content_key
from napari_nic.outlines.reading import iter_read_outlines
from napari_nic.telling import Notices, telling

SHARED = {"properties": {"objectType": "detection"}}
SHAPES = (
    Annotation(
        "Tumor", "polygon", box(0.1, 0.2, 30, 40).difference(box(10, 10, 20, 20)), "first", "id-1", SHARED
    ),
    Annotation("Tumor", "rectangle", box(0, 0, 5, 5), extra=SHARED),
    Annotation(
        "Str\u00f6ma", "spline", MultiPolygon([box(0, 0, 1, 1), box(5, 5, 9, 9)]), "n\u00e4me \u4e2d", "7"
    ),
    Annotation(
        UNCLASSIFIED, "line", LineString([(1e-9, 2), (3, 2**30)]), extra={"a": [1, 2.5, None, {"b": "x"}]}
    ),
    Annotation("Mark", "points", MultiPoint([(1, 2), (3, 4)]), extra={"m": {"x": math.nan, "y": math.inf}}),
    Annotation("Mark", "point", Point(1, 2), extra={"big": 10**30, "text": "\U0001f600"}),
)
FOUND = AnnotationSet(
    SHAPES,
    {"Tumor": (200, 0, 1)},
    "a.geojson",
    ("1 outline crossed itself and was repaired",),
    (Fault("feature 3", "an outline that crosses itself", True),),
)


@pytest.fixture
def kept(tmp_path):
    return OutlineCache(tmp_path / "cache")


def told(found):
    """All that a set says."""
    shapes = [(a, a.geometry.wkb, repr(a.extra)) for a in found.annotations]
    return shapes, dict(found.colors), found.source, found.notes, found.faults


def test_a_set_comes_back_as_it_was(kept):
    assert kept.load("key", "a.geojson") is None
    assert kept.store("key", FOUND)
    assert told(kept.load("key", "a.geojson")) == told(FOUND)


def test_the_name_is_that_of_the_file_that_is_opened(kept):
    kept.store("key", FOUND)
    assert kept.load("key", "moved.geojson").source == "moved.geojson"


def test_what_shapes_share_they_share_again(kept):
    kept.store("key", FOUND)
    first, second, *_ = kept.load("key", "a").annotations
    assert first.extra is second.extra


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
            st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
            st.floats(-1e9, 1e9),
            st.dictionaries(
                st.text(max_size=3), st.none() | st.booleans() | st.integers() | st.floats(), max_size=3
            ),
        ),
        max_size=8,
    )
)
def test_any_words_and_numbers_come_back(kept, rows):
    found = AnnotationSet(
        tuple(
            Annotation(label, "point", Point(place, -place), name, label[::-1], extra)
            for label, name, place, extra in rows
        ),
        source="a",
    )
    if kept.store("key", found):
        assert told(kept.load("key", "a")) == told(found)
    else:
        surrogates = any(not repr(extra).isprintable() or extra for *_, extra in rows)
        assert surrogates, "JSON holds the rest"


def test_what_json_would_change_is_not_kept(kept):
    for extra in ({"a": (1, 2)}, {1: "a"}):
        assert not kept.store("key", AnnotationSet((Annotation("A", "point", Point(1, 2), extra=extra),)))
    assert kept.load("key", "a") is None


@pytest.mark.parametrize("damage", ["cut", "bit", "empty", "other", "pickle"])
def test_a_damaged_entry_is_none_and_goes(kept, damage):
    kept.store("key", FOUND)
    (path,) = kept.folder.iterdir()
    content = bytearray(path.read_bytes())
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "bit":
        middle = content.index(SHAPES[0].geometry.wkb) + 30
        content[middle] ^= 1
        path.write_bytes(content)
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "other":
        kept.store("other", FOUND)
        (kept.folder / path.name.replace("key", "other")).replace(path)
    else:
        np.savez(path, head=np.array([object()], object))
    assert kept.load("key", "a") is None
    assert not path.exists()


def test_no_more_is_kept_than_was_said_and_what_was_used_last_stays(tmp_path):
    one = OutlineCache(tmp_path)
    one.store("size", FOUND)
    size = next(tmp_path.iterdir()).stat().st_size
    one.clear()
    few = OutlineCache(tmp_path, max_bytes=3 * size + size // 2)
    for age, key in enumerate("abcd"):
        few.store(key, FOUND)
        stamp = time.time() - 1000 + age
        os.utime(tmp_path / f"{key}{module.SUFFIX}", (stamp, stamp))
        if key == "c":
            assert few.load("a", "a") is not None, "a is used again"
    few.store("e", FOUND)
    assert {key for key in "abcde" if few.load(key, "x") is not None} == {"a", "d", "e"}


def test_one_that_is_too_large_is_not_kept(tmp_path):
    assert not OutlineCache(tmp_path, max_bytes=1000).store("key", FOUND)
    assert list(tmp_path.iterdir()) == []


def test_what_killed_programs_left_goes(kept):
    kept.store("a", FOUND)
    old, new = (kept.folder / f"{name}{module.HALF_WRITTEN}" for name in ("old", "new"))
    for path in (old, new):
        path.touch()
    os.utime(old, (1, 1))
    kept.store("b", FOUND)
    assert (old.exists(), new.exists()) == (False, True)


def test_a_folder_that_may_not_be_written_harms_nothing(tmp_path):
    (tmp_path / "file").touch()
    unwritable = OutlineCache(tmp_path / "file" / "cache")
    assert not unwritable.store("key", FOUND)
    assert unwritable.load("key", "a") is None


def test_entries_lie_in_the_users_cache_and_are_for_the_user_alone(tmp_path, monkeypatch):
    monkeypatch.setenv(module.HOME_VARIABLE, str(tmp_path))
    assert cache_folder() == tmp_path / "outlines"
    OutlineCache().store("key", FOUND)
    assert os.name == "nt" or cache_folder().stat().st_mode & 0o077 == 0
    monkeypatch.delenv(module.HOME_VARIABLE)
    assert "napari-nic" in str(cache_folder())


# -- files ---------------------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A file that was written long ago, and is worth keeping."""
    monkeypatch.setattr(reading, "FEWEST_BYTES", 1)
    monkeypatch.setattr(module, "SETTLED_SECONDS", -1)
    made = tmp_path / "a.geojson"
    write_annotations(FOUND, made)
    return made


def read(path, kept, **options):
    return result_of(iter_read_outlines(path, cache=kept, **options))


@pytest.fixture
def readings(monkeypatch):
    """Names of files that were really read."""
    seen, real = [], reading.iter_read_annotations

    def note(path, **options):
        seen.append(path.name)
        return real(path, **options)

    monkeypatch.setattr(reading, "iter_read_annotations", note)
    return seen


def test_a_file_is_read_once_and_gives_the_same_each_time(path, kept, readings):
    first, second = read(path, kept), read(path, kept)
    assert readings == ["a.geojson"]
    assert told(first) == told(second) == told(read_annotations(path))


def test_a_copy_is_known_by_its_content(path, kept, readings):
    read(path, kept)
    copy = path.with_name("copy.geojson")
    copy.write_bytes(path.read_bytes())
    assert read(copy, kept).source == "copy.geojson"
    assert readings == ["a.geojson"]


def test_a_file_that_was_rewritten_with_size_and_times_kept_is_read_anew(path, kept, readings):
    before = read(path, kept)
    state = path.stat()
    text = path.read_text().replace('"Tumor"', '"Humor"')
    path.write_text(text)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (state.st_size, state.st_mtime_ns)
    after = read(path, kept)
    assert "Tumor" in before.labels()
    assert "Humor" in after.labels()
    assert len(readings) == 2


def test_a_file_that_is_written_while_it_is_read_is_not_kept(path, kept, readings, monkeypatch):
    real = reading.iter_read_annotations

    def rewritten(path, **options):
        path.write_text(path.read_text().replace('"Tumor"', '"Humor"'))
        return real(path, **options)

    monkeypatch.setattr(reading, "iter_read_annotations", rewritten)
    assert "Humor" in read(path, kept).labels()
    assert not kept.folder.exists()


def test_a_file_that_was_written_just_now_is_not_kept_yet(path, kept, readings, monkeypatch):
    """Within the grain of a file system's clock it may be written once more without a trace."""
    monkeypatch.setattr(module, "SETTLED_SECONDS", 3600)
    assert not SettledFile(path).is_unchanged()
    read(path, kept)
    read(path, kept)
    assert len(readings) == 2


def test_another_version_reads_anew(path, monkeypatch):
    before = content_key(path)
    monkeypatch.setattr(module, "VERSION", module.VERSION + 1)
    assert content_key(path) != before


def test_what_is_to_be_known_of_a_file_is_told_each_time(path, kept):
    ring = [[0, 0], [10, 10], [10, 0], [0, 10], [0, 0]]
    feature = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}}
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    for _ in range(2):
        heard = []
        with telling(heard.append):
            read(path, kept)
        assert [notice.name for notice in heard if isinstance(notice, Notices)] == ["a.geojson"]


def test_small_files_and_those_that_count_otherwise_are_not_kept(path, kept, readings, monkeypatch):
    write_annotations(FOUND, path.with_name("a.xml"))
    monkeypatch.setattr(reading, "counts_in_pixels", lambda _: False)
    read(path, kept)
    monkeypatch.undo()
    read(path, kept)
    assert not kept.folder.exists()


def test_what_cannot_be_read_is_refused_as_ever(path, kept):
    path.write_text("{")
    with pytest.raises(AnnotationError, match="not a readable GeoJSON"):
        read(path, kept)
    with pytest.raises(AnnotationError, match="cannot be read"):
        read(path.with_name("nothing.geojson"), kept)
    assert not kept.folder.exists()


def test_looking_at_a_file_can_be_cancelled(path, kept):
    token = CancellationToken()
    token.cancel()
    with pytest.raises(CancelledError):
        read(path, kept, token=token)
