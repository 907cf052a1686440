"""Files that CLAM and STAMP wrote, and files made after the others' descriptions, with their slides."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_nic.embeddings import CompressedSlide, ImportHints, import_store
from napari_nic.embeddings.interchange import CodeTable
from napari_nic.errors import StoreError
from napari_nic.jobs import CancellationToken
from napari_nic.slides import open_slide

pytestmark = pytest.mark.data

TCGA = "TCGA-ZZ-0001-01Z-00-DX1.1A2B3C4D-0000-4111-8222-1234567890AB"
SLIDES = (TCGA, "three_islands_050", "CMU-1-Small-Region")

CLAM = [f"clam_2025-04_features/h5_files/{slide}.h5" for slide in SLIDES]
TENSORS = [f"clam_2025-04_features/pt_files/{slide}.pt" for slide in SLIDES]
STAMP = [
    f"stamp_{version}/{slide}.h5"
    for version in ("2.0.0/tiny16-d249c29a", "2.5.0/tiny16-49b04e14")
    for slide in SLIDES
]
TRIDENT = [
    f"by_spec_trident_like/{folder}/{TCGA}.h5"
    for folder in (
        "a_v0.1_20x_256px_0px_overlap/features_uni_v1",
        "b_v0.2.2_overlap64_old/features_uni_v1",
        "c_v0.3_overlap64_new/features_uni_v1",
        "d_v0.2.5_float_mag/features_uni_v1",
        "e_v0.3_15x_round/features_uni_v1",
        "g_empty/features_uni_v1",
        "h_fp16/features_conch_v1",
        "i_clam_coords/features_uni_v1",
    )
]

REFUSED = {
    f"by_spec_trident_like/f_slide_features_mean-uni_v1/{TCGA}.h5": "one vector of the whole slide",
    "by_spec_trident_like/j_trident_pt_numpy.pt": "pickled NumPy",
    f"by_spec_trident_like/patches/{TCGA}_patches.h5": "places of 111 patches, no features",
    f"by_spec_stamp_slide_level/titan-slide/{TCGA}.h5": "one vector of the whole slide",
    **{f"clam_2025-04_patches/patches/{slide}.h5": "no features of them" for slide in SLIDES},
}


@pytest.fixture
def make(data_dir: Path, feature_slides: dict[str, Path], tmp_path: Path):
    """``make(name)``: import a file of the folder of features with its slide."""

    def run(name: str, **hints: object) -> CompressedSlide:
        file = data_dir / "features" / name
        if not file.is_file():
            pytest.skip(f"{file} is not there")
        slide = next((path for stem, path in feature_slides.items() if file.stem.startswith(stem)), None)
        with open_slide(slide or feature_slides[TCGA]) as opened:
            said = ImportHints.of_slide(opened, **hints)
        return import_store(file, tmp_path / "s.nic.zarr", hints=said)

    return run


def _source(data_dir: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Read (coords, features) by h5py alone."""
    with h5py.File(data_dir / "features" / name) as file:
        features = file["features"] if "features" in file else file["feats"]
        return file["coords"][()], features[()]


def _check(store: CompressedSlide, places: np.ndarray, features: np.ndarray) -> None:
    """Compare a store with the true places (x, y) of its rows, level-0 pixels."""
    table, grid = CodeTable.of(store), store.grid
    assert len(table) == len(places)
    cell_corners = table.cells * grid.stride_px + np.array(grid.origin_px)
    shifts = table.corners_px / grid.downsample - cell_corners
    assert np.abs(shifts).max(initial=0) <= grid.stride_px / 2
    codes = table.features(CancellationToken())
    rows = {tuple(place): row for row, place in enumerate(table.coords_xy.tolist())}
    for index in {0, len(places) // 2, len(places) - 1} if len(places) else ():
        row = rows[tuple(places[index].tolist())]
        np.testing.assert_array_equal(codes[row], features[index].astype(np.float16))
    assert set(rows) == {tuple(place) for place in places.tolist()}


@pytest.mark.parametrize("name", [*CLAM, *TRIDENT])
def test_places_in_level_0_pixels_are_kept(make, data_dir, name):
    folder = data_dir / "features" / "clam_2025-04_patches"
    store = make(name, **({"coords": folder} if name in CLAM else {}))
    _check(store, *_source(data_dir, name))


@pytest.mark.parametrize("name", CLAM)
def test_clams_features_alone_are_placed_too(make, data_dir, name):
    _check(make(name), *_source(data_dir, name))


@pytest.mark.parametrize("name", TENSORS)
def test_clams_tensors_have_the_places_of_the_file_beside_them(make, data_dir, name):
    twin = name.replace("pt_files", "h5_files").replace(".pt", ".h5")
    _check(make(name), *_source(data_dir, twin))


@pytest.mark.parametrize("name", STAMP)
def test_stamps_tiles_lie_at_whole_multiples_of_their_side(make, data_dir, name):
    store = make(name)
    um, features = _source(data_dir, name)
    side = store.grid.stride_px
    assert side == store.grid.patch_px
    places = np.rint(um / store.grid.pixel_size.x / side).astype(int) * side
    _check(store, places, features)


def test_stamp_1_is_placed_by_the_resolution_of_its_picture(make, data_dir):
    name = f"by_spec_stamp_1.1.1/{TCGA}.h5"
    store = make(name)
    pixels, features = _source(data_dir, name)
    _check(store, np.rint(pixels * (256 / 224) / store.grid.pixel_size.x).astype(int), features)


@pytest.mark.parametrize("name", REFUSED)
def test_what_holds_no_features_of_patches_is_named(make, name):
    with pytest.raises(StoreError, match=REFUSED[name]):
        make(name)
