"""Contract of all long operations: cancelled at any checkpoint they end, and leave nothing half done.

A new long operation joins by a line in :data:`OPERATIONS`.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from napari_nic.annotations import (
    FORMATS,
    Annotation,
    AnnotationSet,
    SlideExtent,
    cell_area,
    plan_label_image,
    rasterise,
    read_annotations,
    writable_formats,
    write_annotations,
)
from napari_nic.annotations.label_files import write_label_image
from napari_nic.annotations.merging import merged
from napari_nic.cohorts import CohortTraining, read_cohort, train_cohort
from napari_nic.cohorts.evaluation import evaluate_bundle
from napari_nic.cohorts.slides import open_cohort
from napari_nic.editing import Edited, Journal, State, objects_of, read_journal
from napari_nic.embeddings import (
    EXPORTERS,
    IMPORTERS,
    CompressedSlide,
    ResidentCodes,
    StoreHeader,
    export_store,
    import_store,
)
from napari_nic.embeddings.interchange import table
from napari_nic.encoders import load_encoder
from napari_nic.errors import CancelledError
from napari_nic.evaluation.run import EvaluationPlan, evaluate_encoders
from napari_nic.evaluation.sets import LabelledSet
from napari_nic.explain import (
    check_saliency,
    grad_cam,
    integrated_gradients,
    pca,
    pca_overlay,
    randomise_layers,
)
from napari_nic.geometry import LevelGeometry, PixelSize, RegionPx
from napari_nic.grid import PatchGrid
from napari_nic.jobs import CancellationToken, result_of
from napari_nic.painting import (
    PaintedLabels,
    PaintedPicture,
    PaintingFiles,
    PaintingHeader,
    iter_areas,
    iter_paint,
    iter_repair,
)
from napari_nic.patches import TileFolder
from napari_nic.patches.extract import ExtractRecipe, extract_patches
from napari_nic.pipeline import GridOptions, iter_compress, prepare_store
from napari_nic.probe import ClassMap, Learner, LearningSlide, apply_probe, strokes_of
from napari_nic.probe import applying as probe_applying
from napari_nic.reader_study import Reading, ValueMap, compare_readings, difference_overlay
from napari_nic.reader_study.consensus import majority
from napari_nic.reader_study.detections import map_detections
from napari_nic.reader_study.doctor import DoctorSlide, examine
from napari_nic.reader_study.lesions import FrocRules, find_lesions
from napari_nic.reader_study.object_codes import object_codes
from napari_nic.reader_study.staple import staple
from napari_nic.recompression import recompress, restore, validate
from napari_nic.recompression.codec_training import CodecRecipe, DistilRecipe, load_patches
from napari_nic.recompression.codec_training.distil import compare_decoders, distil
from napari_nic.recompression.codec_training.train import train_codec
from napari_nic.recompression.lossy import recompress_lossy
from napari_nic.recompression.reporting import ReportOptions, compare_slides
from napari_nic.runs import RunFolder, RunSettings, iter_run
from napari_nic.similarity import (
    Reference,
    draw_cells,
    find_clusters,
    open_searched,
    query_of_cell,
    search_exactly,
)
from napari_nic.slide_models import (
    LabelledSlide,
    ModelBundle,
    ModelCard,
    SlideNetConfig,
    Standardiser,
    TrainingSettings,
    predict,
    train,
)
from napari_nic.slide_models.network import SlideNet
from napari_nic.slide_vectors import mean_vector
from napari_nic.slides import open_slide
from napari_nic.slides.fingerprint import fingerprint_files
from napari_nic.slides.overview import read_overview
from napari_nic.synthetic import SyntheticSlideSpec, write_slide
from napari_nic.tissue import TissueOptions, find_tissue
from napari_nic.tissue.unet import predict as unet_predict
from napari_nic.training import publish
from napari_nic.training.options import TrainOptions
from napari_nic.training.recipe import TrainRecipe
from napari_nic.training.sets import TileFolders
from napari_nic.training.tissue import MaskedPicture, UnetRecipe
from napari_nic.training.tissue.train import train_unet
from napari_nic.training.train import train_encoder
from napari_nic.viewing import iter_thumbnail

ROWS, COLS, CODE_SIZE = 70, 130, 8
"""Two by three shards, 5 by 9 blocks."""
SLAB = 64 * 1024
BOTH_WAYS = [name for name in IMPORTERS if name in EXPORTERS and name != "clam-pt"]
"""Formats whose export is what an import reads; a tensor alone has no places."""
FEW_PATCHES = 600
"""Three batches."""


class Counting(CancellationToken):
    """Counts its checkpoints, and is cancelled at one of them."""

    def __init__(self, last: int | None = None) -> None:
        super().__init__()
        self.count = 0
        self._last = last
        self._counting = threading.Lock()

    def checkpoint(self) -> None:
        with self._counting:
            self.count += 1
            if self.count == self._last:
                self.cancel()
        super().checkpoint()


@dataclass(frozen=True)
class Inputs:
    """What the operations work on."""

    slide: Path
    store: Path
    wide: Path
    exports: Path
    model: ModelBundle
    wide_model: ModelBundle
    cohort: Path
    tiles: Path
    dicom_slide: Path


@dataclass(frozen=True)
class Operation:
    """A long operation.

    Attributes
    ----------
    run : callable
        ``run(inputs, out, token)``; writes into the folder `out` only.
    units : int
        Units of work (tiles, blocks, slabs, batches, files) that it does at least, each after a checkpoint.
    resumes : tuple of str
        Patterns of what stays in `out` to go on from, whole in itself.
    """

    run: Callable[[Inputs, Path, CancellationToken], Any]
    units: int
    resumes: tuple[str, ...] = ()


def _codes(path: Path) -> np.ndarray:
    with CompressedSlide.open(path) as store:
        return store.read()


def _compress(inputs: Inputs, out: Path, token: CancellationToken) -> None:
    encoder = load_encoder("mean-rgb")
    options = GridOptions(stride=16, min_tissue=0)
    with (
        open_slide(inputs.slide) as slide,
        prepare_store(slide, encoder, path=out / "s.nic.zarr", options=options, token=token) as store,
    ):
        for _ in iter_compress(slide, encoder, store, token=token, workers=2):
            pass


def _prepare(inputs: Inputs, out: Path, token: CancellationToken) -> None:
    with open_slide(inputs.slide) as slide:
        prepare_store(slide, load_encoder("mean-rgb"), path=out / "s.nic.zarr", token=token).close()


def _tissue(inputs: Inputs, _: Path, token: CancellationToken) -> None:
    with open_slide(inputs.slide) as slide:
        find_tissue(slide, token=token)


def _tissue_by_network(inputs: Inputs, _: Path, token: CancellationToken) -> None:
    with open_slide(inputs.slide) as slide:
        find_tissue(slide, options=TissueOptions(method="unet"), token=token)


def _train_unet(_: Inputs, out: Path, token: CancellationToken) -> None:
    mask = np.zeros((40, 40), np.uint8)
    mask[:20] = 1
    picture = MaskedPicture(np.full((40, 40, 3), 200, np.uint8), mask, 4.0, "a")
    options = TrainOptions(steps=4, batch_size=2, validate_every=0, checkpoint_every=1)
    recipe = UnetRecipe("net", out / "net", (2, 2), size=16, device="cpu", options=options)
    for _report in train_unet(recipe, [picture], token=token):
        pass


def _train_codec(inputs: Inputs, out: Path, token: CancellationToken) -> None:
    """A learned codec, then a light decoder for it, then both decoders beside each other."""
    patches = load_patches([TileFolder(inputs.tiles, 1.0)], [], size=64, held_out=0.5, token=token)
    options = TrainOptions(steps=3, batch_size=2, validate_every=0, checkpoint_every=1)
    recipe = CodecRecipe("c", out / "c", filters=2, channels=12, size=64, device="cpu", options=options)
    for _report in train_codec(recipe, patches, token=token):
        pass
    light = DistilRecipe(out / "c", 8, 1, size=64, device="cpu", options=options)
    for _report in distil(light, patches, token=token):
        pass
    result_of(compare_decoders(out / "c", patches, token=token))


def _overview(inputs: Inputs, _: Path, token: CancellationToken) -> None:
    with open_slide(inputs.slide) as slide:
        read_overview(slide, 1.0, token=token)


def _thumbnail(inputs: Inputs, _: Path, token: CancellationToken) -> None:
    with open_slide(inputs.slide) as slide:
        result_of(iter_thumbnail(slide, 100, token=token))


def _pca(inputs: Inputs, _: Path, token: CancellationToken) -> None:
    with CompressedSlide.open(inputs.wide) as store:
        pca_overlay(store.read(token=token), store.encoded(), store.grid.placement, token=token)


def _explaining(how: Callable[..., Any]) -> Callable[[Inputs, Path, CancellationToken], Any]:
    def run(inputs: Inputs, _: Path, token: CancellationToken) -> None:
        store = CompressedSlide.open(inputs.wide)
        codes = store.read(token=token)
        how(inputs.wide_model, codes, store.encoded(), target=0, device="cpu", token=token)

    return run


def _checking(inputs: Inputs, _: Path, token: CancellationToken) -> None:
    store, model = CompressedSlide.open(inputs.wide), inputs.wide_model
    codes, mask = store.read(token=token), store.encoded()
    saliency = grad_cam(model, codes, mask, device="cpu", token=token)
    result_of(check_saliency(model, codes, saliency, device="cpu", token=token))


def _randomising(inputs: Inputs, _: Path, token: CancellationToken) -> None:
    store = CompressedSlide.open(inputs.wide)
    what: dict[str, Any] = {"seeds": [0, 1], "device": "cpu", "token": token}
    result_of(randomise_layers(inputs.wide_model, store.read(token=token), store.encoded(), **what))


def _resident(inputs: Inputs, _: Path, token: CancellationToken) -> None:
    ResidentCodes.load(CompressedSlide.open(inputs.wide), token=token)


def _probe(inputs: Inputs, _: Path, token: CancellationToken) -> None:
    """Strokes, a probe, its map: all that a stroke sets going."""
    shapes = [Annotation("ab"[n % 2], "point", shapely.Point(n * 40 + 8, 100)) for n in range(8)]
    resident = ResidentCodes.load(CompressedSlide.open(inputs.wide), token=token)
    strokes = strokes_of(AnnotationSet(tuple(shapes)), resident, token=token).strokes
    learner = Learner()
    learner.set_strokes(LearningSlide.of(resident, token=token), strokes)
    probe = learner.train({"a": (0, 0, 0), "b": (9, 9, 9)}, token=token).probe
    found = ClassMap.of(apply_probe(probe, resident, token=token))
    found.cleaned(least_mm2=1, token=token).outlines(token=token)


def _predict(inputs: Inputs, _: Path, token: CancellationToken) -> None:
    predict(inputs.wide_model, CompressedSlide.open(inputs.wide), device="cpu", token=token)


def _mean(inputs: Inputs, _: Path, token: CancellationToken) -> None:
    mean_vector(CompressedSlide.open(inputs.wide), token=token)


def _exporting(name: str) -> Callable[[Inputs, Path, CancellationToken], Any]:
    def run(inputs: Inputs, out: Path, token: CancellationToken) -> None:
        export_store(CompressedSlide.open(inputs.wide), out / "deep", name, token=token)

    return run


def _importing(name: str) -> Callable[[Inputs, Path, CancellationToken], Any]:
    def run(inputs: Inputs, out: Path, token: CancellationToken) -> None:
        file = inputs.exports / f"{name}{EXPORTERS.get(name).suffix}"
        import_store(file, out / "i.nic.zarr", format=name, token=token).close()

    return run


def _extract(inputs: Inputs, out: Path, token: CancellationToken) -> None:
    recipe = ExtractRecipe(out / "p.patches.zarr", slides=(inputs.slide,), size=32, mpp=0.5)
    for _ in extract_patches(recipe, token=token):
        pass


def _train(inputs: Inputs, _: Path, token: CancellationToken) -> None:
    codes = _codes(inputs.wide)[:24, :24]
    mask = np.ones(codes.shape[:2], bool)
    slides = [LabelledSlide(f"{n}", codes, mask, n % 2) for n in range(4)]
    card = replace(inputs.wide_model.card, training={}, metrics={})
    for _ in train(
        card,
        slides,
        slides,
        settings=TrainingSettings(epochs=2, steps=4, batch_size=4),
        device="cpu",
        token=token,
    ):
        pass


def _evaluate_cohort(inputs: Inputs, out: Path, token: CancellationToken) -> None:
    for _ in evaluate_bundle(
        inputs.model, read_cohort(inputs.cohort, "classification"), out / "j", device="cpu", token=token
    ):
        pass


def _cross_validate(inputs: Inputs, out: Path, token: CancellationToken) -> None:
    cohort = read_cohort(inputs.cohort, "classification")
    training = CohortTraining(
        model="cnn-compact",
        crop_size=16,
        width=4,
        folds=3,
        settings=TrainingSettings(epochs=1, steps=2, batch_size=4),
    )
    for _ in train_cohort(cohort, out / "runs", training, device="cpu", token=token):
        pass


def _train_encoder(inputs: Inputs, out: Path, token: CancellationToken) -> None:
    options = TrainOptions(
        code_size=12, steps=4, batch_size=4, validate_every=2, checkpoint_every=2, validation_patches=8
    )
    recipe = TrainRecipe(
        "mine",
        "contrastive",
        [TileFolders([TileFolder(inputs.tiles, 1.0, labelled=True)])],
        out=out / "mine",
        device="cpu",
        options=options,
    )
    for _ in train_encoder(recipe, token=token):
        pass


def _publish(inputs: Inputs, out: Path, token: CancellationToken) -> None:
    """What comes after the last step: the encoder is scaled, measured and saved."""
    shutil.copytree(inputs.exports / "trained.training", out / "mine.training")
    for report in train_encoder(_short_recipe(inputs.tiles, out), token=token):
        raise AssertionError(f"it was trained already: {report}")


def _short_recipe(tiles: Path, out: Path) -> TrainRecipe:
    options = TrainOptions(code_size=4, steps=1, batch_size=4, validate_every=0, checkpoint_every=1)
    folders = [TileFolders([TileFolder(tiles, 1.0, labelled=True)])]
    return TrainRecipe("mine", "contrastive", folders, out=out / "mine", device="cpu", options=options)


def _read_cohort(inputs: Inputs, _: Path, token: CancellationToken) -> None:
    cohort = read_cohort(inputs.cohort, "classification")
    open_cohort(cohort).slides(cohort, memory_bytes=2**30, token=token)


def _evaluate_encoder(inputs: Inputs, _: Path, token: CancellationToken) -> None:
    sets = (LabelledSet("made", inputs.tiles, 0.5),)
    for _ in evaluate_encoders(
        EvaluationPlan(("mean-rgb",), sets, ("knn",), seeds=2, device="cpu"), token=token
    ):
        pass


def _rasterise(inputs: Inputs, _: Path, token: CancellationToken) -> None:
    areas = tuple(
        Annotation("a", "polygon", shapely.Point(x * 90 + 50, x % 7 * 70 + 50).buffer(45)) for x in range(50)
    )
    grid = CompressedSlide.open(inputs.wide).grid
    rasterise(AnnotationSet(areas, {}, source="test"), grid, token=token)


EXTENT = SlideExtent((9_000, 9_000), PixelSize(0.5, 0.5), centre_nm=(0, 0))


def _outlines() -> AnnotationSet:
    areas = [shapely.Point(x * 90 + x % 2 * 5 + 50, 70).buffer(45) for x in range(12)]
    return AnnotationSet(tuple(Annotation("a", "polygon", area) for area in areas), {}, "test")


def _reading(name: str) -> Callable[[Inputs, Path, CancellationToken], Any]:
    def run(inputs: Inputs, _: Path, token: CancellationToken) -> None:
        path = inputs.exports / f"outlines-{name}{FORMATS.get(name).suffixes[0]}"
        assert len(read_annotations(path, token=token, extent=_extent(inputs.dicom_slide))) == 12

    return run


def _extent(dicom_slide: Path) -> SlideExtent:
    return replace(EXTENT, path=dicom_slide)


def _read_negatives(inputs: Inputs, _: Path, token: CancellationToken) -> None:
    assert len(read_annotations(inputs.exports / "outlines.annotations", token=token)) == 12


def _keeping(_: Inputs, out: Path, token: CancellationToken) -> None:
    objects = objects_of(_outlines())[0]
    journal = Journal(out / "s.nic.document", "f", "s")
    try:
        journal.write_all(State(objects), Edited(), token=token)
        kept = read_journal(journal.folder, "f", token=token)
    finally:
        journal.close()
    assert kept is not None
    assert len(kept.state.objects) == 12
    shutil.rmtree(journal.folder)


def _writing(name: str) -> Callable[[Inputs, Path, CancellationToken], Any]:
    def run(inputs: Inputs, out: Path, token: CancellationToken) -> None:
        path = out / f"o{FORMATS.get(name).suffixes[0]}"
        write_annotations(_outlines(), path, name, token=token, extent=_extent(inputs.dicom_slide))

    return run


def _draw_labels(_: Inputs | None, out: Path, token: CancellationToken) -> None:
    image = plan_label_image(_outlines(), (5000, 1200), PixelSize(0.5, 0.5), 0.5)
    write_label_image(image, out / "labels.zarr", 0.5, token=token)


def _read_labels(inputs: Inputs, _: Path, token: CancellationToken) -> None:
    found = read_annotations(inputs.exports / "labels.zarr", token=token, extent=EXTENT)
    assert found.labels() == ("a",)


def _merge(_: Inputs, __: Path, token: CancellationToken) -> None:
    areas = [shapely.box(x * 9, 0, x * 9 + 10, 10) for x in range(500)]
    assert merged(areas, token=token).geom_type == "Polygon"


def _compare_readings(_: Inputs, __: Path, token: CancellationToken) -> None:
    one, other = Reading("one", _outlines()), Reading("other", _outlines(), seen=shapely.box(0, 0, 1e3, 1e3))
    pixel = PixelSize(0.5, 0.5)
    compare_readings("s", [one, other, one], pixel, token=token)
    difference_overlay(one, other, "a", RegionPx(0, 0, 200, 1200), pixel, token=token)


def _painted(_: Inputs, out: Path, token: CancellationToken) -> None:
    shape = (1000, 1200)  # two by three tiles, and those of two coarser levels
    files = PaintingFiles.create(out / "s.painting.zarr", PaintingHeader("s", "sha256:1", shape))
    try:
        labels = PaintedLabels(shape, files)
        given = AnnotationSet((Annotation("a", "polygon", shapely.box(9, 9, 1100, 900)),))
        result_of(iter_paint(labels, given, {"a": 1}, 0, token=token))
        files.save(labels.take_unsaved(), token)
        result_of(iter_repair(labels, token))
        result_of(iter_areas(labels, {"a": 1}, PixelSize(0.5, 0.5), token=token))
        write_label_image(
            PaintedPicture(labels, 0, {"a": 1}, {"a": (1, 2, 3)}), out / "labels.tif", 0.5, token=token
        )
    finally:
        files.close()


def _outline_cells(inputs: Inputs, _: Path, token: CancellationToken) -> None:
    store = CompressedSlide.open(inputs.wide)
    cell_area(store.encoded(), store.grid, token=token)


def _search(inputs: Inputs, _: Path, token: CancellationToken) -> None:
    store = CompressedSlide.open(inputs.wide)
    row, col = np.argwhere(store.encoded())[0].tolist()
    query = query_of_cell(store, row, col)
    result_of(search_exactly(query, open_searched(query, [inputs.wide], token=token), token=token))


def _anomaly(inputs: Inputs, _: Path, token: CancellationToken) -> None:
    store = CompressedSlide.open(inputs.wide)
    Reference.of([store], token=token).percent_map(store, token=token)


def _find_clusters(inputs: Inputs, _: Path, token: CancellationToken) -> None:
    store = CompressedSlide.open(inputs.wide)
    codes = draw_cells([store], 500, token=token).codes
    result_of(find_clusters(codes, 3, store.header.encoder, token=token)).map_of(store, token=token)


def _readers(count: int) -> list[Reading]:
    return [Reading(f"r{k}", _outlines().shifted(k, 0)) for k in range(count)]


def _consensus(_: Inputs, __: Path, token: CancellationToken) -> None:
    majority(_readers(4), PixelSize(0.5, 0.5), ties="first", token=token)


def _staple(_: Inputs, __: Path, token: CancellationToken) -> None:
    staple(_readers(3), PixelSize(0.5, 0.5), raster_um=8, token=token)


def _froc(inputs: Inputs, _: Path, token: CancellationToken) -> None:
    grid = CompressedSlide.open(inputs.wide).grid
    values = np.random.default_rng(0).random(grid.shape)
    map_detections(ValueMap(values, values > 0.99, grid), token=token)
    find_lesions(_outlines(), PixelSize(0.5, 0.5), FrocRules(0), token=token)


def _doctor(inputs: Inputs, _: Path, token: CancellationToken) -> None:
    codes = ResidentCodes.load(CompressedSlide.open(inputs.wide), token=token)
    rng = np.random.default_rng(0)
    step = codes.grid.patch_corner_px(0, 1)[1]
    shapes = tuple(
        Annotation("ab"[k % 2], "point", shapely.Point(x * step, y * step))
        for k, (x, y) in enumerate(rng.uniform(1, 69, (60, 2)))
    )
    annotations = AnnotationSet(shapes)
    examine([DoctorSlide("s", annotations, object_codes(annotations, codes, token=token))], token=token)


def _write_negatives(path: Path) -> None:
    """ImageScope's way: areas, each with a region that is cut out of it."""
    regions = []
    for number in range(12):
        for negative, side in ((0, 40), (1, 10)):
            corners = ((0, 0), (side, 0), (side, side), (0, side))
            points = "".join(f'<Vertex X="{number * 90 + x}" Y="{y}"/>' for x, y in corners)
            regions.append(f'<Region NegativeROA="{negative}"><Vertices>{points}</Vertices></Region>')
    text = f'<Annotation Name="a"><Regions>{"".join(regions)}</Regions></Annotation>'
    path.write_text(f"<Annotations>{text}</Annotations>")


