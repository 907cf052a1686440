"""How patches get their classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from napari_nic.errors import InvalidParameterError
from napari_nic.evaluation.labels import (
    FolderLabels,
    NucleiLabels,
    OutlineLabels,
    TilePatches,
    parse_rule,
)
from napari_nic.patches import Tile

IMAGE = np.zeros((8, 8, 3), np.uint8)
PLACES = ((0, 0), (0, 4), (4, 0))
NAMES = {"3": "epithelial", "4": "spindle"}


def patches(tile: Tile, file: Path = Path("tile.png")) -> TilePatches:
    return TilePatches(file, tile, PLACES, side=4)


def test_folder_is_the_class_of_every_patch() -> None:
    tile = Tile(IMAGE, "g", class_name="tumour")
    assert FolderLabels().label(patches(tile)) == ["tumour"] * 3


def test_folders_can_be_renamed_and_others_have_no_class() -> None:
    rule = FolderLabels({"benign_400x": "benign"})
    assert rule.label(patches(Tile(IMAGE, "g", class_name="benign_400x"))) == ["benign"] * 3
    assert rule.label(patches(Tile(IMAGE, "g", class_name="benign_40x"))) == [None] * 3
    assert rule.label(patches(Tile(IMAGE, "g"))) == [None] * 3


def test_patch_at_the_outline_has_no_class() -> None:
    mask = np.zeros((8, 8), bool)
    mask[:4, :4] = True
    mask[4, :2] = True  # 2 of 16 pixels of the third patch
    assert OutlineLabels().label(patches(Tile(IMAGE, "g", mask=mask))) == ["inside", "outside", None]


def test_tile_without_outline_has_no_class() -> None:
    assert OutlineLabels().label(patches(Tile(IMAGE, "g"))) == [None] * 3


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        ([3, 3, 3, 4, 4], "epithelial"),
        ([4] * 9 + [3], "spindle"),
        ([3, 3, 4, 4, 4, 3], None),  # half and half
        ([3, 3, 3, 3], None),  # too few
        ([1] * 9, None),  # a type without name
        ([], None),
    ],
)
def test_commonest_type_of_nuclei(types: list[int], expected: str | None) -> None:
    rule = NucleiLabels("types", "inst_type", NAMES)
    assert rule.commonest(np.array(types, int)) == expected


def test_nuclei_are_read_from_the_file_of_the_tiles_name(tmp_path: Path) -> None:
    (tmp_path / "types").mkdir()
    savemat(tmp_path / "types" / "a.mat", {"inst_type": np.full((7, 1), 4)})
    rule = NucleiLabels("../types", "inst_type", NAMES)
    file = tmp_path / "images" / "a.png"
    file.parent.mkdir()
    assert rule.label(patches(Tile(IMAGE, "g"), file)) == ["spindle"] * 3


@pytest.mark.parametrize("content", [None, b"no MATLAB file at all, but long enough for its header" * 9])
def test_missing_or_damaged_nuclei_name_the_file(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "a.mat").write_bytes(content)
    rule = NucleiLabels(".", "inst_type", NAMES)
    with pytest.raises(InvalidParameterError, match=r"a\.mat"):
        rule.label(patches(Tile(IMAGE, "g"), tmp_path / "a.png"))


def test_rules_are_read_by_name_or_with_fields() -> None:
    assert parse_rule("outlines") == OutlineLabels()
    assert parse_rule({"rule": "folders", "classes": {"a": "b"}}) == FolderLabels({"a": "b"})


@pytest.mark.parametrize("stated", ["colour", {"rule": "nuclei", "size": 3}, {"classes": {}}])
def test_unknown_rules_and_fields_are_refused(stated: object) -> None:
    with pytest.raises(InvalidParameterError):
        parse_rule(stated)
