"""A cohort's slides, ready to learn from: imported where needed, checked, in memory or on disk."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_nic.cohorts.cohort import Cohort, CohortSlide
from napari_nic.embeddings import UNKNOWN_SLIDE, CompressedSlide, StoreHeader, open_slide_of
from napari_nic.embeddings.dihedral import N_DIHEDRAL, open_transformed
from napari_nic.embeddings.interchange import (
    ImportHints,
    import_store,
    is_import_of,
    left_to_choose,
    origin_of,
)
from napari_nic.errors import InvalidParameterError, NicError, StoreError, StoreMismatchError
from napari_nic.geometry import GIVEN, PixelSize
from napari_nic.identity import described, differing
from napari_nic.jobs import CancellationToken, Progress
from napari_nic.names import STORE_SUFFIX, check_apart, safe_name
from napari_nic.slide_models import (
    LabelledSlide,
    ModelBundle,
    Prediction,
    StoredSlide,
    TrainingSlide,
    predict,
)
from napari_nic.slide_vectors import holds_vector
from napari_nic.slides import open_slide
from napari_nic.telling import Notices, tell
from napari_nic.wording import counted

IMPORTS = "stores"
"""Folder below the output that holds imported stores."""

_CODE_BYTES = 2
_SHOWN = 5


@dataclass(frozen=True)
class Imported(Progress):
    """The last report of :func:`import_foreign`.

    Attributes
    ----------
    cohort : Cohort or None
        With stores and files of slide vectors only.
    """

    cohort: Cohort | None = None


def import_foreign(
    cohort: Cohort,
    out: Path,
    *,
    mpp: float | None = None,
    features: str | None = None,
    token: CancellationToken | None = None,
) -> Iterator[Progress]:
    """Make stores of other programs' files; those made before of the same bytes are taken.

    Files that hold one vector of the slide stay what they are. Slides without a patch are left out of the
    cohort, and told.

    Parameters
    ----------
    cohort : Cohort
    out : Path
        Folder below which they are kept.
    mpp : float, optional
        Micrometres per pixel of level 0, for files that do not say, of slides of which the table does not
        say it either.
    features : str, optional
        Which are taken of files that hold those of several encoders.
    token : CancellationToken, optional

    Yields
    ------
    Progress
        The last one is an :class:`Imported`.

    Raises
    ------
    StoreError
        If a file cannot be read as codes on a grid.
    InvalidParameterError
        If no slide is left.
    CancelledError
    """
    token = token or CancellationToken()
    foreign = [
        slide
        for slide in cohort.slides
        if not slide.store.name.endswith(STORE_SUFFIX) and not holds_vector(slide.store)
    ]
    made = {
        slide.name: (out / IMPORTS / f"{safe_name(slide.name)}{STORE_SUFFIX}").resolve() for slide in foreign
    }
    check_apart(made)
    empty: set[str] = set()
    for index, slide in enumerate(foreign):
        token.checkpoint()
        yield Progress(index, len(foreign), "importing", "slides")
        hints = _hints_of(slide, mpp, features)
        _check_imported(made[slide.name])
        if not _is_import_of(made[slide.name], slide.store, hints, token):
            import_store(slide.store, made[slide.name], hints=hints, overwrite=True, token=token).close()
        with CompressedSlide.open(made[slide.name]) as store:
            if not store.coverage.any():
                empty.add(slide.name)
    whole = _without(cohort.with_stores(made), empty)
    yield Imported(len(foreign), len(foreign), "importing", "slides", cohort=whole)


def _hints_of(slide: CohortSlide, mpp: float | None, features: str | None) -> ImportHints:
    """Say what is known of a slide: by the slide itself, where it is at hand and opens."""
    stated = slide.mpp or mpp
    pixel = None if stated is None else PixelSize(stated, stated, GIVEN)
    hints = ImportHints(
        slide_name=slide.name, pixel_size=pixel, features=left_to_choose(slide.store, features)
    )
    if slide.picture is None:
        return hints
    try:
        with open_slide(slide.picture, mpp=stated) as opened:
            return replace(hints.with_slide(opened), slide_name=slide.name)
    except NicError as error:
        # Features may say all themselves; what they lack is asked for then.
        tell(Notices(slide.picture.name, (f"the features are placed without the slide: {error.problem}",)))
        return hints


def _without(cohort: Cohort, empty: set[str]) -> Cohort:
    """Leave out slides on which the other program found nothing."""
    if not empty:
        return cohort
    left = tuple(slide for slide in cohort.slides if slide.name not in empty)
    shown = ", ".join(sorted(empty)[:_SHOWN]) + (", ..." if len(empty) > _SHOWN else "")
    if not left:
        raise InvalidParameterError("no slide of the cohort has a patch", found=shown)
    tell(Notices("cohort", (f"left out: {counted(len(empty), 'slide')} without a patch: {shown}",)))
    return replace(cohort, slides=left)


@dataclass(frozen=True, eq=False)
class OpenCohort:
    """The opened stores of a cohort, all of the same encoder.

    Attributes
    ----------
    stores : mapping of str to CompressedSlide
        By the slides' names.
    header : StoreHeader
        Of the first one: its encoder is everyone's.
    transformed : mapping of str to tuple of CompressedSlide
        Stores of transformed patches; empty unless every slide has them, since slides with more augmentation
        than others would differ by more than their labels.
    """

    stores: Mapping[str, CompressedSlide]
    header: StoreHeader
    transformed: Mapping[str, tuple[CompressedSlide, ...]]

    @property
    def encoder(self) -> Mapping[str, Any]:
        """Description of the encoder that all slides share."""
        return self.header.encoder

    @property
    def code_size(self) -> int:
        """Channels C of the codes."""
        return self.header.code_size

    @property
    def transforms_patches(self) -> bool:
        """Whether patches were transformed and encoded anew."""
        return bool(self.transformed)

    @property
    def longest_side(self) -> int:
        """Most rows or columns of a slide."""
        return max(side for store in self.stores.values() for side in store.grid.shape)

    @property
    def checksums(self) -> dict[str, str]:
        """Slide -> checksum of what determines its codes: slide, grid, encoder, cells, file imported."""
        return {name: _checksum(store, self.transformed.get(name, ())) for name, store in self.stores.items()}

    @property
    def bytes(self) -> int:
        """What all codes need in memory."""
        copies = N_DIHEDRAL if self.transformed else 1
        return copies * sum(math.prod(store.shape) * _CODE_BYTES for store in self.stores.values())

    def slides(
        self, cohort: Cohort, *, memory_bytes: int, token: CancellationToken | None = None
    ) -> list[TrainingSlide]:
        """Give the cohort's slides with their labels: in memory if all fit, else read as needed."""
        kind = LabelledSlide if self.bytes <= memory_bytes else StoredSlide
        return [self._labelled(slide, kind, token) for slide in cohort.slides]

    def predict(
        self,
        bundle: ModelBundle,
        name: str,
        *,
        device: str = "auto",
        token: CancellationToken | None = None,
    ) -> Prediction:
        """Predict a slide by its codes."""
        transformed = self.transformed.get(name, ())
        return predict(bundle, self.stores[name], transformed=transformed, device=device, token=token)

    def _labelled(
        self,
        slide: CohortSlide,
        kind: type[LabelledSlide] | type[StoredSlide],
        token: CancellationToken | None,
    ) -> TrainingSlide:
        transformed = self.transformed.get(slide.name, ())
        labelled = kind.from_store(
            self.stores[slide.name], slide.label, event=slide.event, transformed=transformed, token=token
        )
        return replace(labelled, name=slide.name)


