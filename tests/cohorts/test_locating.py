"""Which codes a row of a table means: exactly its slide's, wherever the other program put them."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_nic.cohorts.locating import Locator, SlideMissingError
from napari_nic.errors import InvalidParameterError, StoreError

TCGA = "TCGA-ZZ-0001-01Z-00-DX1.1A2B3C4D-0000-4111-8222-1234567890AB"
OTHER = "TCGA-ZZ-0001-01Z-00-DX1.99999999-0000-4111-8222-1234567890AB"
LAYOUTS = {
    "trident": "20x_256px_0px_overlap/features_uni/{}.h5",
    "clam": "h5_files/{}.h5",
    "clam pt": "pt_files/{}.pt",
    "stamp": "uni-1a2b3c4d/site/{}.h5",
    "slide2vec": "tile_embeddings/{}.pt",
    "zarr": "{}.zarr",
    "plain": "{}.h5",
}


def lay(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name / "zarr.json" if name.endswith(".zarr") else folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    return folder


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("written", [TCGA, f"{TCGA}.svs", f"{TCGA}.h5", f"wsi/{TCGA}.svs"])
def test_each_layout_by_each_spelling(tmp_path, layout, written):
    stores = lay(tmp_path / "job", *(layout.format(name) for name in (TCGA, OTHER)))
    found = Locator(tmp_path, stores).locate(written)
    assert found.store == stores / layout.format(TCGA)
    assert found.name == TCGA


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_another_slides_codes_are_never_taken(tmp_path, layout):
    stores = lay(tmp_path / "job", layout.format(OTHER), layout.format("S1.2"), layout.format("b.tif"))
    for written in (TCGA, "TCGA-ZZ-0001-01Z-00-DX1", "S1", "S1.2.3", "b.svs"):
        with pytest.raises(SlideMissingError):
            Locator(tmp_path, stores).locate(written)
    assert Locator(tmp_path, stores).locate("b").store == stores / layout.format("b.tif")
    assert Locator(tmp_path, stores).locate("b.tif").store == stores / layout.format("b.tif")


def test_equal_names_are_told_apart_by_their_folders(tmp_path):
    stores = lay(tmp_path / "out", "uni-1a2b3c4d/x/a.h5", "uni-1a2b3c4d/y/a.h5")
    with pytest.raises(InvalidParameterError, match="2 compressed slides"):
        Locator(tmp_path, stores).locate("a")
    assert Locator(tmp_path, stores).locate("y/a.h5").store == stores / "uni-1a2b3c4d/y/a.h5"


def test_several_encoders_are_listed_and_one_is_chosen(tmp_path):
    stores = lay(tmp_path / "job", "c/features_uni/a.h5", "c/features_conch/a.h5")
    with pytest.raises(StoreError, match="features_conch, c/features_uni"):
        Locator(tmp_path, stores).locate("a")
    assert Locator(tmp_path, stores, "uni").locate("a").store == stores / "c/features_uni/a.h5"


def test_a_folder_of_our_stores_is_not_searched_for_others(tmp_path):
    stores = lay(tmp_path / "stores", "a.nic.zarr", "exports/features_uni/b.h5")
    with pytest.raises(SlideMissingError):
        Locator(tmp_path, stores).locate("b")


def test_slides_are_found_by_the_row_or_by_the_codes(tmp_path):
    stores = lay(tmp_path / "job", f"{TCGA}.h5", "a.svs.h5")
    slides = lay(tmp_path / "slides", f"deep/{TCGA}.svs", "a.svs", "a.tif", "x/b.tif", "y/b.tif")
    locator = Locator(tmp_path, stores, slides=slides)
    assert locator.locate(TCGA).picture == slides / "deep" / f"{TCGA}.svs"
    assert locator.locate("a.svs").picture == slides / "a.svs"
    lay(stores, "b.h5")
    with pytest.raises(InvalidParameterError, match=r"2 slides are called b: .*x/b.tif, .*y/b.tif"):
        Locator(tmp_path, stores, slides=slides).locate("b")


def test_features_beside_the_table_are_no_picture(tmp_path):
    lay(tmp_path, "a.zarr")
    found = Locator(tmp_path, None).locate("a.zarr")
    assert (found.store, found.picture) == (tmp_path / "a.zarr", None)


def test_the_folder_of_a_run_stands_for_the_compressed_slides_in_it(tmp_path):
    run = lay(tmp_path / "run", "stores/a.nic.zarr", "slides/a/slide.json", "exports/a.h5")
    with pytest.raises(SlideMissingError):
        Locator(tmp_path, run).locate("a.nic.zarr")
    (run / "run.json").write_text("{}")
    assert Locator(tmp_path, run).locate("a.nic.zarr").store == run / "stores" / "a.nic.zarr"
