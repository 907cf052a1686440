"""Load the encoder that a command names, and tell the terms of another's network before its first use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from napari_nic.cli.console import Console

if TYPE_CHECKING:
    from napari_nic.encoders import Encoder


def give_trust(names: Iterable[str | None], *, trust: bool) -> None:
    """Remember that encoders may run, where ``--trust`` says so."""
    from napari_nic.encoders.external.trust import trust_encoder

    for name in names:
        if trust and name is not None:
            trust_encoder(name)


def load_named_encoder(
    name: str | None,
    console: Console,
    *,
    device: str = "auto",
    precision: str = "auto",
    trust: bool = False,
) -> Encoder:
    """Load an encoder, the default one when none is named; see :func:`napari_nic.encoders.load_encoder`."""
    from napari_nic.encoders import DEFAULT_ENCODER, get_spec, load_encoder
    from napari_nic.encoders.external.notices import terms_at_first_use

    name = name or DEFAULT_ENCODER
    told = terms_at_first_use(get_spec(name))
    if told:
        console.warning(f"note: {told}")
    return load_encoder(name, device=device, precision=precision, trust=trust)
