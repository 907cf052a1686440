"""Files of features in the folders of the programs that write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_nic.embeddings.interchange import (
    find_feature_files,
    is_feature_path,
    slide_name_of,
    slide_stem_of,
)
from napari_nic.errors import StoreError

TCGA = "TCGA-ZZ-0001-01Z-00-DX1.1A2B3C4D-0000-4111-8222-1234567890AB"
CUT = "20x_256px_0px_overlap"


def lay(folder: Path, *names: str) -> Path:
    """Make empty files; a name that ends in ``.zarr`` is a Zarr folder."""
    for name in names:
        path = folder / name / "zarr.json" if name.endswith(".zarr") else folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    return folder


def names(folder: Path, features: str | None = None) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in find_feature_files(folder, features).paths]


LAYOUTS = {
    "trident": (
        [f"{CUT}/features_uni_v1/a.h5", f"{CUT}/features_uni_v1/{TCGA}.h5"],
        [
            f"{CUT}/patches/a_patches.h5",
            f"{CUT}/slide_features_titan/a.h5",
            f"{CUT}/features_uni_v1/b.h5.lock",
            f"{CUT}/visualization/a.jpg",
            f"{CUT}/_config_coords.json",
            "contours_geojson/a.geojson",
            "_logs_feats.txt",
        ],
    ),
    "clam": (
        ["h5_files/a.h5", "pt_files/only.pt"],
        ["pt_files/a.pt", "patches/a.h5", "masks/a.jpg", "process_list_autogen.csv", "a_blockmap.h5"],
    ),
    "stamp": (
        ["uni-1a2b3c4d/a.h5", "uni-1a2b3c4d/site/b.h5"],
        ["uni-1a2b3c4d/a.jpg", "titan-slide-1a2b3c4d/a.h5", "titan-pat/p.h5"],
    ),
    "slide2vec": (
        ["tile_embeddings/a.pt", "tile_embeddings/b.npz"],
        [
            "tile_embeddings/a.meta.json",
            "tiles/a.coordinates.npz",
            "slide_embeddings/a.pt",
            "hierarchical_embeddings/a.pt",
            "process_list.csv",
            "config.yaml",
        ],
    ),
    "slideflow": (["a.pt"], ["a.index.npz", "bags_config.json"]),
    "zarr": (["a.zarr", f"{TCGA}.zarr"], ["b.nic.zarr", "p.patches.zarr"]),
    "nic": (["a_features.npy"], ["a_features_distance_map.npy", "a_features.json"]),
    "wsinfer": (["model-outputs-csv/a.csv"], ["patches/a.h5", "run_metadata.json"]),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_features_are_found_and_nothing_else(tmp_path, name):
    features, others = LAYOUTS[name]
    lay(tmp_path, *features, *others)
    assert names(tmp_path) == sorted(features)


def test_several_encoders_are_listed_and_one_is_chosen(tmp_path):
    lay(tmp_path, f"{CUT}/features_uni_v1/a.h5", f"{CUT}/features_conch/a.h5")
    with pytest.raises(StoreError, match=r"(?s)several encoders.*/features_conch, .*/features_uni_v1"):
        find_feature_files(tmp_path)
    for word in ("uni_v1", "features_uni_v1", f"{CUT}/features_uni_v1"):
        assert names(tmp_path, word) == [f"{CUT}/features_uni_v1/a.h5"]


def test_one_encoder_cut_in_two_ways_is_chosen_by_the_cut(tmp_path):
    lay(tmp_path, f"{CUT}/features_uni/a.h5", "10x_256px_0px_overlap/features_uni/a.h5")
    with pytest.raises(StoreError, match="cut in several ways"):
        find_feature_files(tmp_path, "uni")
    assert names(tmp_path, CUT) == [f"{CUT}/features_uni/a.h5"]


def test_encoders_of_clam_and_stamp_are_told_apart(tmp_path):
    clam = lay(tmp_path / "clam", "FEAT_uni/h5_files/a.h5", "FEAT_conch/h5_files/b.h5")
    with pytest.raises(StoreError, match="FEAT_conch, FEAT_uni"):
        find_feature_files(clam)
    assert names(clam, "FEAT_uni") == ["FEAT_uni/h5_files/a.h5"]
    stamp = lay(tmp_path / "stamp", "uni-1a2b3c4d/a.h5", "conch-00000000/a.h5")
    with pytest.raises(StoreError, match="conch-00000000, uni-1a2b3c4d"):
        find_feature_files(stamp)
    assert names(stamp, "uni") == ["uni-1a2b3c4d/a.h5"]


def test_what_is_no_folder_is_chosen_within_the_files(tmp_path):
    lay(tmp_path, "a.zarr")
    found = find_feature_files(tmp_path, "uni_tiles")
    assert (found.paths, found.features) == ((tmp_path / "a.zarr",), "uni_tiles")
    lay(tmp_path, "features_uni/a.h5")
    assert find_feature_files(tmp_path, "uni").features is None


def test_two_files_of_one_slide_are_told(tmp_path):
    lay(tmp_path, "x/a.h5", "y/a.h5", "y/b.h5")
    with pytest.raises(StoreError, match=r"(?s)2 files of features are called after slide a.*x/a.h5, y/a.h5"):
        find_feature_files(tmp_path)


def test_tensors_are_found_where_their_folder_is_named(tmp_path):
    lay(tmp_path, "h5_files/a.h5", "pt_files/a.pt")
    assert names(tmp_path) == ["h5_files/a.h5"]
    assert names(tmp_path / "pt_files") == ["a.pt"]


def test_vectors_of_slides_alone_are_found_so_that_they_can_be_named(tmp_path):
    lay(tmp_path, f"{CUT}/slide_features_titan/a.h5")
    assert names(tmp_path) == [f"{CUT}/slide_features_titan/a.h5"]


def test_pictures_are_no_features(tmp_path):
    lay(tmp_path, "slide.zarr")
    (tmp_path / "slide.zarr" / "zarr.json").write_text('{"attributes": {"ome": {"multiscales": []}}}')
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("file", "name", "stem"),
    [
        (f"{TCGA}.h5", TCGA, TCGA),
        (f"{TCGA}.zarr", TCGA, TCGA),
        ("20x/a.pt", "a", "a"),
        ("a.svs.h5", "a.svs", "a"),
        ("a.svs/features.npy", "a.svs", "a"),
        ("a_features.npy", "a", "a"),
        ("model-outputs-csv/a.csv", "a", "a"),
        ("S1.2.h5ad", "S1.2", "S1.2"),
    ],
)
def test_names_of_slides(file, name, stem):
    assert slide_name_of(Path(file)) == name
    assert slide_stem_of(Path(file)) == stem


def test_names_of_features(tmp_path):
    lay(tmp_path, "a.zarr", "a.h5", "a.csv", "a_patches.h5")
    assert is_feature_path(tmp_path / "a.zarr")
    assert is_feature_path(tmp_path / "a.h5")
    assert not is_feature_path(tmp_path / "a.csv")
    assert not is_feature_path(tmp_path / "a_patches.h5")
    assert not is_feature_path(tmp_path)
