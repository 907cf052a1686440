"""Groups of like cells of the session's slide, their names and colours."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from psygnal import Signal

from napari_nic.annotations import AnnotationSet
from napari_nic.colors import RGB
from napari_nic.disk import write_text
from napari_nic.embeddings import CompressedSlide
from napari_nic.errors import InvalidParameterError, NicError, StoreError, StoreMismatchError
from napari_nic.jobs import CancellationToken, Progress
from napari_nic.names import STORE_SUFFIX, without_suffix
from napari_nic.plugin.controllers.code_maps import CodeMaps, MapKind
from napari_nic.plugin.controllers.desk_link import DeskLink
from napari_nic.plugin.overlay_jobs import job
from napari_nic.plugin.settings import settings_file
from napari_nic.plugin.similar_jobs import Grouped, group_job
from napari_nic.plugin.worker import Callbacks, Job, Runner
from napari_nic.similarity import (
    CLUSTERS_SUFFIX,
    Clusters,
    areas_csv,
    cluster_annotations,
    cluster_areas,
    cluster_overlay,
    load_clusters,
    save_clusters,
)
from napari_nic.wording import counted

DEFAULT_COUNT = 8
CLUSTERS: MapKind = "clusters"


class GroupController:
    """Finds groups, keeps their names, shows them.

    Names and colours are kept beside the store, or in the user's folder where that may not be written.

    Parameters
    ----------
    link : DeskLink
    maps : CodeMaps
    runner : Runner
    """

    changed = Signal()
    progressed = Signal(Progress)

    def __init__(self, link: DeskLink, maps: CodeMaps, runner: Runner) -> None:
        self._link, self._maps, self._runner = link, maps, runner
        self.count = DEFAULT_COUNT
        self.grouped: Grouped | None = None
        self._job: Job | None = None
        self._last: tuple[Clusters, str] | None = None
        maps.forgotten.connect(self._on_forgotten)
        maps.changed.connect(self.changed.emit)

    def why_not(self) -> str:
        """Why no groups can be found; empty when they can."""
        return self._link.why_not()

    @property
    def busy(self) -> bool:
        """Whether groups are being found."""
        return self._job is not None and self._job.running

    @property
    def clusters(self) -> Clusters | None:
        """The groups that were found, or read."""
        return None if self.grouped is None else self.grouped.clusters

    @property
    def shown(self) -> bool:
        """Whether they are on the screen."""
        return self._maps.shown(CLUSTERS)

    def show(self, *, on: bool) -> None:
        """Show or hide the groups; those of an earlier day are read, else new ones are found."""
        if self.grouped is not None or not on:
            self._maps.show(CLUSTERS, on=on)
            return
        store = self._link.open().session.store
        if store is None or self.why_not():
            self._link.tell(self.why_not())
            return
        self._start(store, self._kept(store) or self._carried(store) or self.count)

    def _carried(self, store: CompressedSlide) -> Clusters | None:
        """Offer the clusters of the slide before, so that a name means the same on both."""
        if self._last is None:
            return None
        clusters, name = self._last
        try:
            clusters.check_encoder(store)
        except StoreMismatchError:
            return None
        text = f"Sort the cells of {store.slide_name} into the {counted(len(clusters), 'cluster')} of {name}?"
        asking = self._link.open().session.asking
        if asking.confirm("Clusters of another slide", text, yes="The same clusters", no="Find new ones"):
            return clusters
        return None

    def find(self) -> None:
        """Find groups anew; names that were given are lost if the user agrees."""
        session = self._link.open().session
        store = session.store
        if store is None or self.why_not():
            self._link.tell(self.why_not())
            return
        named = self.clusters or self._kept(store)
        if named is not None and _has_names(named):
            question = "The names and colours of these clusters are lost."
            if not session.asking.confirm("Find other clusters", question, yes="Find", no="Cancel"):
                return
        self._start(store, self.count)

    def cancel(self) -> None:
        """Stop looking for groups."""
        if self._job is not None:
            self._job.cancel()

    def _start(self, store: CompressedSlide, what: int | Clusters) -> None:
        if self.busy:
            return
        self._job = self._runner.start(
            "Finding clusters",
            partial(group_job, store, what),
            Callbacks(
                yielded=self.progressed.emit,
                returned=partial(self._on_grouped, store, isinstance(what, int)),
                failed=self._link.tell_error,
                finished=self.changed.emit,
            ),
        )
        self.changed.emit()

    def _on_grouped(self, store: CompressedSlide, is_new: bool, grouped: Grouped) -> None:
        if store is not self._link.store:
            return
        self.grouped = grouped
        if is_new or not _places(store)[0].exists():
            self._keep()
        self._put()

    def _put(self) -> None:
        store, grouped = self._link.store, self.grouped
        if store is not None and grouped is not None:
            self._last = grouped.clusters, store.slide_name
            overlay = cluster_overlay(
                grouped.clusters, grouped.numbers, store.encoded(), store.grid.placement
            )
            self._maps.put(overlay, CLUSTERS)

    # -- names -------------------------------------------------------------------------------------------

    def rename(self, index: int, name: str) -> None:
        """Call a group otherwise; what is no name is told, and the old one stays."""
        if self.clusters is None or name.strip() == self.clusters.names[index]:
            return
        try:
            self._change(self.clusters.renamed(index, name))
        except InvalidParameterError as error:
            self._link.tell_error(error)
            self.changed.emit()

    def recolor(self, index: int, color: RGB) -> None:
        """Paint a group otherwise."""
        if self.clusters is not None:
            self._change(self.clusters.recolored(index, color))

    def _change(self, clusters: Clusters) -> None:
        if self.grouped is not None:
            self.grouped = replace(self.grouped, clusters=clusters)
            self._keep()
            self._put()

    def place(self) -> Path | None:
        """File that names and colours are kept in, beside the store."""
        store = self._link.store
        return None if store is None else _places(store)[0]

    def _keep(self) -> None:
        store, clusters = self._link.store, self.clusters
        if store is None or clusters is None:
            return
        beside, own = _places(store)
        try:
            save_clusters(clusters, beside)
        except StoreError:  # a folder that may only be read
            try:
                own.parent.mkdir(parents=True, exist_ok=True)
                save_clusters(clusters, own)
            except (StoreError, OSError) as error:
                self._link.tell_error(error)

    def _kept(self, store: CompressedSlide) -> Clusters | None:
        """Read the groups of an earlier day; None if there are none of this encoder."""
        for path in _places(store):
            if not path.exists():
                continue
            try:
                clusters = load_clusters(path)
                clusters.check_encoder(store)
            except StoreMismatchError:
                continue  # of an earlier store of this name
            except NicError as error:
                self._link.tell_error(error)
                continue
            return clusters
        return None

    # -- results -----------------------------------------------------------------------------------------

    def save_table(self, path: Path) -> None:
        """Write the areas of the groups as CSV."""
        store, grouped = self._link.store, self.grouped
        if store is None or grouped is None:
            return
        areas = cluster_areas(
            grouped.clusters, grouped.numbers, store.encoded(), store.grid, store.slide_name
        )
        try:
            write_text(path, areas_csv(areas))
        except NicError as error:
            self._link.tell_error(error)
            return
        self._link.tell(f"Saved {path.name}")

    def areas(self) -> tuple[float, ...]:
        """Area of each group in mm2."""
        store, grouped = self._link.store, self.grouped
        if store is None or grouped is None:
            return ()
        name = store.slide_name
        found = cluster_areas(grouped.clusters, grouped.numbers, store.encoded(), store.grid, name)
        return tuple(float(area["area_mm2"]) for area in found)

    def make_annotations(self) -> None:
        """Outline the groups as annotations of the slide, which the NIC dock saves."""
        store, grouped = self._link.store, self.grouped
        if store is None or grouped is None:
            return

        def outline(token: CancellationToken) -> AnnotationSet:
            return cluster_annotations(grouped.clusters, grouped.numbers, store, token=token)

        self._runner.start(
            "Outlining clusters",
            job(outline),
            Callbacks(
                returned=lambda areas: self._link.annotate(areas, store, "outline clusters"),
                failed=self._link.tell_error,
            ),
        )

    def _on_forgotten(self) -> None:
        self.cancel()
        self.grouped = None
        self.changed.emit()


def _has_names(clusters: Clusters) -> bool:
    return clusters.names != tuple(f"Cluster {number}" for number in range(1, len(clusters) + 1))


def _places(store: CompressedSlide) -> tuple[Path, Path]:
    """Where the groups of a store are kept: beside it, or in the user's folder."""
    name = f"{without_suffix(store.path.name, (STORE_SUFFIX,))}{CLUSTERS_SUFFIX}"
    fingerprint = store.header.slide_key.rpartition(":")[2][:32]
    own = settings_file().parent / "clusters" / f"{fingerprint}{CLUSTERS_SUFFIX}"
    return store.path.with_name(name), own
