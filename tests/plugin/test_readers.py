"""One command reads slides, stores and annotations, and leaves the rest alone."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from npe2 import PluginManifest

import napari_nic
from napari_nic.addresses import shown
from napari_nic.cohorts import Cohort, Plan
from napari_nic.embeddings import CompressedSlide
from napari_nic.errors import BundleError, NicError, UnreadableSlideError
from napari_nic.names import CLAIMED_ANNOTATIONS, FEATURE_SUFFIXES, PROJECT_SUFFIX
from napari_nic.plugin import opening, readers
from napari_nic.plugin.layers import METADATA_KEY, tag_of
from napari_nic.plugin.news import MODEL_NEWS
from napari_nic.plugin.readers import get_reader
from napari_nic.slides import open_slide, slide_suffixes, told_suffixes

MANIFEST = Path(napari_nic.__file__).with_name("napari.yaml")


@pytest.fixture
def store_path(slide_file, compress_file):
    """A finished store beside the made slide."""
    return compress_file(slide_file).path


def close(layers):
    for _, options, _ in layers:
        options["metadata"][METADATA_KEY].slide.close()


def test_slide(slide_file):
    layers = get_reader(str(slide_file))(str(slide_file))
    assert [kind for _, _, kind in layers] == ["image"]
    close(layers)


def test_several_slides_at_once(slide_file):
    paths = [str(slide_file), str(slide_file)]
    layers = get_reader(paths)(paths)
    assert len(layers) == 2
    close(layers)


def test_dicom_folder(data_dir):
    folder = str(data_dir / "slides" / "CMU-1-Small-Region-dicom")
    layers = get_reader(folder)(folder)
    assert layers[0][0][0].shape[1] == 2220
    close(layers)


def test_store_brings_its_slide(store_path):
    slide, picture = get_reader(str(store_path))(str(store_path))
    assert slide[1]["name"] == "made"
    assert picture[1]["name"] == "PCA (made)"
    assert picture[1]["units"] == ("um", "um")
    assert picture[0].shape[2] == 4
    assert picture[0][..., 3].any()
    close([slide, picture])


def test_store_without_its_slide_shows_its_picture(store_path, slide_file):
    slide_file.unlink()
    (picture,) = get_reader(str(store_path))(str(store_path))
    assert picture[1]["translate"] == pytest.approx((31.75, 31.75))


def test_another_file_of_the_same_name_is_not_taken_for_the_slide(
    store_path, slide_file, make_tiff, make_tissue
):
    make_tiff(slide_file, make_tissue(400, 500, seed=9), factors=(1,))
    assert len(get_reader(str(store_path))(str(store_path))) == 1


def test_annotations_without_a_slide_are_in_pixels(outlines_file):
    layers = get_reader(str(outlines_file))(str(outlines_file))
    assert [kind for _, _, kind in layers] == ["shapes", "points"]
    assert layers[0][1]["units"] == ("pixel", "pixel")


@pytest.mark.parametrize("name", ["notes.txt", "movie.avi", "table.csv"])
def test_other_files_are_left_to_others(tmp_path, name):
    path = tmp_path / name
    path.write_text("x")
    assert get_reader(str(path)) is None


def test_other_folders_are_left_to_others(tmp_path):
    assert get_reader(str(tmp_path)) is None
    assert get_reader([]) is None


def test_mixed_list_is_left_to_others(slide_file, tmp_path):
    assert get_reader([str(slide_file), str(tmp_path / "notes.txt")]) is None


def test_bad_file_raises_without_a_window(tmp_path, monkeypatch):
    monkeypatch.setattr("napari.current_viewer", lambda: None)  # another test's viewer may still be known
    path = tmp_path / "bad.svs"
    path.write_bytes(b"not a slide at all")
    with pytest.raises(UnreadableSlideError) as caught:
        get_reader(str(path))(str(path))
    assert caught.value.hint


def test_bad_file_is_told_in_a_window(tmp_path, monkeypatch):
    path = tmp_path / "bad.svs"
    path.write_bytes(b"not a slide at all")
    told: list[NicError] = []
    monkeypatch.setattr(readers, "_tell_in_window", lambda error: told.append(error) or True)
    assert get_reader(str(path))(str(path)) == [(None,)]
    assert told[0].file == path


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (
            "a.ndpis",
            b"[NanoZoomer Digital Pathology Image Set]\r\nNoImages=1\r\nImage0=a-DAPI.ndpi\r\n",
            "a-DAPI.ndpi",
        ),
        ("a.afi", b"<ImageList><Image><Path>a_DAPI.svs</Path></Image></ImageList>", "a_DAPI.svs"),
        ("a.vsi", b"II*\0" + bytes(60), "OME-TIFF"),
        ("a.kfb", b"KFB" + bytes(60), "OME-TIFF"),
    ],
)
def test_what_only_says_which_file_to_open_is_told_in_our_words(tmp_path, monkeypatch, name, text, said):
    """napari would say that no plugin reads it."""
    monkeypatch.setattr("napari.current_viewer", lambda: None)
    path = tmp_path / name
    path.write_bytes(text)
    with pytest.raises(UnreadableSlideError) as caught:
        get_reader(str(path))(str(path))
    assert said in caught.value.hint


def test_raw_colours_are_a_setting(slide_file, settings):
    settings.set(opening.COLOR_SETTING, "raw")
    (layer,) = readers.read_slide(slide_file)
    assert not layer[1]["metadata"][METADATA_KEY].slide.color.applied
    close([layer])


def test_manifest_names_every_suffix_and_is_linked():
    manifest = PluginManifest.from_file(MANIFEST)
    patterns = manifest.contributions.readers[0].filename_patterns
    features = (suffix for suffix in FEATURE_SUFFIXES if not suffix.startswith("_"))
    suffixes = (*slide_suffixes(), *told_suffixes(), *CLAIMED_ANNOTATIONS, *features, ".h5ad", ".parquet")
    suffixes = (*suffixes, PROJECT_SUFFIX)
    assert sorted(patterns) == sorted(f"*{suffix}" for suffix in suffixes)
    assert Path(__file__).parents[2].joinpath("napari.yaml").resolve() == MANIFEST.resolve()


def test_manifest_commands_can_be_called():
    manifest = PluginManifest.from_file(MANIFEST)
    names = [command.python_name for command in manifest.contributions.commands]
    modules = [str(name).partition(":")[::2] for name in names]
    assert modules
    assert all(callable(getattr(import_module(module), attribute)) for module, attribute in modules)


def test_alpha_of_store_follows_the_coverage(store_path):
    store = CompressedSlide.open(store_path)
    layers = get_reader(str(store_path))(str(store_path))
    assert np.array_equal(layers[-1][0][..., 3] > 0, store.encoded())
    close(layers)


@pytest.fixture
def heard():
    """What docks would be told of models and cohorts."""
    told = []

    def hear(path):
        told.append(path)

    for news in (MODEL_NEWS.model_opened, MODEL_NEWS.cohort_opened):
        news.connect(hear)
    yield told
    for news in (MODEL_NEWS.model_opened, MODEL_NEWS.cohort_opened):
        news.disconnect(hear)


def test_folder_of_a_model_goes_to_the_dock(bundle_folder, heard):
    assert get_reader(str(bundle_folder))(str(bundle_folder)) == [(None,)]
    assert heard == [bundle_folder]


def test_folder_of_a_training_goes_to_the_browser(tmp_path, heard):
    Plan(Cohort("regression", ("value",), ()), (), {"name": "m"}).save(tmp_path)
    assert get_reader(str(tmp_path))(str(tmp_path)) == [(None,)]
    assert heard == [tmp_path]
    (tmp_path / "plan.json").write_text("{}")
    with pytest.raises(BundleError):
        get_reader(str(tmp_path))(str(tmp_path))
    assert heard == [tmp_path]


def test_damaged_model_is_told_before_a_dock_hears_of_it(bundle_folder, heard):
    (bundle_folder / "weights.safetensors").write_bytes(b"")
    with pytest.raises(BundleError):
        get_reader(str(bundle_folder))(str(bundle_folder))
    assert heard == []


def test_annotations_lie_on_the_slide_that_is_seen(
    make_napari_viewer, slide_file, add_slide, outlines_file, unscaled_file
):
    viewer = make_napari_viewer()
    seen, above = add_slide(viewer, slide_file), add_slide(viewer, unscaled_file)
    above.visible = False
    viewer.open(outlines_file, plugin="napari-nic")
    assert tag_of(viewer.layers[-1]).slide is tag_of(seen).slide


@pytest.mark.parametrize(
    ("address", "is_ours"),
    [
        ("https://example.org/slides/a.svs?signature=secret", True),
        ("s3://bucket/a.ome.zarr/", True),
        ("https://example.org/a.txt", False),
        ("https://example.org/a.nic.zarr", False),
        ("ftp://example.org/a.svs", False),
    ],
)
def test_addresses_are_known_by_their_names(address, is_ours):
    """Nothing is asked of a server: there is none."""
    assert (get_reader(address) is not None) == is_ours


def test_an_address_is_opened_as_a_slide(monkeypatch, slide_path):
    asked = []

    def open_far(path, settings):
        asked.append((path.name, shown(path)))
        return open_slide(slide_path)

    monkeypatch.setattr(readers, "open_remembered", open_far)
    address = "https://example.org/slides/a.svs?signature=secret"
    layers = get_reader(address)(address)
    assert asked == [("a.svs", "https://example.org/slides/a.svs")]
    assert len(layers) == 1
