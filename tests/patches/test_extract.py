import cv2
import numpy as np
import pytest
import shapely

from napari_nic.annotations import Annotation, AnnotationSet, write_annotations
from napari_nic.errors import CancelledError, DamagedSlideError, InvalidParameterError, StoreError
from napari_nic.geometry import RegionPx
from napari_nic.jobs import CancellationToken
from napari_nic.patches import ExtractRecipe, PatchStore, SlideOptions, TileFolder, extract_patches
from napari_nic.slides import Slide, open_slide

PURPLE = (150, 90, 170)


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "made.patches.zarr"


def run(out, **options):
    reports = list(extract_patches(ExtractRecipe(out, **options)))
    return PatchStore.open(out), reports


# -- slides ----------------------------------------------------------------------------------------------


def test_patches_of_a_slide_are_its_pixels_averaged(out, slide_path):
    store, reports = run(out, slides=[slide_path], size=64, mpp=1.0, slide_options=SlideOptions(per_slide=20))
    assert len(store) == 20
    assert reports[-1].patches == 20
    (origin,) = store.origins
    assert (origin.name, origin.group, origin.kind, origin.mpp) == ("made.tif", "made", "slide", 0.5)
    assert origin.step_px == (128, 128)
    with open_slide(slide_path) as slide:
        assert origin.fingerprint == slide.fingerprint
        for image, y, x in zip(store.read(range(20)), store.y, store.x, strict=True):
            pixels = slide.read_region(0, RegionPx(int(y), int(x), 128, 128)).astype(float)
            mean = pixels.reshape(64, 2, 64, 2, 3).mean((1, 3))
            assert np.abs(image - mean).max() <= 0.5


def test_patches_lie_in_tissue_on_a_grid_and_are_not_taken_twice(out, slide_path):
    options = SlideOptions(per_slide=1000, min_tissue=0.9)
    store, _ = run(out, slides=[slide_path], size=64, mpp=0.5, slide_options=options)
    middle = np.stack([store.y - 550 + 32, store.x - 750 + 32]) / np.array([[396], [540]])
    assert (np.hypot(*middle) < 1.05).all()
    assert len({tuple(cell) for cell in store.cells}) == len(store) > 50
    assert (store.y % 64 == 0).all()


def test_the_choice_depends_on_the_seed_and_not_on_the_other_slides(
    tmp_path, out, slide_path, make_tiff, make_tissue
):
    other = make_tiff(tmp_path / "other.tif", make_tissue(600, 800, seed=1))
    options = {"size": 64, "slide_options": SlideOptions(per_slide=10), "overwrite": True}

    def cells(slides, seed):
        store, _ = run(out, slides=slides, seed=seed, **options)
        index = [origin.name for origin in store.origins].index("made.tif")
        return store.cells[store.source_index == index].tolist()

    alone = cells([slide_path], 1)
    assert alone == cells([other, slide_path], 1)
    assert alone != cells([slide_path], 2)


def test_a_sparse_choice_has_neighbours_for_pairs(out, slide_path):
    store, _ = run(out, slides=[slide_path], size=64, slide_options=SlideOptions(per_slide=20))
    pairs = store.source().draw_pairs(50, np.random.default_rng(0))
    assert not pairs.same.all()


@pytest.fixture
def annotated_slide(tmp_path, make_tiff):
    """A slide of tissue all over; its left third is annotated as tumour, a corner as necrosis."""
    rng = np.random.default_rng(0)
    image = np.clip(rng.normal(PURPLE, 12, (1024, 1536, 3)), 0, 255).astype(np.uint8)
    image[:, -100:] = 245
    path = make_tiff(tmp_path / "case.tif", image, compression="deflate")
    areas = AnnotationSet(
        (
            Annotation("tumour", "polygon", shapely.box(0, 0, 512, 1024)),
            Annotation("necrosis", "rectangle", shapely.box(1024, 0, 1100, 200)),
        )
    )
    write_annotations(areas, tmp_path / "case.geojson")
    return path


