"""One vector of a whole slide, and what made it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from napari_nic.embeddings import UNKNOWN_SLIDE
from napari_nic.errors import NicError, StoreError
from napari_nic.identity import differing, identity

PREFIX = "slide-"
"""How the architecture of every slide encoder begins in a description."""

MOST_VALUES = 2**16
_HASH = re.compile(r"-[0-9a-f]{8}$")


@dataclass(frozen=True, eq=False)
class SlideVector:
    """A slide as one vector.

    Attributes
    ----------
    name : str
        Of the slide.
    values : ndarray of float32, (D,)
    encoder : mapping
        Description of the slide encoder, as plain JSON; ``code_size`` is D, ``options`` hold how it was fed
        and which patch encoder's codes. Vectors of two descriptions never mix, see
        :func:`check_same_encoder`.
    slide_fingerprint : str
        As the store's; :data:`~napari_nic.embeddings.UNKNOWN_SLIDE` of other programs' vectors.
    origin : mapping
        What it was made from: the store's key and number of patches, or the name of the file.
    """

    name: str
    values: np.ndarray
    encoder: Mapping[str, Any]
    slide_fingerprint: str = UNKNOWN_SLIDE
    origin: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        size = self.encoder.get("code_size")
        if self.values.ndim != 1 or not 0 < len(self.values) <= MOST_VALUES or len(self.values) != size:
            raise StoreError(
                f"the vector of slide {self.name!r} is not what its description says",
                expected=f"{size} numbers",
                found=f"shape {self.values.shape}",
            )
        if not np.isfinite(self.values).all():
            raise StoreError(f"the vector of slide {self.name!r} holds numbers that are not finite")

    @property
    def encoder_name(self) -> str:
        """Name of the slide encoder, for people."""
        return str(self.encoder.get("name", "unnamed slide encoder"))


def describe_encoder(
    name: str,
    kind: str,
    code_size: int,
    *,
    weights_sha256: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Describe a slide encoder, with the entries by which encoders are compared.

    Parameters
    ----------
    name, kind : str
        For people; ``"mean"``, ``"torchscript"``, ``"torch-export"``, ``"onnx"``, or ``"unknown"``.
    code_size : int
        D of its vectors.
    weights_sha256 : str, optional
        Of its file.
    options : mapping, optional
        What else determines its vectors.
    """
    return {
        "name": name,
        "architecture": "unknown" if kind == "unknown" else f"{PREFIX}{kind}",
        "code_size": code_size,
        "patch_size": None,
        "mpp": None,
        "input_size": None,
        "weights_sha256": weights_sha256,
        "options": dict(options or {}),
    }


def patch_encoder_of(encoder: Mapping[str, Any]) -> dict[str, Any]:
    """Return what determines a patch encoder's codes, and its name where nothing else is known.

    Names of encoders of which only the name is known count without capitals and hashes, as between stores.
    """
    known = identity(encoder)
    if encoder.get("architecture") in (None, "unknown") and encoder.get("weights_sha256") is None:
        known["name"] = plain_name(str(encoder.get("name")))
    return known


def plain_name(name: str) -> str:
    """Name of an encoder without capitals, and without the hash that STAMP puts behind it."""
    return _HASH.sub("", name.casefold())


def is_of_slides(encoder: Mapping[str, Any]) -> bool:
    """Whether a description is that of an encoder of whole slides."""
    return str(encoder.get("architecture", "")).startswith(PREFIX) or (
        isinstance(encoder.get("options"), Mapping) and encoder["options"].get("of") == "slides"
    )


def said_of(encoder: Mapping[str, Any]) -> str:
    """Say which slide encoder a description means, in a few words."""
    options = encoder.get("options")
    options = options if isinstance(options, Mapping) else {}
    sha = encoder.get("weights_sha256")
    parts = [f"{encoder.get('name')}, {encoder.get('code_size')} numbers"]
    if sha:
        parts.append(f"SHA-256 {str(sha)[:12]}...")
    if options.get("patch_encoder_name"):
        parts.append(f"on codes of {options['patch_encoder_name']}")
    form = options.get("form")
    if isinstance(form, Mapping) and isinstance(form.get("inputs"), Sequence):
        parts.append(f"fed {_said_of_form(form)}")
    return ", ".join(parts)


def _said_of_form(form: Mapping[str, Any]) -> str:
    """Say how a network was fed: ``"features (float32), coords (level0, int64)"``."""
    more = {"features": ("dtype",), "coords": ("coords", "coords_type")}
    words = []
    for name in map(str, form["inputs"]):
        known = ", ".join(str(form[key]) for key in more.get(name, ()) if key in form)
        words.append(f"{name} ({known})" if known else name)
    output = f", output {form['output']}" if "output" in form else ""
    return ", ".join(words) + output


def check_same_encoder(
    expected: Mapping[str, Any], found: Mapping[str, Any], *, path: Path | None, error: type[NicError]
) -> None:
    """Raise `error` unless two descriptions mean the same slide encoder on the same patch encoder's codes.

    Parameters
    ----------
    expected, found : mapping
        Descriptions; names of patch encoders are for people and not compared.
    path : Path or None
        Of what was found.
    error : type
        Kind of error to raise.
    """
    if differing(_compared(expected), _compared(found)):
        raise error(
            "vectors of different slide encoders do not go together",
            path=path,
            expected=said_of(expected),
            found=said_of(found),
            hint="make all vectors with one slide encoder, fed alike, from codes of one patch encoder "
            "(napari-nic slide-embed)",
        )


def _compared(encoder: Mapping[str, Any]) -> dict[str, Any]:
    options = encoder.get("options")
    known = options.items() if isinstance(options, Mapping) else ()
    return dict(encoder) | {"options": {k: v for k, v in known if k != "patch_encoder_name"}}
