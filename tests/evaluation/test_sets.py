"""The file of labelled sets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from napari_nic.errors import InvalidParameterError
from napari_nic.evaluation import EncodedSet, LabelledSet, encode_set, read_sets
from napari_nic.evaluation.labels import OutlineLabels

SHIPPED = Path(__file__).parents[2] / "benchmarks" / "encoder_sets.json"


def described(tmp_path: Path, *sets: dict) -> Path:
    file = tmp_path / "sets.json"
    file.write_text(json.dumps({"sets": list(sets)}), encoding="utf-8")
    return file


def test_folders_start_beside_the_file_or_at_the_root(tmp_path: Path) -> None:
    file = described(tmp_path, {"name": "a", "folder": "x", "mpp": 1, "labels": "outlines"})
    expected = LabelledSet("a", tmp_path / "x", 1.0, rule=OutlineLabels())
    assert read_sets(file) == (expected,)
    assert read_sets(file, Path("/data"))[0].folder == Path("/data/x")


@pytest.mark.parametrize(
    "entry",
    [{"name": "a", "folder": "x"}, {"name": "a", "folder": "x", "mpp": 1, "colour": "red"}],
)
def test_missing_and_unknown_fields_are_named(tmp_path: Path, entry: dict) -> None:
    with pytest.raises(InvalidParameterError, match="'a' is described wrongly"):
        read_sets(described(tmp_path, entry))


@pytest.mark.parametrize("text", ["", "[]", '{"sets": [3]}', '{"sets": [{"name": 1}]}'])
def test_a_file_that_is_something_else_is_refused_by_name(tmp_path: Path, text: str) -> None:
    file = tmp_path / "sets.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidParameterError, match=r"sets\.json"):
        read_sets(file)


def test_shipped_file_describes_usable_sets(data_dir: Path) -> None:
    sets = {labelled.name: labelled for labelled in read_sets(SHIPPED, data_dir)}
    assert {"consep", "lc25000", "camelyon"} <= set(sets)
    assert all(labelled.folder.is_dir() for labelled in sets.values())
    assert sets["consep"].evaluation_only
    assert not sets["camelyon"].evaluation_only


@pytest.mark.data
def test_real_sets_have_their_classes_and_groups(data_dir: Path) -> None:
    from napari_nic.encoders import load_encoder

    sets = {labelled.name: labelled for labelled in read_sets(SHIPPED, data_dir)}
    found: dict[str, EncodedSet] = {
        name: encode_set(load_encoder("mean-rgb"), sets[name], patches_per_tile=1)
        for name in ("consep", "breakhis", "camelyon")
    }
    assert found["consep"].patches.class_names == ("epithelial", "spindle")
    assert len(set(found["consep"].groups)) == 24  # images
    assert found["breakhis"].patches.class_names == ("benign", "malignant")
    assert len(set(found["breakhis"].groups)) == 26  # patients
    assert found["camelyon"].patches.class_names == ("inside", "outside")
    assert found["camelyon"].codes.shape[1] == 3