def test_classes_come_from_the_annotation_beside_the_slide(out, annotated_slide):
    options = SlideOptions(per_slide=40, annotated=True, rest="normal")
    store, _ = run(out, slides=[annotated_slide], size=64, mpp=0.5, slide_options=options)
    names = np.array(store.class_names)[store.labels]
    assert dict(zip(*np.unique(names, return_counts=True), strict=True)) == {
        "necrosis": 3,
        "normal": 18,
        "tumour": 19,
    }
    x, y = store.x, store.y
    assert (x[names == "tumour"] < 512).all()
    assert ((x[names == "necrosis"] == 1024) & (y[names == "necrosis"] < 200)).all()
    assert (x[names == "normal"] >= 512).all()
    # Patches that necrosis touches, but does not cover by half, are of neither class.
    beside = (x >= 1088) & (x < 1100) & (y < 200)
    assert not beside.any()
    assert store.origins[0].left_out["of no class, or between two"] > 0


def test_without_a_class_for_the_rest_it_is_left_out(out, annotated_slide):
    options = SlideOptions(annotated=True, annotations=annotated_slide.parent)
    store, _ = run(out, slides=[annotated_slide], size=64, slide_options=options)
    assert store.class_names == ("necrosis", "tumour")
    assert (store.labels >= 0).all()


def test_slides_that_cannot_be_used_are_skipped_with_the_reason(
    tmp_path, out, slide_path, make_tiff, make_tissue
):
    bad = tmp_path / "bad.svs"
    bad.write_bytes(b"no slide" * 100)
    silent = make_tiff(tmp_path / "silent.tif", make_tissue(600, 800), mpp=None)
    empty = make_tiff(tmp_path / "empty.tif", np.full((600, 800, 3), 243, np.uint8))
    tiny = make_tiff(tmp_path / "tiny.tif", make_tissue(600, 800)[250:280, 350:380], factors=(1,))
    slides = [bad, tmp_path / "gone.svs", silent, slide_path, empty, tiny]
    store, reports = run(out, slides=slides, size=64)
    skipped = dict(store.record.skipped)
    assert list(skipped) == ["bad.svs", "gone.svs", "silent.tif", "empty.tif", "tiny.tif"]
    assert "no slide" in skipped["bad.svs"]
    assert "no such file" in skipped["gone.svs"]
    assert "size of a pixel" in skipped["silent.tif"]
    assert skipped["empty.tif"] == "no patch: no tissue"
    assert skipped["tiny.tif"].startswith("the slide is smaller than a patch")
    assert reports[-1].skipped == store.record.skipped
    assert [report.done for report in reports] == sorted(report.done for report in reports)
    assert (reports[-1].done, reports[-1].total) == (6, 6)


def test_a_slide_without_an_annotation_is_skipped(out, slide_path, annotated_slide):
    options = SlideOptions(annotated=True)
    store, _ = run(out, slides=[slide_path, annotated_slide], size=64, slide_options=options)
    ((name, why),) = store.record.skipped
    assert name == "made.tif"
    assert "no annotation file" in why
    assert "made.geojson or made.json or made.xml" in why


def test_damaged_places_of_a_slide_are_left_out_and_counted(out, slide_path, monkeypatch):
    read = Slide.read_region

    def fail_on_the_right(self, level, region):
        if region.x >= 768:
            raise DamagedSlideError("cut off", path=self.path)
        return read(self, level, region)

    monkeypatch.setattr(Slide, "read_region", fail_on_the_right)
    store, _ = run(out, slides=[slide_path], size=64)
    assert (store.x < 768).all()
    assert store.origins[0].left_out["damaged"] > 10


# -- tiles -----------------------------------------------------------------------------------------------


