"""Cohorts are balanced, repeatable, resumable, and readable as tables of labels."""

import json

import numpy as np
import pytest

from napari_nic.annotations import rasterise, read_annotations
from napari_nic.cohorts import read_cohort
from napari_nic.embeddings import CompressedSlide
from napari_nic.encoders import load_encoder
from napari_nic.errors import CancelledError, InvalidParameterError
from napari_nic.jobs import CancellationToken
from napari_nic.synthetic.cohorts import CohortOptions, write_cohort
from napari_nic.synthetic.cohorts.plan import plan_slides
from napari_nic.synthetic.cohorts.writing import CLASSES

SMALL = CohortOptions(train=2, validation=2, test=2, sides=(5, 6), shares=(0.2, 0.3))


@pytest.fixture(scope="module")
def encoder():
    return load_encoder("mean-rgb", device="cpu")


@pytest.fixture(scope="module")
def composed(tmp_path_factory, tissue_folders, encoder):
    out = tmp_path_factory.mktemp("composed")
    *_, last = write_cohort(out, SMALL, folders=tissue_folders, encoder=encoder)
    return last.table


def test_the_table_is_a_cohort(composed):
    cohort = read_cohort(composed, "classification", classes=CLASSES)
    assert [slide.label for slide in cohort.slides] == [0, 1] * 3
    assert [slide.split for slide in cohort.slides] == ["train"] * 2 + ["validation"] * 2 + ["test"] * 2
    for slide in cohort.slides:
        assert np.isnan(slide.size) if slide.label == 0 else 0.2 <= slide.size <= 0.3


def test_outlines_mark_what_differs(composed, read_table):
    store = CompressedSlide.open(composed.parent / "slides" / "train-001.nic.zarr")
    lesion = rasterise(read_annotations(composed.parent / "slides" / "train-001.geojson"), store.grid)
    codes, mask = store.read().astype(float), store.encoded()
    inside, outside = mask & (lesion > 0.9), mask & (lesion == 0)
    assert inside.any()
    # The size in the table is the lesion's share of the tissue.
    size = next(float(r["size"]) for r in read_table(composed) if "train-001" in r["slide"])
    assert lesion[mask].sum() / mask.sum() == pytest.approx(size, abs=0.08)
    assert codes[inside][:, 1].mean() < codes[outside][:, 1].mean() - 0.2
    assert len(read_annotations(composed.parent / "slides" / "train-000.geojson")) == 0


def test_codes_are_those_of_the_written_slides(tmp_path, encoder, tissue_folders, composed, read_table):
    *_, last = write_cohort(tmp_path, SMALL, folders=tissue_folders, encoder=encoder, keep="both")
    for row in read_table(last.table):
        assert row["slide"].endswith(".tif")
        name = row["slide"].replace(".tif", ".nic.zarr")
        ours, theirs = (CompressedSlide.open(table.parent / name) for table in (last.table, composed))
        assert np.array_equal(ours.read(), theirs.read())


def test_a_stopped_cohort_goes_on_to_the_same(tmp_path, encoder, tissue_folders, composed):
    token = CancellationToken()
    reports = write_cohort(tmp_path, SMALL, folders=tissue_folders, encoder=encoder, token=token)
    assert [next(reports).done for _ in range(3)] == [0, 1, 2]
    token.cancel()
    with pytest.raises(CancelledError):
        next(reports)
    assert not (tmp_path / "cohort.csv").exists()
    *_, last = write_cohort(tmp_path, SMALL, folders=tissue_folders, encoder=encoder)
    assert last.table.read_text() == composed.read_text()


def test_another_cohort_in_the_folder_is_refused(composed, encoder, tissue_folders):
    other = CohortOptions(train=2, validation=2, test=2, sides=(5, 6), shares=(0.2, 0.4))
    with pytest.raises(InvalidParameterError, match="another cohort"):
        list(write_cohort(composed.parent, other, folders=tissue_folders, encoder=encoder))


def test_slides_alone_need_no_encoder(tmp_path):
    options = CohortOptions(train=2, validation=2, test=2, sides=(4, 4))
    with pytest.raises(InvalidParameterError, match="codes"):
        list(write_cohort(tmp_path, options))
    *_, last = write_cohort(tmp_path, options, keep="slides")
    assert sum(file.suffix == ".tif" for file in (tmp_path / "slides").iterdir()) == 6
    recipe = json.loads((tmp_path / "slides" / "test-001.json").read_text())
    assert recipe["has_lesion"]
    assert last.table.is_file()


def test_nothing_but_the_lesion_differs_between_labels():
    options = CohortOptions(train=400, validation=2, test=2)
    slides = [slide for slide in plan_slides(options) if slide.part == "train"]
    sick, well = ([s.spec for s in slides if s.has_lesion is kind] for kind in (True, False))
    for name in ("height", "width", "coverage", "fat", "lymphoid", "gland_spacing_um"):
        first, second = (np.array([getattr(spec, name) for spec in specs]) for specs in (sick, well))
        assert abs(first.mean() - second.mean()) < 0.4 * first.std()
    shares = np.array([spec.lesions[0].share for spec in sick])
    # Evenly on a logarithmic scale: as many below as above the geometric mean of both ends.
    assert 0.4 < np.mean(shares < np.sqrt(0.005 * 0.5)) < 0.6


def test_impossible_options_are_refused():
    with pytest.raises(InvalidParameterError, match="each part"):
        CohortOptions(test=1)
    with pytest.raises(InvalidParameterError, match="lesions or slides"):
        CohortOptions(shares=(0.3, 0.2))
