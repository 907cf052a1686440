"""A model bundle: a folder with ``model.json`` and ``weights.safetensors``, and where bundles live."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from napari_nic import notebook
from napari_nic.descriptions import read_json, sealed, unsealed
from napari_nic.disk import check_regular, replacing
from napari_nic.embeddings import CompressedSlide, StoreHeader
from napari_nic.errors import BundleError, NicError, UnknownNameError
from napari_nic.identity import described, differing
from napari_nic.slide_models.card import ModelCard
from napari_nic.slide_models.inputs import Standardiser
from napari_nic.slide_vectors import (
    SlideVector,
    check_same_encoder,
    is_mean,
    mean_description,
    said_of,
    vector_beside,
)
from napari_nic.telling import LeftOut, Notices, tell
from napari_nic.weight_files import user_home

if TYPE_CHECKING:
    from napari_nic.slide_models.gridnet import GridNet

CARD_FILE, WEIGHTS_FILE = "model.json", "weights.safetensors"
FORMAT = 1
BUILT_IN = Path(__file__).parent / "bundles"
_MEAN, _STD = "input.mean", "input.std"
_log = logging.getLogger(__name__)


_UNNAMED = (
    "they do not say which encoder made them, and a model takes any that are as long: make sure that it is "
    "the encoder of the features that the model learned from"
)


@dataclass(frozen=True, eq=False)
class ModelBundle:
    """A slide-level model with all that is needed to use it.

    Attributes
    ----------
    card : ModelCard
    weights : mapping of str to ndarray
        The network's arrays by their PyTorch names.
    standardiser : Standardiser
        How codes are scaled before the network sees them.
    folder : Path or None
        Where it was loaded from.
    """

    card: ModelCard
    weights: Mapping[str, np.ndarray]
    standardiser: Standardiser
    folder: Path | None = None

    def __repr__(self) -> str:
        card = self.card
        classes = ", ".join(card.class_names)
        return f"<ModelBundle {self.name}: {card.task} of {classes}, codes of {card.encoder_name}>"

    def _repr_html_(self) -> str:
        """What it is for, for notebooks."""
        card = self.card
        facts = {
            "task": f"{card.task}: {', '.join(card.class_names)}",
            "codes of": card.encoder_name,
            "sees": card.sees,
            "what it is": card.summary,
            "for": card.intended_use,
            "not for": card.not_for,
            "licence": card.licence,
        }
        return notebook.card(self.name, facts)

    @property
    def name(self) -> str:
        """How users call it."""
        return self.card.name

    @classmethod
    def load(cls, name_or_path: str | Path) -> Self:
        """Load a bundle by its folder, or by name: the user's hide the package's.

        Raises
        ------
        UnknownNameError
            If there is none; the text lists those that are there.
        BundleError
            If a file is missing or damaged.
        """
        folder = find_bundle(name_or_path)
        card, digest = _read_card(folder / CARD_FILE)
        arrays = _read_weights(folder / WEIGHTS_FILE, digest)
        standardiser = Standardiser(arrays.pop(_MEAN), arrays.pop(_STD))
        bundle = cls(card, arrays, standardiser, folder)
        bundle._check_sizes()
        return bundle

    def save(self, folder: str | Path) -> Path:
        """Write the bundle's two files into `folder`, which is made; older ones are replaced.

        Raises
        ------
        StoreError
            If the folder cannot be written.
        """
        folder = Path(folder)
        arrays = dict(self.weights) | {_MEAN: self.standardiser.mean, _STD: self.standardiser.std}
        content = save({name: np.asarray(array, order="C") for name, array in arrays.items()})
        card = {"format": FORMAT, "weights_sha256": _sha256(content), **self.card.to_dict()}
        text = json.dumps(sealed(card), indent=2, ensure_ascii=False) + "\n"
        # Both are on the disk before either gets its name, so that a full disk harms no older model.
        with replacing(folder / CARD_FILE) as new_card, replacing(folder / WEIGHTS_FILE) as new_weights:
            new_weights.write_bytes(content)
            # What is no UTF-8 (names of files may be) becomes an escape of JSON.
            new_card.write_bytes(text.encode("utf-8", "backslashreplace"))
        return folder

    def check_header(self, header: StoreHeader) -> None:
        """Raise :class:`BundleError` unless `header` names the encoder that the model was trained on.

        A model on the mean of the patches' codes is asked about their encoder; one on a slide encoder's
        vectors takes no codes.
        """
        if self.card.network.is_of_vectors:
            self._check_mean(header)
            return
        ours, theirs = self.card.encoder, header.encoder
        different = differing(ours, theirs)
        if different:
            raise BundleError(
                f"model {self.name!r} was trained on another encoder's codes",
                path=self.folder,
                expected=f"{self.card.encoder_name}: {described(ours, different)}",
                found=f"{header.encoder_name}: {described(theirs, different)}",
                hint=f"compress the slide with encoder {self.card.encoder_name!r}, or choose another model",
            )

    @property
    def wants_slide_encoder(self) -> bool:
        """Whether it takes vectors that only a slide encoder's file gives."""
        return self.card.network.is_of_vectors and not is_mean(self.card.encoder)

    def _check_mean(self, header: StoreHeader) -> None:
        if self.wants_slide_encoder:
            raise BundleError(
                f"model {self.name!r} takes vectors of a slide encoder, not codes of patches",
                path=self.folder,
                expected=said_of(self.card.encoder),
                found=f"a compressed slide, of {header.encoder_name}, and no vector of it beside it",
                hint="make the slide's vector with that slide encoder (napari-nic slide-embed): beside the "
                "compressed slide it is found, else give its file",
            )
        check_same_encoder(
            self.card.encoder, mean_description(header.encoder), path=self.folder, error=BundleError
        )

    def check_vector(self, vector: SlideVector) -> None:
        """Raise :class:`BundleError` unless the model was trained on vectors of the same slide encoder."""
        if not self.card.network.is_of_vectors:
            raise BundleError(
                f"model {self.name!r} takes codes of patches, not a slide's vector",
                path=self.folder,
                expected=f"a compressed slide, of {self.card.encoder_name}",
                found=f"a vector of {said_of(vector.encoder)}",
            )
        check_same_encoder(self.card.encoder, vector.encoder, path=self.folder, error=BundleError)

    def check_store(self, store: CompressedSlide) -> None:
        """Raise :class:`BundleError` unless the store's codes come from the model's encoder.

        For a model on a slide encoder's vectors, the vector of these codes must lie beside the store. Codes
        that do not say which encoder made them cannot be told from others as long: that is told.
        """
        if self.wants_slide_encoder and vector_beside(store, self.card.encoder) is not None:
            return
        self.check_header(store.header)
        if not store.header.is_encoder_named:
            tell(Notices("features", (_UNNAMED,)))

    def network(self) -> GridNet:
        """Build the network, ready to predict (dropout off, running means used).

        Raises
        ------
        BundleError
            If the weights are not those of the network that its model card describes.
        """
        import torch

        from napari_nic.slide_models.architectures import build_network

        with torch.device("meta"):  # its sizes, before memory is taken for what a file states
            sizes = build_network(self.card.network).state_dict()
        expected = {name: tuple(value.shape) for name, value in sizes.items()}
        found = {name: tuple(value.shape) for name, value in self.weights.items()}
        if expected != found:
            wrong = sorted(set(expected.items()) ^ set(found.items()))
            raise BundleError(
                "the weights do not fit the network that the model describes",
                path=self.folder,
                expected=f"{len(expected)} arrays of that network",
                found=f"first difference at {wrong[0][0]} {wrong[0][1]}",
            )
        # Building draws random weights; the caller's random numbers must not be moved by that.
        with torch.random.fork_rng(devices=[]):
            net = build_network(self.card.network)
        net.load_state_dict({name: torch.from_numpy(np.array(a)) for name, a in self.weights.items()})
        return net.eval()

    def randomised(self, names: Collection[str], seed: int) -> ModelBundle:
        """Return the model with some of its weights as they are before training.

        Parameters
        ----------
        names : collection of str
            Of :attr:`weights`.
        seed : int
            The same one draws the same weights, whatever the names.
        """
        import torch

        from napari_nic.slide_models.architectures import build_network

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            drawn = build_network(self.card.network).state_dict()
        fresh = {name: drawn[name].numpy() for name in names}
        return replace(self, weights={**self.weights, **fresh}, folder=None)

    def _check_sizes(self) -> None:
        shape = (self.card.network.code_size,)
        if self.standardiser.mean.shape != shape or self.standardiser.std.shape != shape:
            raise BundleError(
                "the model's scaling of codes does not fit its encoder",
                path=self.folder,
                expected=f"{shape[0]} channels",
                found=f"{self.standardiser.mean.shape} and {self.standardiser.std.shape}",
            )


