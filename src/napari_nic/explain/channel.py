"""One channel of the codes as a map of values."""

from __future__ import annotations

import numpy as np

from napari_nic.errors import InvalidParameterError, OutOfBoundsError
from napari_nic.explain.overlay import ROBUST, Overlay, robust_limits
from napari_nic.geometry import Placement


def channel_overlay(
    codes: np.ndarray,
    mask: np.ndarray,
    placement: Placement,
    channel: int,
    *,
    limits: tuple[float, float] | None = None,
) -> Overlay:
    """Show one channel.

    Parameters
    ----------
    codes : ndarray of float, (rows, cols, C)
    mask : ndarray of bool, (rows, cols)
        Encoded cells.
    placement : Placement
        Of the cells, in micrometres.
    channel : int
        From 0.
    limits : (float, float), optional
        Values at the ends of the colours; by default percentiles 1 and 99 of the cells.

    Raises
    ------
    OutOfBoundsError
        If there is no such channel.
    InvalidParameterError
        If the shapes disagree.
    """
    if codes.ndim != 3:
        raise InvalidParameterError("not codes", expected="(rows, cols, C)", found=f"{codes.shape}")
    if not 0 <= channel < codes.shape[2]:
        raise OutOfBoundsError(
            "no such channel", expected=f"0 to {codes.shape[2] - 1}", found=f"channel {channel}"
        )
    values = codes[..., channel].astype(np.float32)
    return Overlay(
        name=f"Channel {channel}",
        kind="channel",
        data=values,
        mask=mask,
        placement=placement,
        limits=limits or robust_limits(values[mask]),
        note=(
            f"Channel {channel} of the code, from 0 to {codes.shape[2] - 1}, as the encoder gave it. "
            + (
                f"Colours span percentiles {ROBUST[0]:g} to {ROBUST[1]:g} of this slide."
                if limits is None
                else "Colours span the limits that were set."
            )
        ),
    )
