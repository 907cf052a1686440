"""Asking the codes in the window, without the window: queries, maps, clusters, other slides."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from napari_nic.embeddings import CompressedSlide
from napari_nic.plugin.controllers.annotating import AnnotationController
from napari_nic.plugin.controllers.code_maps import MAP_KINDS, CodeMaps
from napari_nic.plugin.controllers.compressing import CompressController
from napari_nic.plugin.controllers.desk_link import NO_CODES, NO_SLIDE, DeskLink
from napari_nic.plugin.controllers.document import DocumentController
from napari_nic.plugin.controllers.grouping import GroupController
from napari_nic.plugin.controllers.models import ModelController
from napari_nic.plugin.controllers.overlays import OverlayController
from napari_nic.plugin.controllers.similar import NO_QUERY, NO_SHAPE, SimilarController
from napari_nic.plugin.controllers.similar_search import MATCH, NO_FOLDER, SearchController
from napari_nic.plugin.controllers.tissue import TissueController
from napari_nic.plugin.controllers.unusual import AnomalyController
from napari_nic.plugin.layers import annotation_frame, tag_of
from napari_nic.plugin.legend import format_value
from napari_nic.plugin.settings import Settings
from napari_nic.similarity import load_clusters

CELL = (4, 5)


@pytest.fixture
def desk(session, runner):
    """What the NIC dock holds, without its widgets."""
    tissue = TissueController(session, runner)
    compressing = CompressController(session, runner, tissue)
    models = ModelController(session)
    overlays = OverlayController(session, compressing, models, runner)
    documents = DocumentController(session, runner)
    annotating = AnnotationController(session, overlays, runner, documents=documents)
    yield SimpleNamespace(session=session, overlays=overlays, documents=documents, models=models)
    annotating.close()
    overlays.close()
    models.close()
    tissue.close()


@pytest.fixture
def asked(desk, runner, settings):
    """The controllers of the dock, of a desk that is open."""
    link = DeskLink(lambda: desk, lambda: desk)
    maps = CodeMaps(link)
    viewer = desk.session.viewer
    similar = SimilarController(viewer, link, maps, runner)
    yield SimpleNamespace(
        desk=desk,
        link=link,
        maps=maps,
        similar=similar,
        search=SearchController(viewer, link, similar, settings, runner),
        groups=GroupController(link, maps, runner),
        unusual=AnomalyController(link, maps, runner),
    )
    similar.close()
    maps.close()
    link.close()


@pytest.fixture
def ready(asked, slide_file, compress_file, add_slide):
    """The same with the made slide, compressed."""
    compress_file(slide_file)
    add_slide(asked.desk.session.viewer, slide_file)
    assert asked.desk.session.store is not None
    return asked


def middle_of(cell, session):
    """The middle of a cell in napari's world."""
    y, x = session.store.grid.placement.corner_um(cell[0] + 0.5, cell[1] + 0.5)
    pixel = session.slide.pixel_size
    return y - pixel.y / 2, x - pixel.x / 2


def ask(ready, cell=CELL):
    ready.similar.ask_world(middle_of(cell, ready.desk.session))


def shown(ready):
    return [kind for kind in MAP_KINDS if ready.maps.shown(kind)]


# -- asking ----------------------------------------------------------------------------------------------


def test_a_place_is_asked_for_and_the_map_lies_on_its_cell(ready):
    ask(ready)
    session = ready.desk.session
    assert ready.similar.query.what == "cell 4, 5"
    overlay = ready.maps.overlay("similarity")
    assert overlay.value_at(*CELL) == pytest.approx(1)
    np.testing.assert_array_equal(overlay.mask, session.store.encoded())
    assert shown(ready) == ["similarity"]
    layer = next(layer for layer in session.viewer.layers if layer.name.startswith("Similarity"))
    world = layer.data_to_world(CELL)
    assert world == pytest.approx(middle_of(CELL, session))
    assert "1.00   cell 4, 5 at 288, 352" in ready.maps.describe(middle_of(CELL, session))
    assert ready.maps.legend().title == "Similarity to cell 4, 5"