def user_models_folder(home: str | Path | None = None) -> Path:
    """Return the folder of the user's bundles (it need not exist)."""
    return user_home(home) / "models"


def list_bundles() -> tuple[ModelBundle, ...]:
    """Load the package's and the user's bundles, by name; a damaged one is told and left out."""
    bundles: dict[str, ModelBundle] = {}
    for folder in (*_folders(BUILT_IN), *_folders(user_models_folder())):
        try:
            bundles[folder.name] = ModelBundle.load(folder)
        except NicError as error:
            _log.warning("left out a model: %s", error)
            tell(LeftOut(str(folder), error.problem))
    return tuple(bundles[name] for name in sorted(bundles))


def find_bundle(name_or_path: str | Path) -> Path:
    """Return the folder of a bundle.

    Raises
    ------
    UnknownNameError
    """
    given = Path(name_or_path)
    for folder in (user_models_folder() / given, BUILT_IN / given):
        if (folder / CARD_FILE).is_file():
            return folder
    if given.is_dir():
        return given
    names = sorted({folder.name for base in (BUILT_IN, user_models_folder()) for folder in _folders(base)})
    raise UnknownNameError(
        f"unknown model {str(name_or_path)!r}",
        expected=f"one of {', '.join(names) or 'none'}, or a folder that holds {CARD_FILE}",
        hint="list them with: napari-nic models list",
    )