def open_cohort(cohort: Cohort, *, allow_partial: bool = False) -> OpenCohort:
    """Open all stores.

    Parameters
    ----------
    cohort : Cohort
    allow_partial : bool
        Take slides that are not compressed completely; what they lack counts as background.

    Raises
    ------
    StoreError
        If one is damaged.
    StoreMismatchError
        If one comes from another encoder than the first, holds no codes, or not all of them.
    """
    stores: dict[str, CompressedSlide] = {}
    for slide in cohort.slides:
        store = stores[slide.name] = CompressedSlide.open(slide.store)
        first = stores[cohort.slides[0].name]
        _check_encoder(store, first)
        _check_codes(store, allow_partial)
        _check_picture(slide, store)
    tell_of_twins(cohort, {name: _known_by(store.header) for name, store in stores.items()})
    _tell_of_folders(stores)
    transformed = {name: open_transformed(store) for name, store in stores.items()}
    return OpenCohort(
        stores, stores[cohort.slides[0].name].header, transformed if all(transformed.values()) else {}
    )


def tell_of_twins(cohort: Cohort, known: Mapping[str, Sequence[str]]) -> None:
    """Tell of one slide, or one file of codes, in two cases: it may be learned from and evaluated.

    Parameters
    ----------
    cohort : Cohort
    known : mapping of str to sequence of str
        Slide -> what says which slide it is.
    """
    first: dict[str, CohortSlide] = {}
    twins = []
    for slide in cohort.slides:
        others = [first.setdefault(which, slide) for which in known[slide.name]]
        twins += [f"{other.name} and {slide.name}" for other in others if other.case != slide.case]
    if twins:
        found = list(dict.fromkeys(twins))
        shown = ", ".join(found[:_SHOWN]) + (", ..." if len(found) > _SHOWN else "")
        tell(
            Notices("cohort", (f"one slide under two names, in two cases: {shown}; results may be too good",))
        )