def _synthetic(_: Inputs, out: Path, token: CancellationToken) -> None:
    write_slide(out / "s.tif", SyntheticSlideSpec(1024, 1024), told=lambda _: token.checkpoint())


def _fingerprint(inputs: Inputs, _: Path, token: CancellationToken) -> None:
    fingerprint_files([file for file in inputs.wide.rglob("*") if file.is_file()], token=token)


def _recompress(mode: str) -> Callable[[Inputs, Path, CancellationToken], Any]:
    def run(inputs: Inputs, out: Path, token: CancellationToken) -> None:
        result_of(recompress(inputs.slide, out / "s.tif", mode, workers=2, token=token))

    return run


def _lossy(inputs: Inputs, out: Path, token: CancellationToken) -> None:
    result_of(recompress_lossy(inputs.slide, out / "s.tif", workers=2, token=token))


def _compare_files(inputs: Inputs, _: Path, token: CancellationToken) -> None:
    options = ReportOptions(views=4, encoders=("mean-rgb",))
    result_of(compare_slides(inputs.slide, inputs.exports / "packed.tif", options, token=token))


def _restore(inputs: Inputs, out: Path, token: CancellationToken) -> None:
    result_of(restore(inputs.exports / "packed.tif", out / "s.tif", workers=2, token=token))


