"""What OME-Zarr has no place for, as this program writes it: colour profile, label, macro, thumbnail.

It stands in the attribute ``napari_nic_slide`` of the picture's group: ``icc_profile`` in base 64, and
``associated``, a list of names of arrays (3, rows, cols) below the group ``associated``.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_nic.errors import DamagedSlideError, UnreadableSlideError
from napari_nic.slides.model import RgbArray
from napari_nic.slides.readers.omezarr_levels import COPY_AGAIN, open_array, open_group

if TYPE_CHECKING:
    import zarr

KEY, FOLDER = "napari_nic_slide", "associated"
_MAX_NAMES, _MAX_PIXELS = 16, 2**26
_NAMES = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_ ")


@dataclass(frozen=True)
class Beside:
    """What belongs to a picture and is no level of it.

    Attributes
    ----------
    icc_profile : bytes or None
    associated : mapping of str to zarr.Array
    """

    icc_profile: bytes | None = None
    associated: Mapping[str, zarr.Array[Any]] = field(default_factory=dict)

    def read(self, name: str) -> RgbArray:
        """Decode a picture, (rows, cols, 3).

        Raises
        ------
        ValueError
            If it is damaged.
        """
        pixels = np.asarray(self.associated[name][:])
        return np.ascontiguousarray(pixels.transpose(1, 2, 0)).astype(np.uint8, copy=False)


def read_beside(path: Path) -> Beside:
    """Read what stands beside the picture of a folder; nothing where another program wrote it.

    Raises
    ------
    UnreadableSlideError, DamagedSlideError
        If it is not what it should be.
    """
    ours = read_ours(path)
    if ours is None:
        return Beside()
    group = open_group(path)
    names = ours.get("associated", [])
    if not isinstance(names, list) or len(names) > _MAX_NAMES:
        raise UnreadableSlideError("the list of associated pictures is none", path=path, hint=COPY_AGAIN)
    return Beside(_profile(ours, path), {name: _picture(path, group, name) for name in names})


def read_ours(path: Path) -> Mapping[str, Any] | None:
    """Return what this program wrote into the attributes of a picture's group; None if it did not."""
    ours = open_group(path).attrs.asdict().get(KEY)
    return ours if isinstance(ours, Mapping) else None


def _profile(ours: Mapping[str, Any], path: Path) -> bytes | None:
    text = ours.get("icc_profile")
    if text is None:
        return None
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise DamagedSlideError("the colour profile is damaged", path=path, hint=COPY_AGAIN) from error


def _picture(path: Path, group: zarr.Group, name: object) -> zarr.Array[Any]:
    if not isinstance(name, str) or not name or not set(name) <= _NAMES:
        raise UnreadableSlideError(f"an associated picture is called {name!r}", path=path, hint=COPY_AGAIN)
    array = open_array(path, group, {"path": f"{FOLDER}/{name}"}, 3)
    is_right = array.shape[0] == 3 and array.dtype == np.uint8
    if not is_right or array.shape[1] * array.shape[2] > _MAX_PIXELS:
        raise UnreadableSlideError(
            f"the associated picture {name} is of shape {array.shape}", path=path, hint=COPY_AGAIN
        )
    return array