def _known_by(header: StoreHeader) -> list[str]:
    """Return what says which slide it is, and of which file its codes were imported, as far as is known."""
    fingerprint, files = header.slide_fingerprint, sorted(_sums(header))
    known = [] if fingerprint == UNKNOWN_SLIDE else [fingerprint]
    # Of a slide without patches the files may say nothing but that.
    return [*known, json.dumps(files)] if files else known


def _tell_of_folders(stores: Mapping[str, CompressedSlide]) -> None:
    """Tell that features may be of several encoders where they do not say of which they are."""
    unnamed = [store.header for store in stores.values() if not store.header.is_encoder_named]
    folders = sorted({str(header.origin["folder"]) for header in unnamed if "folder" in header.origin})
    if 1 < len(folders) < len(unnamed):  # else each slide has a folder of its own
        shown = ", ".join(folders[:_SHOWN]) + (", ..." if len(folders) > _SHOWN else "")
        text = (
            f"the features do not say which encoder made them, and come from several folders: {shown}; make "
            "sure that one encoder made them all"
        )
        tell(Notices("cohort", (text,)))


def _sums(header: StoreHeader) -> list[str]:
    return [str(digest) for digest in header.origin.get("files", {}).values()]


def _checksum(store: CompressedSlide, transformed: Sequence[CompressedSlide]) -> str:
    digest = hashlib.sha256()
    for one in (store, *transformed):
        digest.update(json.dumps([one.header.identity(), one.header.origin], sort_keys=True).encode())
        digest.update(np.packbits(one.encoded()).tobytes())
    return digest.hexdigest()


def _check_picture(slide: CohortSlide, store: CompressedSlide) -> None:
    """Make sure that the codes are of the slide that the table names, where it is at hand."""
    if slide.picture is None or store.header.slide_fingerprint == UNKNOWN_SLIDE:
        return
    try:
        opened = open_slide_of(store.header, slide.picture)
    except NicError:
        return  # learning needs codes alone; who looks at the slide is told
    with opened:
        store.check_slide(opened)


def _check_codes(store: CompressedSlide, allow_partial: bool) -> None:
    encoded, wanted = int(store.encoded().sum()), int(store.coverage.sum())
    if encoded == 0:
        raise StoreMismatchError(
            "the compressed slide holds no codes", path=store.path, hint="compress the slide first"
        )
    if encoded < wanted and not allow_partial:
        raise StoreMismatchError(
            "the slide is not compressed completely",
            path=store.path,
            expected=f"{wanted} cells",
            found=f"{encoded} encoded",
            hint="finish the compression, or take what is there (--allow-partial)",
        )


def _check_encoder(store: CompressedSlide, first: CompressedSlide) -> None:
    ours, theirs = first.header.encoder, store.header.encoder
    different = differing(ours, theirs)
    if different:
        raise StoreMismatchError(
            "the slides of the cohort were compressed by different encoders",
            path=store.path,
            expected=f"{described(ours, different)} as in {first.path.name}",
            found=described(theirs, different),
            hint="compress all slides with one encoder",
        )


def _check_imported(made: Path) -> None:
    """Refuse to replace a store that was not imported, but compressed from a slide."""
    try:
        imported = not made.exists() or _is_imported(CompressedSlide.open(made).header)
    except StoreError:
        return  # damaged; whether it is a store at all is checked where it is replaced
    if not imported:
        raise StoreError(
            "a compressed slide is where the codes of the table would be imported to",
            path=made,
            hint="it is not replaced; choose another folder (--out)",
        )


def _is_imported(header: StoreHeader) -> bool:
    return bool(header.origin) or header.slide_fingerprint == UNKNOWN_SLIDE


def _is_import_of(made: Path, source: Path, hints: ImportHints, token: CancellationToken) -> bool:
    """Whether a store is complete and was made of just this file, and said the same of it."""
    if not made.exists():
        return False
    try:
        store = CompressedSlide.open(made)
    except StoreError:
        return False  # damaged: it is made anew
    return store.is_complete and is_import_of(store.header, origin_of(source, hints, token=token))