def test_tiles_are_cut_edge_to_edge(out, tmp_path):
    tile = np.random.default_rng(0).integers(0, 200, (100, 140, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "one.png"), tile[..., ::-1])
    store, _ = run(out, tiles=[TileFolder(tmp_path, 0.5)], size=32, mpp=0.5)
    assert len(store) == 12
    for image, y, x in zip(store.read(range(12)), store.y.astype(int), store.x.astype(int), strict=True):
        assert np.array_equal(image, tile[y : y + 32, x : x + 32])


def test_positions_are_in_pixels_of_the_file(out, tile_folder):
    store, _ = run(out, tiles=[TileFolder(tile_folder, 0.5)], size=32, mpp=1.0)
    assert len(store) == 12 * 6
    assert store.origins[0].step_px == (64, 64)
    assert sorted(set(store.x)) == [0, 64, 128]
    assert store.cells.max(axis=0).tolist() == [1, 2]


def test_classes_and_groups_come_from_folders_and_names(out, tile_folder):
    folder = TileFolder(tile_folder, 1.0, labelled=True, group=r"^(\d)")
    store, _ = run(out, tiles=[folder], size=64, mpp=1.0)
    assert store.class_names == ("a", "b")
    kinds = [origin.name.split("/")[1] for origin in store.origins]
    assert np.array(store.class_names)[store.labels].tolist() == [kinds[i] for i in store.source_index]
    assert len(set(store.groups)) == 10  # 1, 10 and 11 are one


def test_one_outline_does_not_make_a_folder_outlined(out, tile_folder):
    assert (tile_folder / "masks" / "0.png").exists()
    store, _ = run(out, tiles=[TileFolder(tile_folder, 1.0, labelled=True)], size=64, mpp=1.0)
    assert store.class_names == ("a", "b")


def test_outlines_tell_inside_from_outside_and_what_lies_between_is_left_out(out, tmp_path):
    image = np.full((128, 128, 3), 150, np.uint8)
    mask = np.zeros((128, 128), np.uint8)
    mask[:, :44] = 255
    (tmp_path / "masks").mkdir()
    (tmp_path / "kind").mkdir()
    cv2.imwrite(str(tmp_path / "kind" / "one.png"), image)
    cv2.imwrite(str(tmp_path / "masks" / "one.png"), mask)
    store, _ = run(out, tiles=[TileFolder(tmp_path, 0.5, labelled=True)], size=32, mpp=0.5)
    names = np.array(store.class_names)[store.labels]
    assert set(store.x[names == "inside"]) == {0}
    assert set(store.x[names == "outside"]) == {64, 96}
    assert store.origins[0].left_out == {"of no class, or between two": 4}


