"""Which model predicts the slide, what it says, and for which class or target that is shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from psygnal import Signal

from napari_nic.embeddings import CompressedSlide
from napari_nic.encoders import EncoderSpec
from napari_nic.errors import BundleError, NicError
from napari_nic.explain import NO_PLACES, Overlay, SaliencyMap
from napari_nic.jobs import CancellationToken
from napari_nic.plugin.controllers.session import Session
from napari_nic.plugin.news import MODEL_NEWS
from napari_nic.slide_models import BUILT_IN, CARD_FILE, ModelBundle, Prediction, list_bundles
from napari_nic.wording import counted

BEST_CLASS = "best class"
"""Choice of the prediction: every cell in the colour of its best class."""

SCORE_MEANS = {
    "classification": "No calibrated probability",
    "regression": "A value in its own unit, no probability",
    "survival": "Log of the hazard: higher is an earlier event; only for comparison within this model",
}
"""What a slide's score does not say, by the model's task."""

MOST_FOLDS = 4
"""Models of other folds that a map is compared with."""

MODEL_SETTING = "model"
ADDED_SETTING = "added_models"


@dataclass(frozen=True, eq=False)
class ModelResult:
    """What a job on a model gives.

    Attributes
    ----------
    overlay : Overlay
    prediction : Prediction or None
        Of the whole slide, where one was made.
    saliency : SaliencyMap or None
        The map that the overlay shows, if it is one.
    """

    overlay: Overlay
    prediction: Prediction | None = None
    saliency: SaliencyMap | None = None


class ModelController:
    """Holds the bundles, the chosen one, and its prediction of the session's store.

    Attributes
    ----------
    bundles : list of ModelBundle
    bundle : ModelBundle or None
        The chosen one.
    shown_class : int or None
        Class whose scores are shown; None for the most likely class of each cell.
    target : int
        Class or value that saliency explains.
    prediction : Prediction or None
        Of the session's store as it was when last predicted.
    saliency : SaliencyMap or None
        That was computed last.
    """

    changed = Signal()
    predicted = Signal()

    def __init__(self, session: Session) -> None:
        self.session = session
        self.bundles = self._load_bundles()
        self.bundle: ModelBundle | None = None
        self.shown_class: int | None = None
        self.target = 0
        self.prediction: Prediction | None = None
        self.saliency: SaliencyMap | None = None
        session.store_changed.connect(self._on_store)
        MODEL_NEWS.model_opened.connect(self.add)
        self._choose(self._fitting())

    def close(self) -> None:
        """Stop listening to what is dropped on the window."""
        MODEL_NEWS.model_opened.disconnect(self.add)

    # -- choices -----------------------------------------------------------------------------------------

    def select(self, bundle: ModelBundle) -> None:
        """Predict with this model."""
        if bundle is not self.bundle:
            self.session.settings.set(MODEL_SETTING, _key(bundle))
            self._choose(bundle)
            self.changed.emit()

    def offer(self, bundle: ModelBundle) -> None:
        """Predict with this model, which the chooser need not know; neither is remembered."""
        self._list([bundle])
        self._choose(bundle)
        self.changed.emit()

    def add(self, folder: Path) -> None:
        """Add a bundle from a folder, or all of a training's; remember them and choose the first.

        A folder that holds none is told.
        """
        inner = [] if (folder / CARD_FILE).is_file() else sorted(folder.glob(f"*/{CARD_FILE}"))
        folders = [file.parent for file in inner] or [folder]
        try:
            added = [ModelBundle.load(path) for path in folders]
        except NicError as error:
            self.session.asking.tell_error(error)
            return
        paths = [str(path) for path in folders]
        known = [path for path in self._added() if path not in paths]
        self.session.settings.set(ADDED_SETTING, [*known, *paths])
        self._list(added)
        self.select(added[0])
        self.session.asking.tell(f"Added {counted(len(added), 'model')}: {self.label(added[0])}")

    def label(self, bundle: ModelBundle) -> str:
        """Return what the chooser calls a model: two of one name are told apart by their folders."""
        alike = [other for other in self.bundles if other.name == bundle.name]
        if len(alike) < 2 or bundle.folder is None:
            return bundle.name
        if bundle.folder.parent == BUILT_IN:
            return f"{bundle.name} (shipped)"
        others = [other.folder.absolute().parts for other in alike if other.folder and other is not bundle]
        parts = bundle.folder.absolute().parts
        tails = (parts[-count:] for count in range(1, len(parts)))
        own = next((tail for tail in tails if all(o[-len(tail) :] != tail for o in others)), parts)
        return f"{bundle.name} ({Path(*own)})"

    def _list(self, bundles: Sequence[ModelBundle]) -> None:
        """Put models at the end of the list; what was loaded from the same folders gives way."""
        keys = {_key(bundle) for bundle in bundles}
        self.bundles = [known for known in self.bundles if _key(known) not in keys] + list(bundles)

    def folds(self) -> tuple[ModelBundle, ...]:
        """Return the models that lie beside the chosen one and learned the same: those of other folds."""
        bundle = self.bundle
        if bundle is None or bundle.folder is None or bundle.folder.parent == BUILT_IN:
            return ()
        card = bundle.card
        beside = [other for other in self.bundles if other is not bundle and other.folder is not None]
        return tuple(
            other
            for other in beside
            if other.folder is not None
            and other.folder.parent == bundle.folder.parent
            and (other.card.class_names, other.card.encoder) == (card.class_names, card.encoder)
            and other.card.network == card.network
        )[:MOST_FOLDS]

    def set_class(self, index: int | None) -> None:
        """Show the scores of one class, or (None) the most likely class of each cell."""
        if index != self.shown_class:
            self.shown_class = index
            self.changed.emit()

    def set_target(self, index: int) -> None:
        """Explain this class or value."""
        if index != self.target:
            self.target = index
            self.changed.emit()

    def why_not(self) -> str:
        """Why the chosen model cannot be applied to the session's store; empty when it can."""
        store = self.session.store
        if self.bundle is None:
            return "No model is here: add one with +"
        if store is None:
            return "Compress the slide first"
        try:
            self.bundle.check_store(store)
        except BundleError as error:
            return f"{error.problem}: {error.hint}" if error.hint else error.problem
        return ""

    def why_never(self, kind: str) -> str:
        """Why compressing the slide would not make this overlay possible; empty where it would."""
        bundle, store = self.bundle, self.session.store
        if bundle is None or not bundle.card.network.is_of_vectors:
            return ""
        if kind == "saliency":
            return f"{NO_PLACES[0].upper()}{NO_PLACES[1:]}"
        if bundle.wants_slide_encoder and store is not None and store.encoded().any():
            return self.why_not()
        return ""

    def needed_spec(self) -> EncoderSpec | None:
        """Return the encoder whose codes the model reads; None if it is not here."""
        if self.bundle is None:
            return None
        needed = self.bundle.card.patch_encoder
        for spec in self.session.specs:
            if spec.matches(needed):
                return spec
        return None

    # -- what it says ------------------------------------------------------------------------------------

    def score(self) -> str:
        """The slide's score with its spread: ``"lesion: 0.93 ± 0.02"``; empty when it was not scored."""
        return "" if self.prediction is None else self.prediction.scores_text

    def about_score(self) -> str:
        """What the score and its spread are taken over, and what they do not say; empty when not scored."""
        prediction = self.prediction
        if prediction is None:
            return ""
        if prediction.is_of_vector:
            return f"Of {prediction.views}, without saliency. {SCORE_MEANS[prediction.card.task]}"
        about = f"Mean \N{PLUS-MINUS SIGN} spread over {prediction.views}"
        if self._share_predicted() < 1:
            about += ". The rest is not compressed"
        return f"{about}. {SCORE_MEANS[prediction.card.task]}"

    def score_of(self) -> str:
        """What the score is of: the whole slide, or the share of its tissue that is compressed."""
        share = self._share_predicted()
        return "whole slide" if share == 1 else f"{_percent(share)} of the tissue"

    def _share_predicted(self) -> float:
        """Share of the wanted cells that were scored."""
        prediction, store = self.prediction, self.session.store
        wanted = 0 if store is None else int(store.coverage.sum())
        return 1.0 if prediction is None or wanted == 0 else min(1.0, int(prediction.mask.sum()) / wanted)

    def class_choices(self) -> tuple[str, ...]:
        """What the prediction can show: best class and each class, or the values."""
        if self.bundle is None:
            return ()
        card = self.bundle.card
        return (BEST_CLASS, *card.class_names) if card.task == "classification" else card.class_names

    @property
    def class_choice(self) -> int:
        """Index among :meth:`class_choices` of what the prediction shows."""
        ahead = len(self.class_choices()) - (0 if self.bundle is None else len(self.bundle.card.class_names))
        return 0 if self.shown_class is None else self.shown_class + ahead

    def choose_class(self, index: int) -> None:
        """Show what has this index among :meth:`class_choices`."""
        choices = self.class_choices()
        if 0 <= index < len(choices):
            ahead = int(choices[0] == BEST_CLASS)
            self.set_class(None if index < ahead else index - ahead)

    def describe_cell(self, row: int, col: int) -> str:
        """Most likely class of a cell and its score."""
        prediction = self.prediction
        if prediction is None or prediction.is_of_vector or not prediction.mask[row, col]:
            return ""
        scores = prediction.cell_scores[row, col]
        best = int(scores.argmax())
        return f"{prediction.class_names[best]} {scores[best]:.2f}"

    def work(self, kind: str, store: CompressedSlide) -> Callable[[CancellationToken], ModelResult]:
        """Return what a job has to compute; it touches nothing of this controller."""
        if self.bundle is None:
            raise LookupError("no model")  # why_not is asked before
        if kind == "saliency":
            return partial(_explain, self.bundle, store, self.prediction, self.target)
        return partial(_predict, self.bundle, store, self.prediction, self.shown_class)

    def take(self, predicted: ModelResult) -> None:
        """Keep what a job found."""
        if predicted.saliency is not None:
            self.saliency = predicted.saliency
        if predicted.prediction is not None:
            self.prediction = predicted.prediction
            self.predicted.emit()

    def forget(self) -> None:
        """The store has other cells than when it was scored."""
        self.prediction = None

    # -- bundles -----------------------------------------------------------------------------------------

    def _load_bundles(self) -> list[ModelBundle]:
        bundles = {_key(bundle): bundle for bundle in list_bundles()}
        for folder in self._added():
            try:
                bundle = ModelBundle.load(folder)
            except NicError:
                continue  # moved or deleted since; it can be added again
            bundles[_key(bundle)] = bundle
        return list(bundles.values())

    def _added(self) -> list[str]:
        folders = self.session.settings.get(ADDED_SETTING, [])
        return [str(folder) for folder in folders] if isinstance(folders, list) else []

    def _choose(self, bundle: ModelBundle | None) -> None:
        self.bundle = bundle
        self.shown_class = None
        # What people ask a two-class model is where the second class ("lesion", not "normal") is.
        self.target = 0 if bundle is None else len(bundle.card.class_names) - 1
        self.prediction = None

    def _fitting(self) -> ModelBundle | None:
        """The remembered bundle if it fits the store, else the first that fits, else the first."""
        wanted = self.session.settings.get(MODEL_SETTING)
        ranked = sorted(self.bundles, key=lambda bundle: wanted not in (_key(bundle), bundle.name))
        store = self.session.store
        if store is not None:
            for bundle in ranked:
                try:
                    bundle.check_store(store)
                except BundleError:
                    continue
                return bundle
        return ranked[0] if ranked else None

    def _on_store(self) -> None:
        self.prediction = None
        if self.why_not() and self.session.store is not None:
            self._choose(self._fitting())
        self.predicted.emit()