def test_what_cannot_be_asked_is_said(asked, answers, slide_file, add_slide):
    assert asked.similar.why_not() == NO_SLIDE
    add_slide(asked.desk.session.viewer, slide_file)
    assert asked.similar.why_not() == NO_CODES
    asked.similar.pick(on=True)
    asked.similar.ask_selected()
    asked.groups.show(on=True)
    asked.unusual.show(on=True)
    assert answers.notices == [NO_CODES] * 4
    assert not asked.similar.picking.is_on


def test_glass_and_the_outside_are_no_cells(ready, answers):
    ask(ready, (0, 0))
    ready.similar.ask_world((-100.0, 0.0))
    assert ready.similar.answer is None
    assert ["glass" in answers.notices[0], "outside" in answers.notices[1]] == [True, True]


def test_the_cells_of_a_selected_shape_are_asked_for_together(ready, answers):
    session = ready.desk.session
    ready.similar.ask_selected()
    assert answers.notices[-1] == NO_SHAPE
    layer = session.viewer.add_shapes(
        [
            np.array([[384, 512], [384, 767], [640, 767], [640, 512]], float),
            np.array([[0, 0], [0, 9], [9, 9], [9, 0]], float),
        ],
        shape_type="polygon",
        **annotation_frame(session.slide),
    )
    layer.selected_data = {0}
    ready.similar.ask_selected()
    assert ready.similar.query.what == "4 cells"
    layer.selected_data = {1}
    ready.similar.ask_selected()
    assert "no code here" in str(answers.errors[-1])


def test_annotations_that_are_selected_are_asked_for_too(ready):
    ask(ready)
    ready.similar.make_annotation("all")
    documents = ready.desk.documents
    documents.views.sync_all()  # the dock does so when the layer has come to rest
    documents.select(list(documents.document))
    assert documents.selected
    ready.similar.ask_selected()
    count = int(ready.desk.session.store.encoded().sum())
    assert ready.similar.query.what == f"{count} cells"


def test_the_map_goes_with_its_slide(ready, slide_file, add_slide, make_tiff, make_tissue, tmp_path):
    ask(ready)
    other = make_tiff(tmp_path / "other.tif", make_tissue(600, 700, seed=3))
    add_slide(ready.desk.session.viewer, other)
    assert ready.similar.query is None
    assert not [tag for layer in ready.desk.session.viewer.layers if (tag := tag_of(layer)).kind == "overlay"]


def test_a_result_of_another_store_is_not_shown(ready, runner):
    runner.hold = True
    ask(ready)
    ready.desk.session.set_store(None)
    runner.finish()
    assert ready.similar.query is None
    assert not ready.similar.busy


def test_a_second_question_overtakes_the_first(ready, runner):
    runner.hold = True
    ask(ready, (4, 6))
    ask(ready, (5, 5))
    assert ready.similar.busy
    runner.finish()
    assert ready.similar.query.what == "cell 5, 5"
    assert not ready.similar.busy


# -- the map ---------------------------------------------------------------------------------------------


def test_the_threshold_hides_what_is_less_similar(ready):
    ask(ready)
    overlay = ready.maps.overlay("similarity")
    least = float(np.quantile(overlay.data[overlay.mask], 0.75))
    ready.similar.set_threshold(least)
    kept = ready.maps.overlay("similarity").mask
    np.testing.assert_array_equal(kept, overlay.mask & (overlay.data >= least))
    assert f"{kept.sum()} of {overlay.mask.sum()} cells" in ready.similar.describe_above()
    ready.similar.set_threshold(None)
    np.testing.assert_array_equal(ready.maps.overlay("similarity").mask, overlay.mask)


def test_annotations_of_what_is_above_can_be_undone(ready):
    ask(ready)
    overlay = ready.maps.overlay("similarity")
    ready.similar.set_threshold(float(np.quantile(overlay.data[overlay.mask], 0.75)))
    ready.similar.make_annotation(" fat ")
    document = ready.desk.documents.document
    made = document.as_set()
    assert set(made.labels()) == {"fat"}
    area = sum(annotation.geometry.area for annotation in made.annotations)
    assert area == pytest.approx(ready.similar.above().sum() * 128 * 128)
    assert document.undo_title == "outline similar cells"
    ready.desk.documents.undo()
    assert len(document) == 0


