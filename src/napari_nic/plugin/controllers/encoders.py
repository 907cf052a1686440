"""Import of encoders: what can be imported, under which name, and who hears of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_nic.encoders import EncoderSpec, import_keras
from napari_nic.encoders.external import ARCHITECTURES
from napari_nic.encoders.store import (
    SPEC_FILE,
    TIMM_PREFIX,
    check_new_name,
    folder_name,
    user_encoders_folder,
)
from napari_nic.errors import ConsentError, InvalidParameterError
from napari_nic.jobs import CancellationToken
from napari_nic.names import KERAS_SUFFIXES
from napari_nic.plugin.controllers.consent import ask_trust
from napari_nic.plugin.controllers.session import Session
from napari_nic.plugin.legend import UM
from napari_nic.plugin.news import ENCODER_NEWS
from napari_nic.plugin.no_triton import keep_triton_out
from napari_nic.plugin.worker import Callbacks, Runner

if TYPE_CHECKING:
    from napari_nic.encoders.external import TimmWeights

_NOT_IN_NAMES = re.compile(r"[^\w.+-]+")
_DOT = "   "


MODEL_SUFFIXES = (".safetensors", *ARCHITECTURES)


@dataclass(frozen=True)
class ImportRequest:
    """What to import, and what to call it.

    Attributes
    ----------
    source : str
        Path of a file, or ``timm:`` and the name of a model.
    name : str
        Of the encoder from now on.
    weights : str
        Of a timm model: path of a file; empty to get them over the network, which is done only if `download`.
    download : bool
        Whether the network may be used.
    mpp : float or None
        um/px of the patches; None for what is stated beside the file, or timm's default.
    input_size : int or None
        Side of the network's input, px; likewise.
    """

    source: str
    name: str
    weights: str = ""
    download: bool = False
    mpp: float | None = None
    input_size: int | None = None

    @property
    def is_timm(self) -> bool:
        """Whether the source is the name of a timm model."""
        return self.source.startswith(TIMM_PREFIX)


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
        """Tell whose it is and on what terms, then import, list and choose an encoder.

        One of the user's of the same name is replaced if they agree.
        """
        if self.why_not() or not self._may_replace(request.name):
            return
        self._set_importing(request.name)
        self._start(request, _terms, lambda notice: self._on_terms(request, notice))

    def _start(
        self, request: ImportRequest, work: Callable[[ImportRequest], Any], returned: Callable[[Any], None]
    ) -> None:
        after: list[Any] = []
        refused: list[ConsentError] = []

        def failed(error: Exception) -> None:
            """Keep what is to be asked; tell the rest."""
            if isinstance(error, ConsentError):
                refused.append(error)
            else:
                self.session.asking.tell_error(error)

        def finish() -> None:
            """Let the next job begin, then ask what the result asks for."""
            # Only now has the job ended: asking in the middle of it would keep the next one waiting.
            self._set_importing("")
            if after:
                returned(after[0])
            elif refused and ask_trust(self.session.asking, refused[0]):
                self._set_importing(request.name)
                self._start(request, work, returned)

        self._runner.start(
            f"Importing encoder {request.name}",
            lambda token: _in_thread(work, request, token),
            Callbacks(returned=after.append, failed=failed, finished=finish),
        )

    def _on_terms(self, request: ImportRequest, notice: str) -> None:
        asked = "Import this encoder?", notice
        if notice and not self.session.asking.confirm(*asked, yes="Import it", no="Cancel"):
            return
        self._set_importing(request.name)
        self._start(request, _import, self._on_imported)

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

    def _on_imported(self, imported: tuple[EncoderSpec, str]) -> None:
        spec, terms = imported
        if terms:
            self.session.asking.tell(terms)
        ENCODER_NEWS.changed.emit(spec.name)
        self.session.select_encoder(spec.name)

    def _set_importing(self, name: str) -> None:
        self._importing = name
        self.changed.emit()


def has_own_encoder(name: str) -> bool:
    """Whether the user has an encoder of this name."""
    return bool(name) and (user_encoders_folder() / folder_name(name) / SPEC_FILE).is_file()


def name_for(source: str) -> str:
    """Suggest an encoder's name for a file or a timm model."""
    last = source.rpartition("/")[2] if source.startswith(TIMM_PREFIX) else Path(source).stem
    return _NOT_IN_NAMES.sub("-", last.removeprefix(TIMM_PREFIX)).strip("-.") if source else ""


def card_line(spec: EncoderSpec) -> str:
    """What matters of an encoder in one line: C, um/px, licence, and what it is."""
    patch = f"{spec.patch_size} px at {spec.mpp:g} {UM}/px"
    return _DOT.join((f"C = {spec.code_size}", patch, spec.licence or "licence not stated", spec.summary))


def _in_thread(
    work: Callable[[ImportRequest], Any], request: ImportRequest, token: CancellationToken
) -> Generator[None, None, Any]:
    """Run in the worker thread."""
    yield
    token.checkpoint()
    keep_triton_out()  # others' networks come with libraries that would import it
    return work(request)


def _terms(request: ImportRequest) -> str:
    """Return what must be said before anything of the source is fetched; empty for nothing."""
    check_new_name(request.name)
    if request.is_timm:
        from napari_nic.encoders.external.timm_models import announce

        return announce(request.source, _weights(request))
    suffix = Path(request.source).suffix.lower()
    if suffix not in (*KERAS_SUFFIXES, *MODEL_SUFFIXES):
        raise InvalidParameterError(
            "this is no encoder that can be imported",
            path=request.source,
            expected=f"a file that ends in {', '.join((*KERAS_SUFFIXES, *MODEL_SUFFIXES))}",
        )
    return ""


def _import(request: ImportRequest) -> tuple[EncoderSpec, str]:
    """Return the new encoder, and terms that were not told before it was imported."""
    from napari_nic.encoders.external.notices import terms_at_first_use

    spec = _import_source(request)
    told = terms_at_first_use(spec)
    return spec, "" if told is None or request.is_timm else told


def _import_source(request: ImportRequest) -> EncoderSpec:
    from napari_nic.encoders.external import Settings, import_encoder, import_model_file, import_timm

    settings = Settings(mpp=request.mpp, input_size=request.input_size)
    if request.is_timm:
        weights = _weights(request)
        return import_timm(request.source, weights=weights, name=request.name, settings=settings)
    suffix = Path(request.source).suffix.lower()
    if suffix in KERAS_SUFFIXES:
        return import_keras(request.source, name=request.name)
    if suffix == ".safetensors":
        return import_encoder(request.source, name=request.name)
    return import_model_file(request.source, name=request.name, settings=settings)


def _weights(request: ImportRequest) -> TimmWeights:
    from napari_nic.encoders.external import TimmWeights

    file = Path(request.weights) if request.weights else None
    if file is None and not request.download:
        raise InvalidParameterError(
            "where the weights come from is not said",
            expected="a file of weights, or leave to download them",
            hint="choose a file, or tick the download",
        )
    return TimmWeights(file=file, allow_download=file is None)
