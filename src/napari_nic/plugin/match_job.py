"""The slide of a match of *Find similar*, looked for and opened in a worker thread."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_nic.embeddings import CompressedSlide
from napari_nic.errors import NicError
from napari_nic.jobs import CancellationToken
from napari_nic.plugin.layers import LayerData
from napari_nic.plugin.opening import open_remembered, read_store, slide_beside
from napari_nic.plugin.settings import Settings
from napari_nic.similarity import Match, slide_of
from napari_nic.slides import Slide, SlideFolder


@dataclass(frozen=True, eq=False)
class OpenedMatch:
    """What there is to show of a match.

    Attributes
    ----------
    match : Match
    store : CompressedSlide
    shown : Slide or None
        Its slide, if the window shows it.
    slide : Slide or None
        Its slide, opened; None if the window shows it or it is not found.
    picture : layer data, optional
        The colours of its codes, where there is no slide.
    """

    match: Match
    store: CompressedSlide
    shown: Slide | None = None
    slide: Slide | None = None
    picture: LayerData | None = None


def match_job(
    match: Match,
    shown: Sequence[Slide],
    places: Sequence[Path],
    settings: Settings,
    token: CancellationToken,
) -> Generator[None, None, OpenedMatch]:
    """Open what a match lies on.

    Parameters
    ----------
    match : Match
    shown : sequence of Slide
        Of the window.
    places : sequence of Path
        Folders in which slides are looked for, before that of the store.
    settings : Settings
    token : CancellationToken

    Raises
    ------
    NicError
        If neither the slide nor its codes can be opened.
    """
    yield
    store = CompressedSlide.open(match.store)
    for slide in shown:
        if slide.fingerprint == store.header.slide_fingerprint:
            return OpenedMatch(match, store, shown=slide)
    picture = _picture_of(store, places, token)
    found = slide_beside(store) if picture is None else open_remembered(picture, settings)
    if found is None:
        return OpenedMatch(match, store, picture=read_store(store.path)[-1])
    if token.cancelled:
        found.close()
    token.checkpoint()
    return OpenedMatch(match, store, slide=found)


def _picture_of(store: CompressedSlide, places: Sequence[Path], token: CancellationToken) -> Path | None:
    """Find the slide of a store where slides are looked for; None leaves it to what lies beside."""
    for place in places:
        token.checkpoint()
        if not place.is_dir():
            continue
        try:
            with slide_of(store, SlideFolder.of(place)) as slide:
                return slide.path
        except NicError:
            continue  # it is not there
    return None