def _folders(base: Path) -> list[Path]:
    if not base.is_dir():
        return []
    return sorted(folder for folder in base.iterdir() if (folder / CARD_FILE).is_file())


def _read_card(file: Path) -> tuple[ModelCard, str]:
    if not file.exists():
        inner = _folders(file.parent)
        hint = f"it holds models in folders of their own: choose one, such as {inner[0]}" if inner else None
        raise BundleError("this folder holds no model", path=file, expected=CARD_FILE, hint=hint)
    data: Any = unsealed(read_json(file, BundleError, what="the model's description"), file, BundleError)
    if not isinstance(data, dict) or data.pop("format", None) != FORMAT:
        raise BundleError(
            "not a model description that this version reads",
            path=file,
            expected=f'a JSON object with "format": {FORMAT}',
        )
    digest = str(data.pop("weights_sha256", ""))
    try:
        return ModelCard.from_dict(data), digest
    except NicError as error:
        raise BundleError(
            f"the model's description is damaged: {error.problem}",
            path=file,
            expected=error.expected,
            found=error.found,
        ) from error


def _read_weights(file: Path, digest: str) -> dict[str, np.ndarray]:
    check_regular(file, BundleError)
    try:
        content = file.read_bytes()
    except OSError as error:
        raise BundleError(
            "the model's weights cannot be read", path=file, expected=WEIGHTS_FILE, found=str(error)
        ) from error
    if _sha256(content) != digest:
        raise BundleError(
            "these are not the weights that the model's description names",
            path=file,
            expected=f"SHA-256 {digest or 'in the description'}",
            found=_sha256(content),
            hint="the file was changed or damaged; get the model again",
        )
    try:
        arrays = load(content)
    except (SafetensorError, ValueError, LookupError, TypeError) as error:
        raise BundleError("the model's weights are damaged", path=file, found=str(error)) from error
    if _MEAN not in arrays or _STD not in arrays:
        raise BundleError("the weights lack the scaling of codes", path=file, expected=f"{_MEAN}, {_STD}")
    odd = [name for name, array in arrays.items() if not _is_finite(array)]
    if odd or not (arrays[_STD] > 0).all():
        raise BundleError(
            "the model's weights hold numbers that mean nothing",
            path=file,
            expected="finite numbers, and spreads above 0",
            found=f"others in {', '.join(sorted(odd)[:4]) or _STD}",
            hint="the training failed, or the file is damaged: get the model again",
        )
    return dict(arrays)


def _is_finite(array: np.ndarray) -> bool:
    return array.dtype.kind in "iufb" and bool(np.isfinite(array).all())


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
