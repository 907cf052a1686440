"""The calls of ``import napari_nic``: whole jobs in one line, over the rooms that all faces use."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from napari_nic.bars import follow, progress_bar
from napari_nic.embeddings import CompressedSlide, check_covered, default_store_path
from napari_nic.encoders import DEFAULT_ENCODER, Encoder, load_encoder
from napari_nic.errors import StoreError
from napari_nic.explain import CamMethod, Overlay, grad_cam, pca_overlay, saliency_overlay, store_preview
from napari_nic.jobs import CancellationToken, Outcome, Progress
from napari_nic.pipeline import GridOptions, iter_compress, iter_prepare_store, precision_to_go_on
from napari_nic.slide_models import ModelBundle, Prediction
from napari_nic.slide_models import predict as predict_slide
from napari_nic.slides import Slide, open_slide

Report: TypeAlias = "bool | Callable[[Progress], object]"
"""``True`` for a bar in the terminal or notebook, or a function that is given each report."""

P = TypeVar("P", bound=Progress)


def compress(
    slide: Slide | str | Path,
    encoder: Encoder | str | Path = DEFAULT_ENCODER,
    *,
    out: str | Path | None = None,
    options: GridOptions | None = None,
    overwrite: bool = False,
    progress: Report = False,
    cancel: CancellationToken | None = None,
) -> CompressedSlide:
    """Compress a slide: one code for each patch of tissue. What was begun before is gone on with.

    Parameters
    ----------
    slide : Slide, str or Path
        An open slide stays open. One that is named is opened and closed; what its file contradicts itself in
        is told as a warning.
    encoder : Encoder, str or Path
        An encoder, or the name or folder of one.
    out : str or Path, optional
        The store; ``{slide}.nic.zarr`` beside the slide by default.
    options : GridOptions, optional
        Patch size, stride, resolution and least share of tissue, where they are not the encoder's own.
    overwrite : bool
        Replace a store that was made otherwise, instead of raising.
    progress : bool or callable
        ``True`` draws a bar; a function is called with each :class:`~napari_nic.jobs.Progress`, first those
        of finding tissue.
    cancel : CancellationToken, optional
        To pause and cancel from another thread.

    Returns
    -------
    CompressedSlide
        Complete, opened for reading.

    Raises
    ------
    StoreError
        If no tissue was found on the slide.
    DamagedSlideError
        At the end, if tiles could not be read; all other cells are stored.
    CancelledError
        What was finished is stored, and the same call goes on from there.
    NicError
        What :func:`~napari_nic.pipeline.prepare_store` and :func:`~napari_nic.pipeline.iter_compress` raise.

    See Also
    --------
    napari_nic.pipeline.iter_compress : the same as a generator of progress.
    """
    with ExitStack() as opened:
        source = opened.enter_context(_open(slide))
        out = default_store_path(source.path) if out is None else Path(out)
        if isinstance(encoder, str | Path):
            encoder = load_encoder(encoder, precision=precision_to_go_on(out, overwrite=overwrite))
        preparing = Outcome(
            iter_prepare_store(source, encoder, path=out, options=options, overwrite=overwrite, token=cancel)
        )
        for _ in _told(preparing, source.name, progress):
            pass
        store = opened.enter_context(preparing.value)
        check_covered(
            store.path,
            store.coverage,
            "GridOptions(min_tissue=0) takes every cell, 0.05 those with little tissue",
        )
        reports = iter_compress(source, encoder, store, token=cancel)
        done = 0
        for report in _told(reports, source.name, progress):
            done = report.done
        store_preview(store, always=done > 0, token=cancel)
    return CompressedSlide.open(store.path)


@contextmanager
def _open(slide: Slide | str | Path) -> Iterator[Slide]:
    if isinstance(slide, Slide):
        yield slide
        return
    with open_slide(slide) as opened:
        for notice in opened.notices:
            warnings.warn(f"{opened.path.name}: {notice}", stacklevel=5)
        yield opened


def _told(reports: Iterable[P], title: str, progress: Report) -> Iterator[P]:
    """Pass reports on, and show them as the caller wants it."""
    if progress is True:
        with progress_bar() as bar:
            yield from follow(reports, title, bar)
        return
    for report in reports:
        if callable(progress):
            progress(report)
        yield report


def open_compressed(path: str | Path) -> CompressedSlide:
    """Open a compressed slide (``{slide}.nic.zarr``) for reading.

    Raises
    ------
    StoreError
        If `path` is no store, is damaged or has another schema version.
    """
    return CompressedSlide.open(path)


def load_model(model: str | Path) -> ModelBundle:
    """Load a slide-level model by its name or folder.

    Raises
    ------
    UnknownNameError
        If there is none; the text lists those that are there.
    BundleError
        If a file is missing or damaged.
    """
    return ModelBundle.load(model)


def pca(compressed: CompressedSlide | str | Path, *, cancel: CancellationToken | None = None) -> Overlay:
    """Show what the codes of a slide hold: their first three principal components as red, green and blue.

    Parameters
    ----------
    compressed : CompressedSlide, str or Path
    cancel : CancellationToken, optional

    Raises
    ------
    StoreError
        If nothing of the slide is encoded.
    """
    store = _encoded(compressed)
    return pca_overlay(store.read(token=cancel), store.encoded(), store.grid.placement, token=cancel)


def predict(
    compressed: CompressedSlide | str | Path,
    model: ModelBundle | str | Path,
    *,
    device: str = "auto",
    cancel: CancellationToken | None = None,
) -> Prediction:
    """Predict a slide's label, value or risk from its codes, with scores of its cells.

    Parameters
    ----------
    compressed : CompressedSlide, str or Path
    model : ModelBundle, str or Path
        A model, or the name or folder of one.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``...
    cancel : CancellationToken, optional

    Raises
    ------
    BundleError
        If the model was trained on another encoder's codes.
    StoreError
        If nothing of the slide is encoded.
    """
    return predict_slide(_model(model), _encoded(compressed), device=device, token=cancel)


def saliency(
    compressed: CompressedSlide | str | Path,
    model: ModelBundle | str | Path,
    *,
    target: str | int | None = None,
    layer: int = 0,
    method: CamMethod = "Grad-CAM",
    device: str = "auto",
    cancel: CancellationToken | None = None,
) -> Overlay:
    """Show where a model finds what speaks for (+) and against (-) a class.

    Parameters
    ----------
    compressed : CompressedSlide, str or Path
    model : ModelBundle, str or Path
        A model, or the name or folder of one.
    target : str or int, optional
        Name or number of the class, value or risk; the last one by default.
    layer : int
        Convolution whose features are weighted, from 0, the finest.
    method : {"Grad-CAM", "LayerCAM", "HiResCAM"}
        See :func:`~napari_nic.explain.grad_cam` (Eq. 7 of Tellez et al. 2019).
    device : str
    cancel : CancellationToken, optional

    Returns
    -------
    Overlay
        Raw values in ``data``, float32 (rows, cols), where ``mask`` is true.

    Raises
    ------
    BundleError
        If the model was trained on another encoder's codes.
    InvalidParameterError
        If target, layer or method does not exist.
    StoreError
        If nothing of the slide is encoded.
    """
    bundle, store = _model(model), _encoded(compressed)
    bundle.check_store(store)
    options: dict[str, Any] = {"layer": layer, "method": method, "device": device, "token": cancel}
    found = grad_cam(
        bundle,
        store.read(token=cancel),
        store.encoded(),
        target=bundle.card.target_number(target),
        **options,
    )
    return saliency_overlay(found, store.grid.placement)


def _model(model: ModelBundle | str | Path) -> ModelBundle:
    return model if isinstance(model, ModelBundle) else load_model(model)


def _encoded(compressed: CompressedSlide | str | Path) -> CompressedSlide:
    """Return a store that holds codes."""
    store = compressed if isinstance(compressed, CompressedSlide) else open_compressed(compressed)
    if not store.encoded().any():
        raise StoreError("no cell of this slide is encoded yet", path=store.path, hint="compress it first")
    return store