def _key(bundle: ModelBundle) -> str:
    """Return what tells models apart, whatever they are called."""
    return bundle.name if bundle.folder is None else str(bundle.folder.absolute())


def _percent(share: float) -> str:
    """Write a share below 1 so that it never reads as none or all."""
    return f"{min(99, max(1, round(100 * share)))} %"


def _predict(
    bundle: ModelBundle,
    store: CompressedSlide,
    known: Prediction | None,
    shown_class: int | None,
    token: CancellationToken,
) -> ModelResult:
    from napari_nic.explain import prediction_overlay
    from napari_nic.slide_models import predict

    prediction = known or predict(bundle, store, token=token)
    return ModelResult(prediction_overlay(prediction, target=shown_class), prediction)


def _explain(
    bundle: ModelBundle,
    store: CompressedSlide,
    known: Prediction | None,
    target: int,
    token: CancellationToken,
) -> ModelResult:
    """Explain, and predict too: a map without the score that it explains says little."""
    from napari_nic.explain import grad_cam, saliency_overlay
    from napari_nic.slide_models import predict

    prediction = known or predict(bundle, store, token=token)
    saliency = grad_cam(bundle, store.read(token=token), store.encoded(), target=target, token=token)
    return ModelResult(saliency_overlay(saliency, store.grid.placement), prediction, saliency)
