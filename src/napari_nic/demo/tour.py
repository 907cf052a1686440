"""The tour without a screen: from the sample slide to pictures and an exported array in a folder."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

from napari_nic.annotations import Agreement, AnnotationSet, agreement, rasterise, read_annotations
from napari_nic.demo.pictures import save_picture, slide_picture
from napari_nic.demo.sample import demo_slide
from napari_nic.demo.training import DEMO_BUNDLE, INSIDE, LESION
from napari_nic.embeddings import CompressedSlide, export_store
from napari_nic.encoders import load_encoder
from napari_nic.explain import Overlay, grad_cam, pca_overlay, prediction_overlay, saliency_overlay
from napari_nic.jobs import CancellationToken, Progress
from napari_nic.pipeline import iter_compress, prepare_store
from napari_nic.slide_models import ModelBundle, Prediction, predict
from napari_nic.slides import Overview, Slide, open_slide, read_overview

PICTURE_MPP = 2.0
"""Resolution of the pictures: 1,500 x 1,125 px for the sample slide."""


@dataclass(frozen=True)
class DemoDone(Progress):
    """The last report of :func:`run_demo`.

    Attributes
    ----------
    files : tuple of Path
        What lies in the folder now: pictures (PNG), the compressed slide, the exported array.
    prediction : Prediction or None
        What the model says of the slide.
    agreement : Agreement or None
        Of the saliency map with the annotated lesion.
    """

    files: tuple[Path, ...] = ()
    prediction: Prediction | None = None
    agreement: Agreement | None = None


def run_demo(
    out: Path | str,
    *,
    bundle: str | Path = DEMO_BUNDLE,
    samples: Path | str | None = None,
    token: CancellationToken | None = None,
) -> Iterator[Progress]:
    """Compress the sample slide, look at it through a model, and write what a viewer would show.

    Parameters
    ----------
    out : Path or str
        Folder for the results, made if need be; older results are replaced.
    bundle : str or Path
        Model by name or folder; its encoder compresses the slide.
    samples : Path or str, optional
        Folder of the sample slide, see :func:`~napari_nic.demo.demo_slide`.
    token : CancellationToken, optional

    Yields
    ------
    Progress
        The last one is a :class:`DemoDone`.

    Raises
    ------
    UnknownNameError
        If the model, or its encoder, is not there.
    CancelledError
    """
    out, token = Path(out), token or CancellationToken()
    model = ModelBundle.load(bundle)
    out.mkdir(parents=True, exist_ok=True)
    yield Progress(0, 1, "painting the sample slide", "slides")
    path, annotation_path = demo_slide(samples)
    annotations = read_annotations(annotation_path)
    with open_slide(path) as slide:
        store = yield from _compressed(slide, model, out, token)
        with store:
            yield Progress(0, 1, "asking the model", "slides")
            prediction = predict(model, store, token=token)
            yield Progress(0, 1, "drawing", "pictures")
            overlays, found = _explained(model, store, prediction, annotations, token)
            pictures = _pictures(slide, overlays, annotations, out)
            exported = export_store(store, out, "npy", overwrite=True, token=token)
    files = (*pictures, store.path, *exported)
    yield DemoDone(1, 1, "done", "slides", files=files, prediction=prediction, agreement=found)


def _compressed(
    slide: Slide, model: ModelBundle, out: Path, token: CancellationToken
) -> Generator[Progress, None, CompressedSlide]:
    encoder = load_encoder(model.card.encoder_name)
    store = prepare_store(slide, encoder, path=out / f"{slide.name}.nic.zarr", overwrite=True, token=token)
    yield from iter_compress(slide, encoder, store, token=token)
    return store


def _explained(
    model: ModelBundle,
    store: CompressedSlide,
    prediction: Prediction,
    annotations: AnnotationSet,
    token: CancellationToken,
) -> tuple[list[Overlay], Agreement]:
    """Make the overlays, and compare saliency with the outlines."""
    codes, mask, placement = store.read(token=token), store.encoded(), store.grid.placement
    saliency = grad_cam(model, codes, mask, target=LESION, token=token)
    lesion = rasterise(annotations, store.grid) >= INSIDE
    overlays = [
        pca_overlay(codes, mask, placement, token=token),
        prediction_overlay(prediction),
        saliency_overlay(saliency, placement),
    ]
    return overlays, agreement(saliency.values, lesion, mask)


def _pictures(
    slide: Slide, overlays: list[Overlay], annotations: AnnotationSet, out: Path
) -> tuple[Path, ...]:
    overview: Overview = read_overview(slide, PICTURE_MPP)
    pixel = slide.require_pixel_size()
    first = slide_picture(
        overview,
        pixel,
        annotations=annotations,
        title="Sample slide",
        note="Synthetic tissue painted by code, with the outline of its lesion.",
    )
    files = [save_picture(first, out / "1-slide.png")]
    for index, overlay in enumerate(overlays, start=2):
        picture = slide_picture(overview, pixel, overlay=overlay, annotations=annotations)
        files.append(save_picture(picture, out / f"{index}-{overlay.kind}.png"))
    return tuple(files)
