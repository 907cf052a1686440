"""The annotation doctor at the open slide: objects to look at again, and what is done about each."""

from __future__ import annotations

from functools import partial

from psygnal import Signal

from napari_nic.annotations import AnnotationSet
from napari_nic.errors import NicError
from napari_nic.plugin.comparison_jobs import examine_job
from napari_nic.plugin.controllers.reader_comparing import ReadingDesk
from napari_nic.plugin.worker import Callbacks, Job, Runner
from napari_nic.reader_study.doctor import Diagnosis, Suspect
from napari_nic.wording import counted


class DoctorController:
    """Holds the list and where the user is in it.

    Parameters
    ----------
    desk : ReadingDesk
    runner : Runner

    Attributes
    ----------
    diagnosis : Diagnosis or None
        Of the objects as they were when they were examined.
    current : int
        Place in :attr:`suspects`; -1 before the first one.
    """

    changed = Signal()

    def __init__(self, desk: ReadingDesk, runner: Runner) -> None:
        self._desk, self._runner = desk, runner
        self.diagnosis: Diagnosis | None = None
        self.current = -1
        self._decided: dict[str, str] = {}
        self._kept: set[tuple[str, str]] = set()
        self._job: Job | None = None
        desk.session.slide_changed.connect(self._on_slide)
        desk.session.store_changed.connect(self.changed.emit)
        desk.documents.edited.connect(self._on_edited)

    def close(self) -> None:
        """Stop following the window; what runs is cancelled."""
        self.cancel()
        self._desk.session.slide_changed.disconnect(self._on_slide)
        self._desk.session.store_changed.disconnect(self.changed.emit)
        self._desk.documents.edited.disconnect(self._on_edited)

    # -- examining ---------------------------------------------------------------------------------------

    def why_not(self) -> str:
        """Say why nothing can be examined now; empty if it can."""
        if self._desk.session.slide is None:
            return "Open a slide first"
        document = self._desk.documents.document
        if document is None or len(document) == 0:
            return "There are no annotations to examine"
        if self._desk.session.store is None:
            return "Compress the slide first: objects are scored by its codes"
        return ""

    @property
    def is_running(self) -> bool:
        """Whether objects are being examined."""
        return self._job is not None and self._job.running

    def start(self) -> None:
        """Examine all objects of the slide, in the background."""
        session, document = self._desk.session, self._desk.documents.document
        if self.why_not() or session.slide is None or session.store is None or document is None:
            return
        self._desk.documents.views.sync_all()
        annotations: AnnotationSet = document.as_set(session.slide.name, with_ids=True)
        self._job = self._runner.start(
            "Examining annotations",
            partial(examine_job, session.slide.name, annotations, session.store),
            Callbacks(
                returned=self._on_examined,
                failed=session.asking.tell_error,
                finished=self.changed.emit,
            ),
        )
        self.changed.emit()

    def cancel(self) -> None:
        """Stop examining."""
        if self._job is not None:
            self._job.cancel()

    # -- the list ----------------------------------------------------------------------------------------

    @property
    def suspects(self) -> tuple[Suspect, ...]:
        """Objects that look like another class and that were not kept, the most suspicious first."""
        if self.diagnosis is None:
            return ()
        return tuple(
            one
            for one in self.diagnosis.suspects
            if one.looks_like != one.label and (one.id, one.label) not in self._kept
        )

    def decision(self, suspect: Suspect) -> str:
        """What was decided of an object: "changed to ...", or nothing yet."""
        return self._decided.get(suspect.id, "")

    def summary(self) -> str:
        """How much the list is worth, and how long it is."""
        found = self.diagnosis
        if found is None:
            return ""
        text = (
            f"{len(self.suspects):,} of {counted(len(found.suspects), 'object')} look like another class. "
            f"Balanced accuracy {found.balanced_accuracy:.2f} (chance {1 / len(found.classes):.2f}), with "
            f"{found.held_out} held out."
        )
        if found.left_out:
            text += f" {len(found.left_out):,} could not be scored."
        return text

    def classes(self) -> tuple[str, ...]:
        """Classes that an object can be given."""
        document = self._desk.documents.document
        return () if document is None else tuple(entry.name for entry in document.classes)

    @property
    def suspect(self) -> Suspect | None:
        """The object that is looked at."""
        suspects = self.suspects
        return suspects[self.current] if 0 <= self.current < len(suspects) else None

    def look_at(self, number: int) -> None:
        """Go to an object of the list: it is selected, and the camera moved there."""
        suspects = self.suspects
        if not suspects:
            self.current = -1
            self.changed.emit()
            return
        self.current = number % len(suspects)
        document = self._desk.documents.document
        if document is not None and suspects[self.current].id in document:
            self._desk.documents.select([suspects[self.current].id], reveal=True)
        self.changed.emit()

    def look_at_next(self) -> None:
        """Go to the next object that nothing was decided of; from the last one to the first."""
        suspects = self.suspects
        order = [*range(self.current + 1, len(suspects)), *range(self.current + 1)]
        open_ones = [number for number in order if number >= 0 and not self.decision(suspects[number])]
        self.look_at(open_ones[0] if open_ones else self.current + 1)

    def keep(self) -> None:
        """Leave the object as it is; it goes from the list, and stays away while its class is this one."""
        suspect = self.suspect
        if suspect is not None:
            self._kept.add((suspect.id, suspect.label))
            self.current -= 1
            self.look_at_next()

    def change(self, label: str) -> None:
        """Give the object another class, as one step that can be undone; a locked one is told."""
        suspect, document = self.suspect, self._desk.documents.document
        item = None if suspect is None or document is None else document.get(suspect.id)
        if suspect is None or document is None or not label:
            return
        if item is None:
            self._desk.session.asking.tell("This object is gone: examine again")
            return
        try:
            document.put(f"change class to {label}", item.with_label(label))
        except NicError as error:
            self._desk.session.asking.tell_error(error)
            return
        self._refresh_decisions()
        self.look_at_next()

    # -- what happens ------------------------------------------------------------------------------------

    def _on_examined(self, diagnosis: Diagnosis) -> None:
        self.diagnosis, self.current = diagnosis, -1
        self._refresh_decisions()

    def _on_edited(self, edit: object = None) -> None:  # noqa: ARG002 -- an undo counts as any other
        if self.diagnosis is not None:
            self._refresh_decisions()
            self.changed.emit()

    def _refresh_decisions(self) -> None:
        """Tell from the document what became of each object: so an undo takes a decision back too."""
        document = self._desk.documents.document
        self._decided = {}
        for suspect in () if document is None or self.diagnosis is None else self.diagnosis.suspects:
            item = document.get(suspect.id) if document is not None else None
            if item is None:
                self._decided[suspect.id] = "deleted"
            elif item.label != suspect.label:
                self._decided[suspect.id] = f"changed to {item.label}"

    def _on_slide(self) -> None:
        self.cancel()
        self.diagnosis, self.current = None, -1
        self._decided.clear()
        self.changed.emit()
