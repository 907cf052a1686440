"""What a user is told before another's network is used: whose it is, and on what terms."""

from __future__ import annotations

import json
from pathlib import Path

from napari_nic.descriptions import read_json
from napari_nic.disk import replacing
from napari_nic.encoders.external.hub_models import known_hub_model
from napari_nic.encoders.spec import MODEL_FILES, EncoderSpec
from napari_nic.encoders.store import TIMM_PREFIX, user_encoders_folder
from napari_nic.errors import StoreError

SHOWN_FILE = ".terms-shown.json"


def is_external(spec: EncoderSpec) -> bool:
    """Whether an encoder is another's network."""
    return spec.architecture == "timm" or spec.architecture in MODEL_FILES


def gating(spec: EncoderSpec) -> str:
    """Return the conditions on which the host of a network gives it; empty for one that is open."""
    model = str(spec.training.get("network", spec.name)).removeprefix(TIMM_PREFIX)
    known = known_hub_model(model)
    return "" if known is None else known.terms


def terms(spec: EncoderSpec) -> str:
    """Return licence and conditions of another's network in a sentence or two."""
    licence = spec.licence or "not stated; ask whoever gave it to you"
    return f"{spec.name} is a network of others. {gating(spec) or f'Licence: {licence}'}"


def terms_at_first_use(spec: EncoderSpec, *, home: Path | str | None = None) -> str | None:
    """Return the terms when an encoder is another's network and its user has not been told yet.

    Parameters
    ----------
    spec : EncoderSpec
    home : Path or str, optional
        See :func:`napari_nic.encoders.store.user_encoders_folder`; it is remembered there by name and
        weights. Where that cannot be written, the terms are told every time.

    Returns
    -------
    str or None
    """
    if not is_external(spec):
        return None
    file = user_encoders_folder(home) / SHOWN_FILE
    shown = _read(file)
    if shown.get(spec.name) == spec.weights_sha256:
        return None
    try:
        with replacing(file) as temporary:
            text = json.dumps(shown | {spec.name: spec.weights_sha256}, indent=2)
            temporary.write_text(text, encoding="utf-8")
    except StoreError:
        # Told again next time: the terms matter more than the repetition.
        return terms(spec)
    return terms(spec)


def _read(file: Path) -> dict[str, str | None]:
    try:
        data = read_json(file, StoreError, what="the list of terms that were shown")
    except StoreError:
        return {}
    return data if isinstance(data, dict) else {}
