"""Predicting a slide that is not compressed: it is compressed first, with the encoder of the model."""

from __future__ import annotations

from napari_nic.plugin.controllers.compressing import CompressController
from napari_nic.plugin.controllers.models import ModelController
from napari_nic.plugin.controllers.session import Session


class CompressFirst:
    """Starts the run that a model needs; what is to be shown after it, the states of the overlays know.

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

    def why_not(self) -> str:
        """Why the slide cannot be compressed for the model; empty when it can."""
        models, session = self._models, self._session
        spec = models.needed_spec()
        if models.bundle is None:
            return models.why_not()
        if spec is None:
            name = str(models.bundle.card.patch_encoder.get("name"))
            return f"{models.bundle.name} reads codes of encoder {name!r}, which is not here: import it above"
        busy = self._compressing.state.busy
        if busy and spec.name == session.spec.name:
            return ""
        return self._compressing.blocked()

    def announce(self, *, waits: bool) -> str:
        """What is done first, or would be by a click; empty where nothing has to be done first."""
        if waits:
            return "The slide is compressed first, then scored"
        spec = self._models.needed_spec()
        if not self._lacks_codes() or self.why_not() or spec is None:
            return ""
        return f"Compresses the slide first, with {spec.name}"

    def is_needed(self) -> bool:
        """Choose the encoder of the model; False if the slide is compressed with it already."""
        spec = self._models.needed_spec()
        if spec is None:
            return False
        if spec.name != self._session.spec.name:
            self._session.select_encoder(spec.name)
        return self._lacks_codes()

    def start(self) -> None:
        """Compress the whole slide for the model, unless that is going on."""
        if not self._compressing.state.busy:
            self._compressing.start(whole=True)

    def _lacks_codes(self) -> bool:
        store = self._session.store
        return bool(self._models.why_not()) or store is None or not store.encoded().any()
