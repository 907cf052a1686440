"""A slide of a cohort, with its codes and the model that did not learn from it, opened in a worker thread."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_nic.cohorts import ListedSlide
from napari_nic.embeddings import CompressedSlide
from napari_nic.errors import SlideNotFoundError
from napari_nic.jobs import CancellationToken
from napari_nic.plugin.layers import LayerData
from napari_nic.plugin.opening import open_remembered, read_store, slide_beside
from napari_nic.plugin.settings import Settings
from napari_nic.slide_models import ModelBundle

if TYPE_CHECKING:
    from napari_nic.slides import Slide


@dataclass(frozen=True, eq=False)
class OpenedListed:
    """What there is to show of a line of the list.

    Attributes
    ----------
    listed : ListedSlide
    store : CompressedSlide or None
        Its codes.
    shown : Slide or None
        The slide, if the window shows it.
    slide : Slide or None
        The slide, opened; None if the window shows it or it is not there.
    picture : layer data, optional
        The colours of its codes, where there is no slide.
    bundle : ModelBundle or None
        The model that did not learn from it.
    """

    listed: ListedSlide
    store: CompressedSlide | None
    shown: Slide | None = None
    slide: Slide | None = None
    picture: LayerData | None = None
    bundle: ModelBundle | None = None


def cohort_job(
    listed: ListedSlide,
    shown: Sequence[Slide],
    chosen: ModelBundle | None,
    settings: Settings,
    token: CancellationToken,
) -> Generator[None, None, OpenedListed]:
    """Open what a line of the list stands for.

    Parameters
    ----------
    listed : ListedSlide
    shown : sequence of Slide
        Of the window: none of them is opened twice.
    chosen : ModelBundle or None
        The model there is, which is not loaded anew.
    settings : Settings
    token : CancellationToken

    Raises
    ------
    SlideNotFoundError
        If neither the slide nor its codes are there.
    NicError
        If the slide, its codes or the model cannot be opened.
    """
    yield
    store = _store_of(listed)
    there = next((slide for slide in shown if _is_of(slide, listed, store)), None)
    slide = None if there is not None else _open(listed, store, settings)
    if there is None and slide is None:
        if store is None:
            raise SlideNotFoundError(
                f"the slide {listed.name!r} is not there",
                path=listed.picture or listed.store,
                expected="the slide named in the cohort, or its compressed form",
                hint="bring the file back, or open the cohort where its files are",
            )
        return OpenedListed(listed, store, picture=read_store(store.path)[-1])
    try:
        token.checkpoint()
        bundle = _bundle_of(listed, chosen)
        token.checkpoint()
    except BaseException:
        if slide is not None:
            slide.close()
        raise
    return OpenedListed(listed, store, there, slide, bundle=bundle)


def _store_of(listed: ListedSlide) -> CompressedSlide | None:
    """Open the compressed slide; None if there is none any more."""
    if listed.store is None or not listed.store.exists():
        return None
    return CompressedSlide.open(listed.store)


def _open(listed: ListedSlide, store: CompressedSlide | None, settings: Settings) -> Slide | None:
    if listed.picture is not None and listed.picture.exists():
        return open_remembered(listed.picture, settings)
    return None if store is None else slide_beside(store)


def _is_of(slide: Slide, listed: ListedSlide, store: CompressedSlide | None) -> bool:
    if listed.picture is not None and slide.path.resolve() == listed.picture.resolve():
        return True
    return store is not None and store.header.slide_fingerprint == slide.fingerprint


def _bundle_of(listed: ListedSlide, chosen: ModelBundle | None) -> ModelBundle | None:
    """Load the model that did not learn from a slide, unless it is the chosen one."""
    if listed.bundle is None:
        return None
    if chosen is not None and chosen.folder == listed.bundle:
        return chosen
    return ModelBundle.load(listed.bundle)
