"""Export of the embedding array in the formats of others."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path

from psygnal import Signal

from napari_nic.embeddings import EXPORTERS, CompressedSlide, export_files, export_store, named_header
from napari_nic.errors import NicError
from napari_nic.jobs import CancellationToken
from napari_nic.names import exists
from napari_nic.plugin.controllers.compressing import CompressController
from napari_nic.plugin.controllers.session import Session
from napari_nic.plugin.worker import Callbacks, Runner


class ExportController:
    """Writes the session's store in another format, in the background."""

    changed = Signal()

    def __init__(self, session: Session, compressing: CompressController, runner: Runner) -> None:
        self.session = session
        self.busy = False
        self._runner = runner
        session.store_changed.connect(self.changed.emit)
        compressing.ended.connect(self.changed.emit)
        compressing.painted.connect(self._on_painted)

    def why_not(self) -> str:
        """Why nothing can be exported; empty when it can."""
        if self.busy:
            return "An export is running"
        store = self.session.store
        if store is None or not store.encoded().any():
            return "Compress the slide first: there is no embedding array yet"
        return ""

    @staticmethod
    def formats() -> dict[str, str]:
        """Formats by name, with what menus call them."""
        return {name: EXPORTERS.get(name).label for name in EXPORTERS}

    def default_path(self, name: str) -> Path:
        """Path that the format's own tools would choose, beside the store; never the store itself."""
        store = self.session.store
        if store is None:
            return Path()
        target = store.path.parent / EXPORTERS.get(name).default_name(named_header(store))
        if target == store.path:
            return target.with_name(f"{store.slide_name}-copy{EXPORTERS.get(name).suffix}")
        return target

    def export(self, path: Path, name: str) -> None:
        """Write the array; asks before it replaces a file or leaves cells out, tells how it ended."""
        store = self.session.store
        if store is None or self.why_not():
            return
        try:
            files = export_files(store, path, name)
        except NicError as error:
            self.session.asking.tell_error(error)
            return
        target = files[0]
        if not self._may(store, files):
            return
        self.busy = True
        self.changed.emit()
        self._runner.start(
            f"Exporting {store.path.name}",
            lambda token: _export(store, target, name, token),
            Callbacks(
                returned=lambda written: self.session.asking.tell(_exported(written)),
                failed=self.session.asking.tell_error,
                finished=self._on_finished,
            ),
        )

    def _may(self, store: CompressedSlide, files: Sequence[Path]) -> bool:
        """Ask whether to leave missing cells out, and whether to replace a file."""
        confirm = self.session.asking.confirm
        done, total = int(store.encoded().sum()), int(store.coverage.sum())
        partial = f"{done:,} of {total:,} tissue cells are compressed."
        if done < total and not confirm(
            "Not complete", f"Only {partial} Export these?", yes="Export these", no="Cancel"
        ):
            return False
        existing = [file for file in files if exists(file)]
        return not existing or confirm(
            "File exists", f"{existing[0]} exists.", yes="Replace it", no="Keep it"
        )

    def _on_painted(self, pictures: object) -> None:  # noqa: ARG002 -- of the signal
        """The first cells of a run can be exported, while it is paused for instance."""
        self.changed.emit()

    def _on_finished(self) -> None:
        self.busy = False
        self.changed.emit()


def _export(
    store: CompressedSlide, target: Path, name: str, token: CancellationToken
) -> Generator[None, None, Sequence[Path]]:
    yield
    token.checkpoint()
    return export_store(store, target, name, allow_partial=True, overwrite=True, token=token)


def _exported(written: Sequence[Path]) -> str:
    """Say what was written, the name first: a notice shows a few words of a line."""
    first, *others = written
    beside = f", with {', '.join(other.name for other in others)}," if others else ""
    return f"Exported {first.name}{beside} to {first.parent}"