def test_one_map_at_a_time_and_never_over_the_colours_of_the_nic_dock(ready):
    overlays = ready.desk.overlays
    overlays.show("pca", on=True)
    ask(ready)
    assert (overlays.state("pca").shown, shown(ready)) == (False, ["similarity"])
    ready.unusual.show(on=True)
    assert shown(ready) == ["anomaly"]
    ready.groups.show(on=True)
    assert shown(ready) == ["clusters"]
    ready.similar.show(on=True)
    assert shown(ready) == ["similarity"]
    overlays.show("pca", on=True)
    assert (overlays.state("pca").shown, shown(ready)) == (True, [])


# -- clusters and unusual cells --------------------------------------------------------------------------


def test_maps_of_other_docks_give_way_too(ready):
    """One legend for what is on the screen: what Learn or Compare shows, or a map."""
    from napari_nic.plugin.controllers.overlay_stack import OverlayStack

    ask(ready)
    session, told = ready.desk.session, []
    learned = OverlayStack(session, told.append, kinds=("probe",))
    overlay = replace(ready.maps.overlay("similarity"), kind="probe", name="Classes")
    learned.put(overlay, opacity=0.5)
    assert learned.shown("probe")
    assert shown(ready) == []
    assert ready.maps.legend() is None
    ready.maps.show("similarity", on=True)
    assert shown(ready) == ["similarity"]
    assert not learned.shown("probe")
    assert told[-1] == "probe", "its dock hears of it"
    learned.layer("probe").visible = True
    assert shown(ready) == []
    ready.desk.overlays.show("pca", on=True)
    assert not learned.shown("probe")
    learned.close()


def test_names_of_clusters_are_kept_beside_the_store(ready, settings):
    ready.groups.count = 3
    ready.groups.show(on=True)
    ready.groups.rename(0, "stroma")
    ready.groups.recolor(1, (1, 2, 3))
    place = ready.groups.place()
    assert place.name == "made.clusters.json"
    kept = load_clusters(place)
    assert (kept.names[0], kept.colors[1]) == ("stroma", (1, 2, 3))
    assert ready.maps.legend().swatches[0][0] == "stroma"
    assert sum(ready.groups.areas()) == pytest.approx(
        ready.desk.session.store.encoded().sum() * 64 * 64 * 1e-6
    )
    ready.desk.session.find_store(any_encoder=True)
    assert ready.groups.clusters is None
    ready.groups.show(on=True)
    assert ready.groups.clusters.names == kept.names


def test_a_name_that_another_cluster_has_is_told(ready, answers):
    ready.groups.count = 2
    ready.groups.show(on=True)
    ready.groups.rename(0, "Cluster 2")
    assert "a name of its own" in str(answers.errors[-1])
    assert ready.groups.clusters.names == ("Cluster 1", "Cluster 2")


def test_names_are_not_lost_without_a_question(ready, answers):
    ready.groups.count = 2
    ready.groups.find()
    ready.groups.find()
    assert not answers.questions
    ready.groups.rename(0, "stroma")
    ready.groups.count = 3
    ready.groups.find()
    assert ready.groups.clusters.names == ("stroma", "Cluster 2")
    answers.agree = True
    ready.groups.find()
    assert len(ready.groups.clusters) == 3
    assert len(answers.questions) == 2