def test_bad_small_and_empty_tiles_are_skipped_and_glass_is_left_out(out, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    cv2.imwrite(str(tmp_path / "small.png"), np.full((20, 90, 3), 100, np.uint8))
    cv2.imwrite(str(tmp_path / "white.png"), np.full((64, 64, 3), 250, np.uint8))
    half = np.full((64, 64, 3), 250, np.uint8)
    half[:, :32] = 100
    cv2.imwrite(str(tmp_path / "half.png"), half)
    store, _ = run(out, tiles=[TileFolder(tmp_path, 1.0)], size=32, mpp=1.0)
    assert len(store) == 2
    assert store.origins[0].left_out == {"too little tissue": 2}
    assert {name.split("/")[1]: why for name, why in store.record.skipped} == {
        "broken.png": "not a readable picture",
        "small.png": "only 90 x 20 px at 1 um/px",
        "white.png": "no patch: 4 too little tissue",
    }


def test_slides_and_tiles_go_into_one_store(out, slide_path, tile_folder):
    store, _ = run(out, slides=[slide_path], tiles=[TileFolder(tile_folder, 1.0)], size=64, mpp=1.0)
    assert {origin.kind for origin in store.origins} == {"slide", "tile"}
    assert store.class_names == ()


# -- ends ------------------------------------------------------------------------------------------------


def test_nothing_left_is_an_error_with_the_reasons_and_no_store(out, tmp_path):
    for index in range(7):
        (tmp_path / f"{index}.png").write_bytes(b"no picture")
    with pytest.raises(InvalidParameterError, match=r"0.png: not a readable picture; .* and 2 more"):
        run(out, tiles=[TileFolder(tmp_path, 1.0)])
    with pytest.raises(InvalidParameterError, match="no slides and no tiles"):
        run(out)
    assert list(out.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"size": 0}, "out of range"),
        ({"mpp": -1.0}, "out of range"),
        ({"slide_options": SlideOptions(per_slide=0)}, "cap and share"),
        ({"slide_options": SlideOptions(group="(")}, "regular expression"),
        ({"mpp": 0.2}, "too coarse"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused_before_any_work(out, tile_folder, options, said):
    with pytest.raises(InvalidParameterError, match=said):
        run(out, **({"tiles": [TileFolder(tile_folder, 1.0)]} | options))
    with pytest.raises(InvalidParameterError, match="no tiles are there"):
        run(out, tiles=[TileFolder(out.parent / "gone", 1.0)])


def test_cancelling_and_closing_leave_nothing(out, tile_folder):
    token = CancellationToken()
    recipe = ExtractRecipe(out, tiles=[TileFolder(tile_folder, 1.0)], size=64, mpp=1.0)
    reports = extract_patches(recipe, token=token)
    next(reports)
    token.cancel()
    with pytest.raises(CancelledError):
        next(reports)
    assert list(out.parent.iterdir()) == []
    reports = extract_patches(recipe)
    next(reports)
    reports.close()
    assert list(out.parent.iterdir()) == []


def test_a_full_disk_is_not_blamed_on_a_tile(out, tile_folder, monkeypatch):
    def no_space(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("napari_nic.patches.writing.PatchWriter.add", no_space)
    with pytest.raises(StoreError, match="no space left"):
        run(out, tiles=[TileFolder(tile_folder, 1.0)], size=64, mpp=1.0)
    assert list(out.parent.iterdir()) == []


# -- real data -------------------------------------------------------------------------------------------


@pytest.mark.data
def test_labelled_tiles_of_real_tissue(out, data_dir, tmp_path):
    folder = data_dir / "patches" / "osteosarcoma_utsw"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    for kind in folder.iterdir():
        (tmp_path / "some" / kind.name).mkdir(parents=True)
        for file in sorted(kind.iterdir())[::4]:
            (tmp_path / "some" / kind.name / file.name).symlink_to(file)
    tiles = [TileFolder(tmp_path / "some", 1.0, labelled=True, group=r"^(Case-\d+|P\d+)")]
    store, _ = run(out, tiles=tiles, size=128, mpp=1.0)
    assert store.class_names == ("Non-Tumor", "Non-Viable-Tumor", "Viable")
    assert not store.record.skipped
    assert (np.bincount(store.labels) > 200).all()
    train, test = store.split([0.7, 0.3])
    assert not set(store.groups[train]) & set(store.groups[test])


@pytest.mark.data
def test_tiles_with_expert_outlines(out, data_dir):
    folder = data_dir / "patches" / "camelyon_pre_512"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    store, _ = run(out, tiles=[TileFolder(folder, 0.25, labelled=True)], size=64, mpp=0.5)
    assert store.class_names == ("inside", "outside")
    kinds = np.array([origin.name.split("/")[1] for origin in store.origins])[store.source_index]
    assert not (store.labels[kinds == "normal"] == 0).any()
    assert (store.labels[kinds == "tumor"] == 0).mean() > 0.5  # by which tiles are put into that folder


@pytest.mark.data
def test_pairs_of_a_real_slide(out, cmu_path):
    options = SlideOptions(per_slide=60)
    store, _ = run(out, slides=[cmu_path], size=64, mpp=1.0, slide_options=options)
    assert len(store) == 60
    pairs = store.source().draw_pairs(40, np.random.default_rng(0))
    same = (pairs.first == pairs.second).all((1, 2, 3))
    assert (same == pairs.same).all()
