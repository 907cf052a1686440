"""Import of encoders: what can be imported, under which name, and who hears of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

from psygnal import Signal

from napari_nic.encoders import EncoderSpec, import_keras
from napari_nic.encoders.store import SPEC_FILE, user_encoders_folder
from napari_nic.errors import InvalidParameterError
from napari_nic.jobs import CancellationToken
from napari_nic.plugin.controllers.session import Session
from napari_nic.plugin.encoder_news import ENCODER_NEWS
from napari_nic.plugin.legend import UM
from napari_nic.plugin.worker import Callbacks, Runner

_NOT_IN_NAMES = re.compile(r"[^\w.+-]+")
_DOT = "   "


@dataclass(frozen=True)
class ImportRequest:
    """What to import, and what to call it.

    Attributes
    ----------
    source : str
        Path of a file.
    name : str
        Of the encoder from now on.
    """

    source: str
    name: str


class EncoderController:
    """Imports encoders in the background; the session then works with the new one.

    Parameters
    ----------
    session : Session
    runner : Runner
    """

    changed = Signal()

    def __init__(self, session: Session, runner: Runner) -> None:
        self.session = session
        self._runner = runner
        self._importing = ""

    @property
    def importing(self) -> str:
        """Name of the encoder that is being imported; empty when none is."""
        return self._importing

    def why_not(self) -> str:
        """Why nothing can be imported just now; empty when it can."""
        return f"{self._importing} is being imported" if self._importing else ""

    def import_encoder(self, request: ImportRequest) -> None:
        """Import, list and choose an encoder; one of the same name is replaced if the user agrees."""
        if self.why_not() or not self._may_replace(request.name):
            return
        self._importing = request.name
        self.changed.emit()
        self._runner.start(
            f"Importing encoder {request.name}",
            lambda token: _import(request, token),
            Callbacks(
                returned=self._on_imported,
                failed=self.session.asking.tell_error,
                finished=self._on_finished,
            ),
        )

    def _may_replace(self, name: str) -> bool:
        if not has_own_encoder(name):
            return True
        return self.session.asking.confirm(
            "Encoder exists",
            f"You have an encoder {name!r} already. Slides compressed with it keep their codes, but "
            "cannot be gone on with once it is replaced.",
            yes="Replace it",
            no="Keep it",
        )

    def _on_imported(self, spec: EncoderSpec) -> None:
        ENCODER_NEWS.changed.emit(spec.name)
        self.session.select_encoder(spec.name)

    def _on_finished(self) -> None:
        self._importing = ""
        self.changed.emit()


def has_own_encoder(name: str) -> bool:
    """Whether the user has an encoder of this name."""
    return bool(name) and (user_encoders_folder() / name / SPEC_FILE).is_file()


def name_for(source: str) -> str:
    """Suggest an encoder's name for a file."""
    return _NOT_IN_NAMES.sub("-", Path(source).stem).strip("-.") if source else ""


def card_line(spec: EncoderSpec) -> str:
    """What matters of an encoder in one line: C, um/px, licence, and what it is."""
    patch = f"{spec.patch_size} px at {spec.mpp:g} {UM}/px"
    return _DOT.join((f"C = {spec.code_size}", patch, spec.licence or "licence not stated", spec.summary))


def _import(request: ImportRequest, token: CancellationToken) -> Generator[None, None, EncoderSpec]:
    """Run in the worker thread."""
    yield
    token.checkpoint()
    suffix = Path(request.source).suffix.lower()
    if suffix not in IMPORTERS:
        raise InvalidParameterError(
            "this is no encoder that can be imported",
            path=request.source,
            expected=f"a file that ends in {', '.join(IMPORTERS)}",
        )
    return IMPORTERS[suffix](request)


def _import_keras(request: ImportRequest) -> EncoderSpec:
    return import_keras(request.source, name=request.name)


IMPORTERS: dict[str, Callable[[ImportRequest], EncoderSpec]] = {
    ".h5": _import_keras,
    ".hdf5": _import_keras,
}
"""How a file is imported, by its suffix."""
