"""A trained probe: weights on plain codes, and what its scores mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import softmax

from napari_nic.colors import RGB
from napari_nic.embeddings import StoreHeader
from napari_nic.errors import BundleError, InvalidParameterError
from napari_nic.identity import described, differing

MOST_CLASSES = 254
"""Class numbers are kept in 8 bits, with one number for cells that nothing is said of."""


@dataclass(frozen=True)
class ProbeCard:
    """What a probe says about itself.

    Attributes
    ----------
    name : str
    class_names : tuple of str
    class_colors : tuple of (int, int, int)
    encoder : mapping
        Full description of the encoder whose codes it was trained on.
    training : mapping
        Slides, strokes and cells that it learned from.
    metrics : mapping
        Leave-one-stroke-out accuracy, and how it was calibrated.
    summary, not_for : str
        For people.
    """

    name: str
    class_names: tuple[str, ...]
    class_colors: tuple[RGB, ...]
    encoder: Mapping[str, Any]
    training: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    summary: str = ""
    not_for: str = "diagnosis; tissue, stains and scanners that no stroke was drawn on"

    def __post_init__(self) -> None:
        count = len(self.class_names)
        if not 2 <= count <= MOST_CLASSES or len(set(self.class_names)) != count:
            raise InvalidParameterError(
                "a probe tells classes of different names apart",
                expected=f"2 to {MOST_CLASSES}",
                found=", ".join(self.class_names)[:200] or "none",
            )
        if len(self.class_colors) != count:
            raise InvalidParameterError(
                "each class of a probe has a colour", expected=str(count), found=str(len(self.class_colors))
            )

    @property
    def encoder_name(self) -> str:
        """Name of the encoder, for people."""
        return str(self.encoder.get("name", "unnamed encoder"))


@dataclass(frozen=True, eq=False)
class Probe:
    """A linear classifier of cells.

    Attributes
    ----------
    card : ProbeCard
    weights : ndarray of float32, (K, C)
        On codes as they are stored.
    offsets : ndarray of float32, (K,)
    temperature : float
        Probabilities are softmax(scores / temperature).

    Raises
    ------
    InvalidParameterError
        If the sizes disagree, or a number is not finite.
    """

    card: ProbeCard
    weights: np.ndarray
    offsets: np.ndarray
    temperature: float

    def __post_init__(self) -> None:
        wanted = (len(self.card.class_names), self.card.encoder.get("code_size"))
        if self.weights.shape != wanted or self.offsets.shape != wanted[:1]:
            raise InvalidParameterError(
                "the weights of a probe do not fit its classes and encoder",
                expected=f"{wanted} and {wanted[:1]}",
                found=f"{self.weights.shape} and {self.offsets.shape}",
            )
        finite = np.isfinite(self.weights).all() and np.isfinite(self.offsets).all()
        if not finite or not 0 < self.temperature < np.inf:
            raise InvalidParameterError("a probe holds numbers that mean nothing")

    def __repr__(self) -> str:
        card = self.card
        return f"<Probe {card.name}: {', '.join(card.class_names)}, codes of {card.encoder_name}>"

    @property
    def class_names(self) -> tuple[str, ...]:
        """Classes in the order of their numbers."""
        return self.card.class_names

    def scores(self, codes: np.ndarray) -> np.ndarray:
        """Score codes (n, C): float32 (n, K), logarithms of probabilities up to scale and constant."""
        return np.asarray(codes @ self.weights.T + self.offsets, np.float32)

    def probabilities(self, codes: np.ndarray) -> np.ndarray:
        """Probabilities of codes (n, C): float32 (n, K), each row sums to 1."""
        return np.asarray(softmax(self.scores(codes) / np.float32(self.temperature), axis=1), np.float32)

    def classify(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the likeliest class and the uncertainty of each code.

        Parameters
        ----------
        codes : ndarray of float32, (n, C)

        Returns
        -------
        ndarray of uint8, (n,)
        ndarray of float32, (n,)
            Entropy of the probabilities over its maximum log K: 0 certain, 1 no idea.
        """
        # Class by class from here on: over rows of three numbers NumPy is slower than the product itself.
        scores = np.ascontiguousarray((self.scores(codes) / np.float32(self.temperature)).T)
        classes = scores.argmax(axis=0).astype(np.uint8)
        scores -= scores.max(axis=0)
        powers = np.exp(scores)
        sums = powers.sum(axis=0)
        entropy = np.log(sums) - np.einsum("kn,kn->n", powers, scores) / sums
        return classes, np.clip(entropy / np.float32(np.log(len(scores))), 0, 1)

    def check_header(self, header: StoreHeader) -> None:
        """Raise :class:`BundleError` unless `header` names the encoder that the probe was trained on."""
        different = differing(self.card.encoder, header.encoder)
        if different:
            raise BundleError(
                f"probe {self.card.name!r} was trained on another encoder's codes",
                expected=f"{self.card.encoder_name}: {described(self.card.encoder, different)}",
                found=f"{header.encoder_name}: {described(header.encoder, different)}",
                hint=f"compress the slide with encoder {self.card.encoder_name!r}, or choose another probe",
            )