@pytest.mark.parametrize("agree", [True, False])
def test_the_clusters_of_the_slide_before_are_offered(ready, answers, second_slide, add_slide, agree):
    ready.groups.count = 3
    ready.groups.show(on=True)
    ready.groups.rename(0, "stroma")
    first = ready.groups.clusters
    add_slide(ready.desk.session.viewer, second_slide)
    assert ready.groups.clusters is None
    answers.agree = agree
    ready.groups.count = 2
    ready.groups.show(on=True)
    assert answers.questions[-1].endswith("into the 3 clusters of made?")
    assert (ready.groups.clusters.names == first.names) is agree
    assert len(ready.groups.clusters) == (3 if agree else 2)
    assert ready.groups.place().name == "other.clusters.json"
    assert load_clusters(ready.groups.place()).names == ready.groups.clusters.names


def test_controls_wake_when_a_run_has_brought_the_first_codes(ready, monkeypatch):
    told = []
    ready.maps.changed.connect(lambda: told.append(ready.similar.why_not()))
    monkeypatch.setattr(DeskLink, "why_not", lambda _: NO_CODES)
    ready.desk.overlays.changed.emit()
    monkeypatch.undo()
    ready.desk.overlays.changed.emit()
    ready.desk.overlays.changed.emit()
    assert told == [NO_CODES, ""]


def test_where_the_folder_may_not_be_written_names_go_to_the_user_s(ready, home, monkeypatch):
    from napari_nic.errors import StoreError
    from napari_nic.plugin.controllers import grouping

    save = grouping.save_clusters

    def refuse(clusters, path):
        if home not in path.parents:
            raise StoreError("not allowed", path=path)
        save(clusters, path)

    monkeypatch.setattr(grouping, "save_clusters", refuse)
    ready.groups.show(on=True)
    ready.groups.rename(0, "stroma")
    assert len(list((home / "clusters").iterdir())) == 1
    ready.desk.session.find_store(any_encoder=True)
    ready.groups.show(on=True)
    assert ready.groups.clusters.names[0] == "stroma"


def test_clusters_become_a_table_and_annotations(ready, tmp_path):
    ready.groups.count = 3
    ready.groups.show(on=True)
    ready.groups.save_table(tmp_path / "areas.csv")
    rows = list(csv.DictReader((tmp_path / "areas.csv").read_text("utf-8").splitlines()))
    assert [row["name"] for row in rows] == list(ready.groups.clusters.names)
    ready.groups.make_annotations()
    document = ready.desk.documents.document
    made = document.as_set()
    assert set(made.labels()) == set(ready.groups.clusters.names)
    colors = {entry.name: entry.color for entry in document.classes}
    assert colors["Cluster 1"] == ready.groups.clusters.colors[0]


def test_unusual_cells_are_shown_and_measured_otherwise(ready):
    ready.unusual.show(on=True)
    assert [format_value(tick) for tick in ready.maps.legend().bar.ticks()] == ["0", "100"]
    first = ready.maps.overlay("anomaly")
    assert "10 nearest" in first.note
    ready.unusual.set_method("mahalanobis")
    assert "Mahalanobis" in ready.maps.overlay("anomaly").note
    ready.unusual.set_reference(ready.desk.session.store.path.parent)
    assert "reference slide" in ready.maps.overlay("anomaly").note
    ready.unusual.show(on=False)
    assert shown(ready) == []
    ready.unusual.set_reference(None)
    assert shown(ready) == []


# -- other slides ----------------------------------------------------------------------------------------


@pytest.fixture
def second_slide(ready, compress_file, make_tiff, make_tissue):
    """Another slide beside the made one, compressed too."""
    other = ready.desk.session.slide.path.with_name("other.tif")
    make_tiff(other, make_tissue(900, 1200, seed=1), factors=(1, 4))
    compress_file(other)
    return other


@pytest.fixture
def cohort(ready, second_slide, tmp_path):
    """A folder of the made slide's store and of another one's; the other slide lies beside the made one."""
    folder = tmp_path / "stores"
    slides = second_slide.parent
    for name in ("made", "other"):
        shutil.copytree(slides / f"{name}.nic.zarr", folder / f"{name}.nic.zarr")
    return folder