def _validate(inputs: Inputs, _: Path, token: CancellationToken) -> None:
    result_of(validate(inputs.exports / "packed.tif", workers=2, token=token))


def _run_of_slides(inputs: Inputs, out: Path, token: CancellationToken) -> None:
    settings = RunSettings(("compress", "export"), ("mean-rgb",), formats=("npy",), threads=2)
    for _ in iter_run([inputs.slide], RunFolder(out / "run"), settings, token=token):
        pass


OPERATIONS: dict[str, Operation] = {
    "compress": Operation(_compress, units=8, resumes=("s.nic.zarr",)),
    "prepare": Operation(_prepare, units=4),
    "tissue": Operation(_tissue, units=4),
    "tissue by a network": Operation(_tissue_by_network, units=6),
    "training of a tissue network": Operation(_train_unet, units=4, resumes=("net.training/*",)),
    "training of a learned codec": Operation(
        _train_codec, units=3 + 2 + 3 + 2, resumes=("c/*", "c.training/*", "c.light.training/*")
    ),
    "overview": Operation(_overview, units=4),
    "keeping a document": Operation(_keeping, units=12 + 14, resumes=("s.nic.document/document.jsonl",)),
    "thumbnail": Operation(_thumbnail, units=1),
    "pca": Operation(_pca, units=6 + 3 * 9),
    "codes into memory": Operation(_resident, units=6),
    "learning while drawing": Operation(_probe, units=6 + 8 + 1 + 8 + 9 + 1 + 2 * 2),
    "predict": Operation(_predict, units=6 + 10 * 8 + 1),
    "mean of the codes": Operation(_mean, units=6 + 2),
    "saliency": Operation(_explaining(grad_cam), units=6 + 2),
    "reliability of saliency": Operation(_checking, units=6 + 2 + 8 * 2 + 74),
    "random weights": Operation(_randomising, units=6 + 2 * 3),
    "integrated gradients": Operation(_explaining(integrated_gradients), units=6 + 8),
    **{f"export {name}": Operation(_exporting(name), units=6) for name in EXPORTERS},
    **{f"import {name}": Operation(_importing(name), units=3 + 9) for name in BOTH_WAYS},
    "patches": Operation(_extract, units=4),
    "training of a slide model": Operation(_train, units=2 * 4),
    "evaluation of a cohort": Operation(_evaluate_cohort, units=4, resumes=("j", "j/plan.json")),
    "training of a cohort": Operation(
        _cross_validate, units=3 * (2 + 2), resumes=("runs/plan.json", "runs/fold*")
    ),
    "training of an encoder": Operation(_train_encoder, units=1 + 4 + 3, resumes=("mine.training/*",)),
    "measuring and saving": Operation(_publish, units=1 + 3, resumes=("mine.training/*",)),
    "reading codes to learn from": Operation(_read_cohort, units=6),
    "evaluation of an encoder": Operation(_evaluate_encoder, units=4),
    "annotations on the grid": Operation(_rasterise, units=8),
    **{f"reading {name}": Operation(_reading(name), units=12) for name in writable_formats()},
    "reading negative regions": Operation(_read_negatives, units=24 + 12),
    **{f"writing {name}": Operation(_writing(name), units=2 * 12) for name in writable_formats()},
    "drawing labels": Operation(_draw_labels, units=10 + 5),
    "outlining labels": Operation(_read_labels, units=10 + 7),
    "merging many outlines": Operation(_merge, units=8),
    "painted labels": Operation(_painted, units=6 + 9 + 9 + 9 + 2, resumes=("s.painting.zarr",)),
    "outlining cells": Operation(_outline_cells, units=2),
    "searching stores": Operation(_search, units=6),
    "unusual cells": Operation(_anomaly, units=3 * 2 + 3 + 2 + 3),
    "finding clusters": Operation(_find_clusters, units=3 + 4 + 3),
    "comparing readers": Operation(_compare_readings, units=3 * 4 + 2),
    "consensus by majority": Operation(_consensus, units=4 + 4),
    "consensus by STAPLE": Operation(_staple, units=3 + 1),
    "lesions and detections": Operation(_froc, units=7 + 8),
    "annotation doctor": Operation(_doctor, units=6 + 1 + 2 * 5),
    "synthetic slide": Operation(_synthetic, units=4),
    "repacking": Operation(_recompress("repack"), units=8, resumes=(".s.tif.unfinished/*",)),
    "optimising": Operation(_recompress("optimize"), units=8, resumes=(".s.tif.unfinished/*",)),
    "encoding anew": Operation(_lossy, units=8, resumes=(".s.tif.unfinished/*",)),
    "comparing two files of a slide": Operation(_compare_files, units=8),
    "restoring": Operation(_restore, units=8),
    "checking a repacked slide": Operation(_validate, units=8),
    "run of many slides": Operation(_run_of_slides, units=4 + 4, resumes=("run/*",)),
    "fingerprint of many files": Operation(_fingerprint, units=6),
}


