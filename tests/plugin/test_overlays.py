"""Toggles, opacity, choices, legend and pointer of the overlays."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from napari_nic.encoders import get_spec
from napari_nic.errors import StoreError
from napari_nic.explain import PcaModel
from napari_nic.geometry import RegionPx
from napari_nic.pipeline import GridOptions
from napari_nic.plugin.compress_job import Painted, Ready
from napari_nic.plugin.compress_options import CompressOptions
from napari_nic.plugin.controllers import overlays as module
from napari_nic.plugin.controllers.annotating import AnnotationController
from napari_nic.plugin.controllers.compressing import CompressController
from napari_nic.plugin.controllers.models import ModelController
from napari_nic.plugin.controllers.overlays import KINDS, OverlayController
from napari_nic.plugin.controllers.tissue import TissueController
from napari_nic.plugin.legend import legend_of
from napari_nic.plugin.news import MODEL_NEWS
from napari_nic.plugin.opening import read_store
from napari_nic.slide_models import ModelBundle, ModelCard, SlideNetConfig, Standardiser
from napari_nic.slide_vectors import SlideVector, label_of, mean_description, mean_vector, write_vector
from napari_nic.slide_vectors.vector import describe_encoder


class Desk:
    """The controllers of a dock."""

    def __init__(self, session, runner) -> None:
        self.session, self.runner = session, runner
        self.tissue = TissueController(session, runner)
        self.compressing = CompressController(session, runner, self.tissue)
        self.compressing.region = "whole"
        self.models = ModelController(session)
        self.overlays = OverlayController(session, self.compressing, self.models, runner)
        self.annotating = AnnotationController(session, self.overlays, runner)

    def close(self) -> None:
        self.annotating.close()
        self.overlays.close()
        self.models.close()


@pytest.fixture
def desk(opened, runner):
    made = Desk(opened, runner)
    yield made
    made.close()


@pytest.fixture
def predicted(desk, bundle_folder) -> Desk:
    """The slide compressed and a model added."""
    desk.compressing.start()
    desk.models.add(bundle_folder)
    return desk


def test_nothing_to_show_yet(desk):
    for kind in ("pca", "channel"):
        state = desk.overlays.state(kind)
        assert not state.shown
        assert "Compress" in state.why_not
        desk.overlays.show(kind, True)
        assert not desk.overlays.state(kind).shown
    assert len(desk.session.viewer.layers) == 1
    assert desk.overlays.legend() is None


def test_pca_fills_in_while_cells_arrive(desk):
    desk.runner.hold = True
    desk.compressing.start()
    while not isinstance(desk.runner.step(), Painted):
        pass
    seen = []
    while desk.compressing.state.busy:
        desk.runner.step()
        layer = desk.overlays.stack.layer("pca")
        if layer is not None:
            seen.append(int((layer.data[..., 3] > 0).sum()))
    desk.runner.finish()
    store = desk.session.store
    assert seen == sorted(seen)
    assert desk.overlays.state("pca").shown
    final = desk.overlays.stack.layer("pca").data
    expected = PcaModel.fit(store.read(), store.encoded()).to_rgb(store.read(), store.encoded())
    assert np.array_equal(final, expected), "the last picture depends on the codes alone"


def test_picture_is_added_before_its_first_colours(desk):
    desk.runner.hold = True
    desk.compressing.start()
    while not isinstance(desk.runner.step(), Ready):
        pass
    layer = desk.overlays.stack.layer("pca")
    assert not layer.visible, "to add it and to draw it at once would be one long halt"
    while not getattr(desk.runner.step(), "pictures", ()):
        assert not layer.visible
    assert desk.overlays.stack.layer("pca") is layer
    assert layer.visible
    layer.visible = False
    desk.runner.finish()
    assert not layer.visible, "hidden by the user: later colours do not bring it back"


def test_run_without_a_cell_leaves_no_picture(desk):
    desk.runner.hold = True
    desk.compressing.start()
    while not isinstance(desk.runner.step(), Ready):
        pass
    desk.compressing.cancel()
    desk.runner.finish()
    assert desk.overlays.stack.layer("pca") is None


def test_picture_comes_again_with_another_store(desk):
    desk.compressing.start()
    desk.session.set_store(None)
    assert desk.overlays.stack.layer("pca") is None
    desk.compressing.options = CompressOptions(overlap=0.5)
    desk.session.asking.agree = True
    desk.compressing.start()
    assert desk.overlays.state("pca").shown


def test_adding_a_picture_does_not_touch_what_is_selected(desk):
    told = []
    selection = desk.session.viewer.layers.selection
    selection.events.connect(told.append)
    desk.compressing.start()
    assert desk.overlays.stack.layer("pca") is not None
    assert told == []
    assert set(selection) == {desk.session.layer}


def test_layer_outlives_a_change_of_its_shape(desk):
    desk.compressing.start()
    layer = desk.overlays.stack.layer("pca")
    old = desk.overlays.overlay("pca")
    smaller = replace(old, data=old.data[1:], mask=old.mask[1:])
    assert desk.overlays.stack.put(smaller, opacity=1.0) is layer
    assert layer.data.shape == (*smaller.mask.shape, 4)
    assert tuple(layer.extent.data[1] + 1) == smaller.mask.shape


def test_overlay_lies_on_the_slide_and_under_annotations(desk, outlines_file):
    desk.annotating.open(outlines_file)
    desk.compressing.start()
    names = [layer.name for layer in desk.session.viewer.layers]
    assert names == ["made", "PCA (made)", "outlines", "outlines (points)"]
    layer = desk.overlays.stack.layer("pca")
    assert tuple(layer.scale) == (64, 64)
    assert tuple(layer.translate) == (31.75, 31.75)
    assert desk.session.viewer.layers.selection.active.name.startswith("outlines")


def test_hidden_pca_stays_hidden(desk):
    desk.overlays.show("pca", False)
    desk.compressing.start()
    assert desk.overlays.stack.layer("pca") is None


def test_toggle_and_opacity_are_the_layers(desk):
    desk.compressing.start()
    layer = desk.overlays.stack.layer("pca")
    desk.overlays.show("pca", False)
    assert not layer.visible
    desk.overlays.show("pca", True)
    assert layer.visible
    told = []
    desk.overlays.changed.connect(lambda: told.append(1))
    layer.visible = False
    assert told
    assert not desk.overlays.state("pca").shown
    desk.overlays.set_opacity("pca", 0.25)
    assert layer.opacity == 0.25
    layer.opacity = 0.75
    assert desk.overlays.state("pca").opacity == 0.75


def test_removed_layer_can_be_shown_again(desk):
    desk.compressing.start()
    desk.session.viewer.layers.remove(desk.overlays.stack.layer("pca"))
    assert not desk.overlays.state("pca").shown
    desk.overlays.show("pca", True)
    assert desk.overlays.state("pca").shown


def test_channel(desk):
    desk.compressing.start()
    desk.overlays.set_channel(1)
    assert desk.overlays.stack.layer("channel") is None, "on demand only"
    desk.overlays.show("channel", True)
    codes = desk.session.store.read().astype(np.float32)
    encoded = desk.session.store.encoded()
    assert desk.overlays.stack.layer("channel").data[encoded] == pytest.approx(codes[..., 1][encoded])
    desk.overlays.set_channel(2)
    assert desk.overlays.stack.layer("channel").data[encoded] == pytest.approx(codes[..., 2][encoded])
    legend = desk.overlays.legend()
    assert legend.title == "Channel 2"
    assert legend.bar.low < legend.bar.high


def test_no_model_says_how_to_get_one(desk):
    desk.models.bundles, desk.models.bundle = [], None
    desk.compressing.start()
    assert "add one" in desk.overlays.state("prediction").why_not


def test_prediction_score_and_classes(predicted):
    predicted.overlays.show("prediction", True)
    assert "\N{PLUS-MINUS SIGN}" in predicted.models.score()
    legend = predicted.overlays.legend()
    assert [name for name, _ in legend.swatches] == ["normal", "lesion"]
    assert legend.bar is None
    predicted.models.set_class(1)
    layer = predicted.overlays.stack.layer("prediction")
    assert layer.data.ndim == 2
    assert tuple(layer.contrast_limits) == (0.0, 1.0)
    assert predicted.overlays.legend().bar.ticks() == (0.0, 1.0)
    predicted.models.set_class(None)
    assert predicted.overlays.legend().bar is None


def test_saliency_names_its_target_and_direction(predicted):
    predicted.overlays.show("saliency", True)
    bar = predicted.overlays.legend().bar
    assert bar.ticks()[1] == 0.0
    assert bar.low == -bar.high
    assert (bar.low_means, bar.high_means) == ("against lesion", "for lesion")
    first = predicted.overlays.stack.layer("saliency").data.copy()
    predicted.models.set_target(0)
    assert predicted.overlays.legend().bar.high_means == "for normal"
    assert not np.array_equal(first, predicted.overlays.stack.layer("saliency").data, equal_nan=True)


def test_model_of_another_encoder_asks_for_a_store_of_its_own(predicted):
    predicted.session.store.header.encoder["input_size"] = 7
    assert "another encoder" in predicted.models.why_not()
    state = predicted.overlays.state("saliency")
    assert (state.why_not, state.first) == ("", "Compresses the slide first, with mean-rgb")


def test_what_a_model_says_is_shown_after_compressing(desk, bundle_folder):
    desk.models.add(bundle_folder)
    desk.compressing.region = "visible"
    desk.runner.hold = True
    assert desk.overlays.state("prediction").first == "Compresses the slide first, with mean-rgb"
    desk.overlays.show("saliency", True)
    desk.overlays.show("prediction", True)
    assert desk.compressing.state.busy
    assert [desk.overlays.state(kind).busy for kind in ("prediction", "saliency")] == [True, False]
    assert desk.overlays.state("prediction").shown
    desk.runner.finish()
    assert desk.compressing.state.complete, "the whole slide, although the visible part was chosen"
    assert desk.compressing.region == "visible"
    assert desk.overlays.stack.shown("prediction")
    assert not desk.overlays.stack.shown("saliency")
    assert not desk.overlays.state("pca").shown
    assert "mean-rgb" not in desk.overlays.state("saliency").first


def test_compressing_for_a_model_takes_the_models_encoder(desk, bundle_folder):
    desk.models.add(bundle_folder)
    desk.session.select_encoder("nic-default")
    desk.overlays.show("prediction", True)
    assert desk.session.spec.name == "mean-rgb"
    assert desk.overlays.stack.shown("prediction")


def test_cancelling_the_run_drops_what_waited_for_it(desk, bundle_folder):
    desk.models.add(bundle_folder)
    desk.runner.hold = True
    desk.overlays.show("prediction", True)
    while not isinstance(desk.runner.step(), Ready):
        pass
    desk.compressing.cancel()
    desk.runner.finish()
    assert not desk.overlays.state("prediction").shown
    assert not desk.overlays.state("prediction").busy
    assert desk.overlays.stack.layer("prediction") is None


def test_model_of_an_encoder_that_is_not_here(desk, bundle_folder):
    desk.models.add(bundle_folder)
    desk.models.bundle.card.encoder["input_size"] = 7
    assert "not here" in desk.overlays.state("prediction").why_not
    desk.overlays.show("prediction", True)
    assert not desk.compressing.state.busy


def test_score_comes_with_its_spread_and_what_it_does_not_say(predicted):
    assert predicted.models.score() == predicted.models.about_score() == ""
    predicted.overlays.show("saliency", True)
    assert "\N{PLUS-MINUS SIGN}" in predicted.models.score(), "saliency without the score says little"
    about = predicted.models.about_score()
    assert "8 dihedral transforms of the grid" in about
    assert "No calibrated probability" in about
    assert "not compressed" not in about
    assert predicted.models.score_of() == "whole slide"
    store = predicted.session.store
    predicted.models.prediction.mask[np.nonzero(store.encoded())[0][0]] = False
    assert "The rest is not compressed" in predicted.models.about_score()
    assert re.fullmatch(r"[1-9]\d? % of the tissue", predicted.models.score_of())


@pytest.mark.parametrize(("task", "name"), [("regression", "grade"), ("survival", "risk")])
def test_values_and_risks_are_no_probabilities(desk, bundle_folder, task, name):
    bundle = ModelBundle.load(bundle_folder)
    card = replace(bundle.card, task=task, class_names=(name,), class_colors=(), name=task)
    desk.compressing.start()
    desk.models.offer(replace(bundle, card=card))
    desk.overlays.show("prediction", True)
    assert desk.models.class_choices() == (name,)
    assert desk.models.score().startswith(f"{name}: ")
    assert "robability" not in desk.models.score()
    assert ("no probability" if task == "regression" else "hazard") in desk.models.about_score()
    bar = desk.overlays.legend().bar
    assert bar.unit == name
    assert "probability" not in desk.overlays.legend().note
    desk.overlays.show("prediction", False)
    desk.overlays.show("saliency", True)
    assert desk.overlays.legend().bar.high_means == f"raises {name}"
    assert "cold (blue) cells lower it" in desk.overlays.legend().note


def test_best_class_and_one_class_share_a_layer(predicted):
    predicted.overlays.show("prediction", True)
    layer = predicted.overlays.stack.layer("prediction")
    colors = predicted.models.bundle.card.class_colors
    encoded = predicted.session.store.encoded()
    best = predicted.models.prediction.cell_scores.argmax(axis=-1)
    assert np.array_equal(layer.data[encoded], best[encoded])
    low, high = layer.contrast_limits
    shares = (np.arange(len(colors)) - low) / (high - low)
    assert np.allclose(layer.colormap.map(shares)[:, :3] * 255, colors, atol=0.5)
    predicted.models.choose_class(2)
    assert predicted.overlays.stack.layer("prediction") is layer
    predicted.models.choose_class(0)
    assert predicted.overlays.stack.layer("prediction") is layer
    assert predicted.models.shown_class is None


def test_folder_of_a_training_adds_all_its_models(desk, bundle_folder, tmp_path):
    bundle = ModelBundle.load(bundle_folder)
    for fold in (1, 2):
        name = f"m-fold{fold}"
        replace(bundle, card=replace(bundle.card, name=name)).save(tmp_path / "out" / f"fold{fold}-seed0")
    MODEL_NEWS.model_opened.emit(tmp_path / "out")
    assert {"m-fold1", "m-fold2"} <= {bundle.name for bundle in desk.models.bundles}
    assert desk.models.bundle.name == "m-fold1"


def test_models_of_one_name_stand_side_by_side(desk, bundle_folder, tmp_path, answers):
    """Two trainings into folders called "out" give models of one name."""
    bundle = ModelBundle.load(bundle_folder)
    for cohort in ("kidney", "breast"):
        bundle.save(tmp_path / cohort / "out")
        desk.models.add(tmp_path / cohort / "out")
    shipped = next(b for b in desk.models.bundles if b.name == "lesion-demo")
    replace(shipped, folder=None).save(tmp_path / "mine")
    desk.models.add(tmp_path / "mine")
    desk.models.add(tmp_path / "mine")  # again: the same one
    labels = [desk.models.label(b) for b in desk.models.bundles]
    assert sorted(labels) == sorted(
        ["lesion-demo (shipped)", "made-model (kidney/out)", "made-model (breast/out)", "lesion-demo (mine)"]
    )
    assert "Added 1 model: lesion-demo (mine)" in answers.notices
    assert ModelController(desk.session).bundle.folder == tmp_path / "mine"


def test_folder_that_is_no_model_is_told(desk, tmp_path, answers):
    desk.models.add(tmp_path)
    assert len(answers.errors) == 1
    assert desk.models.bundle is None or desk.models.bundle.folder != tmp_path


def test_added_model_is_remembered(predicted, runner):
    again = ModelController(predicted.session)
    assert again.bundle.name == "made-model"


def test_pointer_tells_cell_place_and_value(predicted):
    store = predicted.session.store
    row, col = np.argwhere(store.encoded())[3]
    # The middle of the cell in micrometres, and where napari has that point: half a pixel before.
    world = tuple((index + 0.5) * 64 - 0.25 for index in (row, col))
    place = f"cell {row}, {col} at {(row + 0.5) * 64:,.0f}, {(col + 0.5) * 64:,.0f} \N{MICRO SIGN}m"
    assert predicted.overlays.describe(world) == place
    predicted.overlays.show("saliency", True)
    value = predicted.overlays.overlay("saliency").data[row, col]
    assert f"{value:.2g}"[:3] in predicted.overlays.describe(world)
    predicted.overlays.show("saliency", False)
    predicted.overlays.show("prediction", True)
    assert predicted.overlays.describe(world).startswith(("normal 0.", "lesion 0.", "normal 1.", "lesion 1."))
    assert predicted.overlays.describe((-500.0, 0.0)) == ""


def test_new_cells_renew_what_is_shown(desk, bundle_folder):
    desk.runner.hold = True
    desk.models.add(bundle_folder)
    desk.compressing.start()
    while desk.compressing.state.busy:
        desk.runner.step()
    desk.runner.finish()
    desk.overlays.show("prediction", True)
    desk.runner.finish()
    before = desk.models.prediction
    desk.compressing.ended.emit()
    desk.runner.finish()
    assert desk.models.prediction is not before


def test_late_result_of_another_slide_is_dropped(predicted, slide_file, add_slide, make_tiff, make_tissue):
    predicted.runner.hold = True
    predicted.overlays.show("saliency", True)
    other = make_tiff(slide_file.with_name("other.tif"), make_tissue(400, 500, seed=2), factors=(1,))
    add_slide(predicted.session.viewer, other)
    predicted.runner.finish()
    assert predicted.overlays.overlay("saliency") is None
    assert predicted.overlays.stack.layer("saliency") is None


def test_failing_overlay_is_told_and_unticked(desk, answers, monkeypatch):
    desk.compressing.start()

    def fail(*_):
        raise StoreError("a shard is damaged")

    monkeypatch.setattr(module, "store_channel", fail)
    desk.overlays.show("channel", True)
    assert isinstance(answers.errors[0], StoreError)
    assert not desk.overlays.state("channel").shown


def test_reopened_slide_offers_its_overlays(session, runner, slide_file, add_slide, compress_file):
    compress_file(slide_file)
    desk = Desk(session, runner)
    add_slide(session.viewer, slide_file)
    assert desk.overlays.state("pca").why_not == ""
    assert not desk.overlays.state("pca").shown
    desk.overlays.show("pca", True)
    assert desk.overlays.state("pca").shown
    desk.close()


def test_picture_that_was_opened_before_the_dock_gets_its_legend(session, runner, slide_file, compress_file):
    store = compress_file(slide_file)
    for data, options, _ in read_store(store.path):
        session.viewer.add_image(data, **options)
    desk = Desk(session, runner)
    assert desk.overlays.state("pca").shown
    assert desk.overlays.legend() is not None
    desk.close()
    session.slide.close()


def test_agreement_with_saliency(predicted, outlines_file):
    predicted.annotating.open(outlines_file)
    assert predicted.annotating.summary() == "Tumour 1, Stroma 1, Mark 1"
    assert predicted.annotating.labels() == ("Tumour", "Stroma")
    assert predicted.annotating.agreement("Tumour") == "", "nothing to compare with is shown"
    predicted.overlays.show("saliency", True)
    text = predicted.annotating.agreement("Tumour")
    assert "Jaccard" in text
    assert "AUC" in text


def test_agreement_says_why_not(predicted, outlines_file):
    predicted.annotating.open(outlines_file)
    predicted.overlays.show("saliency", True)
    assert "no valid cell" in predicted.annotating.agreement("absent")


def test_annotations_are_saved_as_they_are_on_the_screen(desk, outlines_file, tmp_path, answers):
    desk.annotating.open(outlines_file)
    shapes = desk.annotating.layers()[0]
    shapes.add_polygons(np.array([(0, 0), (0, 50), (50, 50)]))
    desk.annotating.save(tmp_path / "saved.geojson")
    assert "Saved saved.geojson" in answers.notices[-1]
    from napari_nic.annotations import read_annotations

    assert len(read_annotations(tmp_path / "saved.geojson")) == 4


def test_bad_annotation_file_is_told(desk, tmp_path, answers):
    path = tmp_path / "bad.geojson"
    path.write_text("{")
    desk.annotating.open(path)
    assert answers.errors[0].file == path
    desk.annotating.save(path / "x.geojson")  # a file where a folder should be
    assert len(answers.errors) == 2


def test_annotations_before_the_slide_are_laid_on_it(session, runner, outlines_file, slide_file, add_slide):
    desk = Desk(session, runner)
    desk.annotating.open(outlines_file)
    layer = session.viewer.layers[0]
    assert tuple(layer.scale) == (1.0, 1.0)
    add_slide(session.viewer, slide_file)
    assert tuple(layer.scale) == (0.5, 0.5)
    assert layer in desk.annotating.layers()
    desk.close()


def test_legend_of_a_picture_has_no_bar(predicted):
    predicted.overlays.show("pca", True)
    assert legend_of(predicted.overlays.overlay("pca")).bar is None


def test_one_overlay_gives_way_to_another(predicted):
    assert predicted.overlays.state("pca").shown, "it came by itself"
    for kind in ("saliency", "pca", "prediction", "channel"):
        predicted.overlays.show(kind, True)
        assert [k for k in KINDS if predicted.overlays.state(k).shown] == [kind]
        assert [k for k in KINDS if predicted.overlays.stack.shown(k)] == [kind]
        assert len(predicted.overlays.legends()) == 1


def test_overlays_that_the_layer_list_shows_have_a_legend_each(predicted):
    predicted.overlays.show("saliency", True)
    predicted.overlays.stack.layer("pca").visible = True
    titles = [legend.title for legend in predicted.overlays.legends()]
    assert sorted(titles) == ["PCA: like colours, like tissue", "Saliency: lesion"]
    layers = predicted.session.viewer.layers
    for kind, title in (("pca", "PCA: like colours, like tissue"), ("saliency", "Saliency: lesion")):
        layers.move(layers.index(predicted.overlays.stack.layer(kind)), len(layers))
        assert predicted.overlays.legends()[0].title == title, "topmost first"


def test_cells_that_arrive_do_not_cover_what_is_looked_at(
    opened, runner, bundle_folder, compress_file, slide_file
):
    compress_file(slide_file, first=RegionPx(400, 600, 64, 64), options=GridOptions(stride=16))
    opened.find_store(any_encoder=False)
    desk = Desk(opened, runner)
    desk.models.add(bundle_folder)
    desk.overlays.show("prediction", True)
    desk.compressing.region = "whole"
    desk.compressing.start()
    assert desk.compressing.state.complete
    assert [k for k in KINDS if desk.overlays.stack.shown(k)] == ["prediction"]


def vector_model(folder, encoder, sign=1.0):
    """A linear model of two classes on slide vectors."""
    size = encoder["code_size"]
    card = ModelCard(
        name="on-vectors",
        task="classification",
        class_names=("normal", "lesion"),
        encoder=encoder,
        network=SlideNetConfig.vector("linear", size, 1),
    )
    weights = {"output.weight": np.full((1, size), sign, np.float32), "output.bias": np.ones(1, np.float32)}
    scaling = Standardiser(np.zeros(size, np.float32), np.ones(size, np.float32))
    return ModelBundle(card, weights, scaling).save(folder)


def test_model_on_the_mean_scores_and_has_no_saliency(desk, tmp_path):
    desk.models.add(vector_model(tmp_path / "m", mean_description(get_spec("mean-rgb").to_dict())))
    assert desk.overlays.state("prediction").first == "Compresses the slide first, with mean-rgb"
    assert "there is no saliency" in desk.overlays.state("saliency").why_not
    desk.compressing.start()
    desk.overlays.show("prediction", True)
    store = desk.session.store
    mean = mean_vector(store).values
    expected = 1 / (1 + np.exp(-(mean.sum() + 1)))
    assert desk.models.prediction.mean[1] == pytest.approx(expected, abs=1e-5)
    assert desk.models.score() == f"lesion: {expected:.2f}"
    assert desk.models.about_score().startswith("Of one vector of the slide, without saliency")
    layer = desk.overlays.stack.layer("prediction")
    assert desk.overlays.stack.shown("prediction")
    desk.models.set_class(1)
    values = np.asarray(desk.overlays.stack.layer("prediction").data)[store.encoded()]
    assert values == pytest.approx(expected, abs=1e-5)
    assert layer is not None
    assert "all cells have the slide's score" in desk.overlays.overlay("prediction").note
    desk.overlays.show("saliency", True)
    assert not desk.overlays.state("saliency").shown
    assert not desk.overlays.stack.shown("saliency")
    assert desk.models.describe_cell(*np.argwhere(store.encoded())[0]) == ""


def test_model_of_a_slide_encoder_wants_the_vector_beside(desk, tmp_path):
    encoder = describe_encoder("mine", "onnx", 3, weights_sha256="3" * 64)
    desk.models.add(vector_model(tmp_path / "m", encoder))
    desk.compressing.start()
    why = desk.overlays.state("prediction").why_not
    assert "takes vectors of a slide encoder" in why
    assert "slide-embed" in why
    store = desk.session.store
    mean = mean_vector(store)
    vector = SlideVector(mean.name, mean.values * 2, encoder, mean.slide_fingerprint, mean.origin)
    stem = store.path.name.removesuffix(".nic.zarr")
    write_vector(vector, store.path.with_name(f"{stem}.{label_of('mine')}.h5"))
    assert desk.overlays.state("prediction").why_not == ""
    desk.overlays.show("prediction", True)
    assert desk.models.prediction.mean[1] == pytest.approx(1 / (1 + np.exp(-(2 * mean.values.sum() + 1))))