def test_a_folder_is_searched_and_remembered(ready, cohort):
    assert ready.search.why_not() == NO_QUERY
    ask(ready)
    assert ready.search.why_not() == NO_FOLDER
    ready.search.set_folder(cohort)
    assert ready.search.why_not() == ""
    ready.search.search()
    crops = ready.search.crops
    assert {crop.match.slide_name for crop in crops} == {"made", "other"}
    assert all(crop.image is not None for crop in crops), "slides are looked for beside the open one too"
    assert "2 slides" in ready.search.summary()
    again = SearchController(
        ready.desk.session.viewer, ready.link, ready.similar, Settings(), ready.search._runner
    )
    assert again.folder == cohort


def test_a_match_is_opened_looked_at_and_asked_the_same(ready, cohort, add_slide):
    ask(ready)
    query = ready.similar.query
    ready.search.set_folder(cohort)
    ready.search.search()
    match = next(crop.match for crop in ready.search.crops if crop.match.slide_name == "other")
    ready.search.open(match)
    session = ready.desk.session
    assert session.slide.name == "other"
    assert session.store.path == match.store
    assert ready.similar.query is query
    assert ready.maps.overlay("similarity").value_at(match.row, match.col) == pytest.approx(match.similarity)
    center = session.viewer.scene.camera.center[-2:]
    assert center == pytest.approx(middle_of((match.row, match.col), session))
    (frame,) = [layer for layer in session.viewer.layers if (tag := tag_of(layer)) and tag.name == MATCH]
    middle = frame.data_to_world(frame.data[0].mean(axis=0))
    assert middle == pytest.approx(center)
    assert len(ready.desk.documents.document) == 0, "the frame is no annotation"
    (black, yellow), (wide, thin) = np.rint(frame.edge_color[:, :3]).astype(int).tolist(), frame.edge_width
    assert (black, yellow, wide) == ([0, 0, 0], [1, 1, 0], 2 * thin), "seen on any stain, and on glass"
    back = next(crop.match for crop in ready.search.crops if crop.match.slide_name == "made")
    ready.search.open(back)
    assert session.slide.name == "made"
    assert len(session.slide_layers) == 2
    session.slide_layers[1].metadata["napari_nic"].slide.close()


def test_what_is_left_out_is_told(ready, cohort):
    shutil.copytree(cohort / "other.nic.zarr", cohort / "third.nic.zarr")
    ask(ready)
    ready.search.set_folder(cohort)
    ready.search.search()
    assert "1 store left out: third.nic.zarr (it is of the same slide" in ready.search.summary()


def test_a_search_is_cancelled_and_what_was_found_stays(ready, cohort, runner):
    ask(ready)
    ready.search.set_folder(cohort)
    ready.search.search()
    found = ready.search.found
    runner.hold = True
    ready.search.search()
    assert ready.search.busy
    runner.step()
    ready.search.cancel()
    runner.finish()
    assert not ready.search.busy
    assert ready.search.found is found


def test_a_match_is_opened_beside_the_window_and_another_one_overtakes_it(ready, cohort, runner):
    ask(ready)
    ready.search.set_folder(cohort)
    ready.search.search()
    matches = {crop.match.slide_name: crop.match for crop in ready.search.crops}
    session = ready.desk.session
    runner.hold = True
    ready.search.open(matches["other"])
    assert session.slide.name == "made", "nothing is opened on the window's thread"
    assert ready.search.summary() == "Opening other..."
    ready.search.open(matches["made"])
    runner.finish()
    assert session.slide.name == "made"
    assert len(session.slide_layers) == 1
    assert ready.search.opening == ""
    ready.search.open(matches["other"])
    runner.finish()
    assert session.slide.name == "other"
    session.slide_layers[1].metadata["napari_nic"].slide.close()


def test_a_match_whose_slide_is_gone_shows_its_codes(ready, cohort, answers):
    ask(ready)
    ready.search.set_folder(cohort)
    ready.search.search()
    match = next(crop.match for crop in ready.search.crops if crop.match.slide_name == "other")
    (ready.desk.session.slide.path.parent / "other.tif").unlink()
    ready.search.open(match)
    assert "its codes are shown as colours" in answers.notices[-1]
    assert CompressedSlide.open(match.store).slide_name == "other"