@pytest.fixture(autouse=True)
def small_slabs(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes one slab here takes many of a real slide."""
    monkeypatch.setattr(table, "SLAB_BYTES", SLAB)
    monkeypatch.setattr(pca, "_CHUNK", 1024)
    monkeypatch.setattr(unet_predict, "WINDOW", 32)
    monkeypatch.setattr(probe_applying, "BLOCK_CELLS", 1024)
    monkeypatch.setattr(publish, "EVALUATION_PATCHES", FEW_PATCHES)


@pytest.fixture(scope="module")
def inputs(
    tmp_path_factory: pytest.TempPathFactory, slide_path: Path, tile_folder: Path, dicom_slide: Path
) -> Inputs:
    folder = tmp_path_factory.mktemp("cancelling")
    slide = Path(shutil.copy(slide_path, folder / "made.tif"))
    encoder = load_encoder("mean-rgb")
    with open_slide(slide) as opened, prepare_store(opened, encoder, path=folder / "m.nic.zarr") as store:
        for _ in iter_compress(opened, encoder, store):
            pass
    result_of(recompress(slide, folder / "packed.tif", workers=1))
    wide = _wide_store(folder / "wide.nic.zarr")
    for name in EXPORTERS:
        export_store(wide, folder / f"{name}{EXPORTERS.get(name).suffix}", name)
    for name in writable_formats():
        path = folder / f"outlines-{name}{FORMATS.get(name).suffixes[0]}"
        write_annotations(_outlines(), path, name, extent=_extent(dicom_slide))
    _draw_labels(None, folder, CancellationToken())
    _write_negatives(folder / "outlines.annotations")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(publish, "EVALUATION_PATCHES", FEW_PATCHES)
        for _ in train_encoder(_short_recipe(tile_folder, folder)):
            pass
    (folder / "mine.training").rename(folder / "trained.training")
    cohort = folder / "cohort.csv"
    cohort.write_text("slide,label\n" + "".join(f"c{n}.nic.zarr,{'ab'[n % 2]}\n" for n in range(6)))
    for number in range(6):
        shutil.copytree(store.path, folder / f"c{number}.nic.zarr")
    small, large = dict(store.header.encoder), dict(wide.header.encoder)
    return Inputs(
        slide,
        store.path,
        wide.path,
        folder,
        _model(small, folder / "t"),
        _model(large, folder / "l"),
        cohort,
        tile_folder,
        dicom_slide,
    )


def _wide_store(path: Path) -> CompressedSlide:
    shape = (ROWS * 16, COLS * 16)
    header = StoreHeader(
        slide_name="wide",
        slide_fingerprint="sha256:aa",
        slide_shape=shape,
        reader="test",
        color={"profile": None, "applied": False},
        grid=PatchGrid.plan([LevelGeometry(*shape)], PixelSize(0.5, 0.5, "test"), patch_size=16),
        encoder={
            "name": "toy",
            "architecture": "toy",
            "code_size": CODE_SIZE,
            "patch_size": 16,
            "mpp": 0.5,
            "input_size": 16,
            "weights_sha256": "0" * 64,
        },
        precision="float32",
        batch_size=16,
        tissue={"method": "test"},
        software="test",
        created="2025-01-01T00:00:00+00:00",
    )
    rng = np.random.default_rng(0)
    with CompressedSlide.create(path, header, np.ones((ROWS, COLS), bool)) as store:
        for row, col in np.argwhere(~store.done):
            shape = (min(16, ROWS - row * 16), min(16, COLS - col * 16), CODE_SIZE)
            store.write_block(int(row), int(col), rng.normal(size=shape))
        store.finish()
    return CompressedSlide.open(path)


def _model(encoder: dict[str, Any], folder: Path) -> ModelBundle:
    size = int(encoder["code_size"])
    config = SlideNetConfig(size, outputs=1, crop_size=8, width=4, strides=(1, 2))
    card = ModelCard("tiny", "classification", ("a", "b"), encoder, config)
    weights = {name: value.numpy() for name, value in SlideNet(config).state_dict().items()}
    scaling = Standardiser(np.zeros(size, np.float32), np.ones(size, np.float32))
    return ModelBundle.load(ModelBundle(card, weights, scaling).save(folder))


def _left_in(folder: Path) -> list[str]:
    """Files and stores that are in a folder, but for empty folders that were made for them."""
    found = []
    for path in sorted(folder.rglob("*")):
        inside_store = any(parent.suffix == ".zarr" for parent in path.relative_to(folder).parents)
        if not inside_store and (path.is_file() or path.suffix == ".zarr"):
            found.append(path.relative_to(folder).as_posix())
    return found


@pytest.mark.parametrize("name", OPERATIONS)
def test_it_asks_at_each_unit_and_ends_wherever_it_is_cancelled(
    inputs: Inputs, tmp_path: Path, name: str
) -> None:
    operation, before = OPERATIONS[name], threading.active_count()
    whole = Counting()
    _made(tmp_path / "whole", lambda out: operation.run(inputs, out, whole))
    assert whole.count >= operation.units
    for number in sorted({1, 2, max(1, whole.count // 2), max(1, whole.count * 3 // 4)}):
        token = Counting(number)
        out = _made(
            tmp_path / str(number), lambda out, token=token: _cancelled(operation, inputs, out, token)
        )
        assert token.count < number + 50  # threads beside it may have been at theirs
        assert threading.active_count() == before
        left = _left_in(out)
        assert [path for path in left if not any(fnmatch(path, kept) for kept in operation.resumes)] == []


def _made(out: Path, work: Callable[[Path], Any]) -> Path:
    out.mkdir()
    work(out)
    return out


def _cancelled(operation: Operation, inputs: Inputs, out: Path, token: CancellationToken) -> None:
    with pytest.raises(CancelledError):
        operation.run(inputs, out, token)


@pytest.mark.parametrize("name", list(EXPORTERS))
def test_an_older_export_survives_a_cancelled_one(inputs: Inputs, tmp_path: Path, name: str) -> None:
    store = CompressedSlide.open(inputs.wide)
    files = export_store(store, tmp_path, name)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    whole = Counting()
    export_store(store, tmp_path, name, overwrite=True, token=whole)
    with pytest.raises(CancelledError):
        export_store(store, tmp_path, name, overwrite=True, token=Counting(whole.count))
    assert all(file.exists() for file in files)
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == set(before)


@pytest.mark.parametrize("name", BOTH_WAYS)
def test_slabs_change_nothing_of_what_is_read(
    inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    store = CompressedSlide.open(inputs.wide)
    small = export_store(store, tmp_path / f"small{EXPORTERS.get(name).suffix}", name)[0]
    monkeypatch.setattr(table, "SLAB_BYTES", 2**30)
    large = export_store(store, tmp_path / f"large{EXPORTERS.get(name).suffix}", name)[0]
    for file, slab in ((small, 2**30), (large, SLAB)):
        monkeypatch.setattr(table, "SLAB_BYTES", slab)
        again = import_store(file, tmp_path / f"{file.stem}-{slab}.nic.zarr", format=name)
        np.testing.assert_array_equal(again.read(), store.read())
