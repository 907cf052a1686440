"""Predicting a slide that is not compressed: it is compressed first, with the encoder of the model."""

from __future__ import annotations

from napari_nic.plugin.controllers.compressing import CompressController
from napari_nic.plugin.controllers.models import ModelController
from napari_nic.plugin.controllers.session import Session
from napari_nic.slides import Slide


class CompressFirst:
    """Starts the run that a model needs, and remembers what is to be shown after it.

    Parameters
    ----------
    session : Session
    compressing : CompressController
        Shows the progress; there the run can be paused and cancelled.
    models : ModelController
    """

    def __init__(self, session: Session, compressing: CompressController, models: ModelController) -> None:
        self._session = session
        self._compressing = compressing
        self._models = models
        self._waiting: tuple[str, ...] = ()
        self._slide: Slide | None = None

    @property
    def waiting(self) -> tuple[str, ...]:
        """Kinds of overlays of the session's slide that wait for the end of its run."""
        return self._waiting if self._slide is self._session.slide else ()

    def why_not(self) -> str:
        """Why the slide cannot be compressed for the model; empty when it can."""
        models, session = self._models, self._session
        spec = models.needed_spec()
        if models.bundle is None:
            return models.why_not()
        if spec is None:
            name = models.bundle.card.encoder_name
            return f"{models.bundle.name} reads codes of encoder {name!r}, which is not here: import it above"
        busy = self._compressing.state.busy
        if busy and spec.name == session.spec.name:
            return ""
        return self._compressing.blocked()

    def announce(self, kind: str) -> str:
        """What is done first, or would be by a click; empty where nothing has to be done first."""
        if kind in self.waiting:
            return "The slide is compressed first, then scored"
        spec = self._models.needed_spec()
        if not self._models.why_not() or self.why_not() or spec is None:
            return ""
        return f"Compresses the slide first, with {spec.name}"

    def start(self, kind: str) -> bool:
        """Compress the whole slide for the model, then `kind` is to be shown.

        Returns
        -------
        bool
            False if nothing has to be compressed: the slide has a store of the model's encoder.
        """
        spec = self._models.needed_spec()
        if spec is None:
            return False
        if spec.name != self._session.spec.name:
            self._session.select_encoder(spec.name)
        if not self._models.why_not():
            return False
        self._waiting = tuple(dict.fromkeys((*self.waiting, kind)))
        self._slide = self._session.slide
        if not self._compressing.state.busy:
            self._compressing.start(whole=True)
        return True

    def drop(self, kind: str) -> None:
        """Nobody wants this overlay any more; the run goes on."""
        self._waiting = tuple(other for other in self._waiting if other != kind)

    def take(self) -> tuple[str, ...]:
        """Return what was waiting for the run that has ended, and forget it."""
        waiting, self._waiting, self._slide = self.waiting, (), None
        return waiting
