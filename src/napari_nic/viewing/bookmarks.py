"""Places on a slide that are to be found again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from napari_nic.descriptions import MOST_NAME, check_fields, is_finite, is_name
from napari_nic.errors import InvalidParameterError

_FAR = 1e9
"""No slide has so many pixels on a side, and no view so many on one of the screen."""


@dataclass(frozen=True)
class Bookmark:
    """A named view.

    Attributes
    ----------
    name : str
    y_px, x_px : float
        Middle of the view in level-0 pixels, corner-based.
    downsample : float
        Level-0 pixels on a pixel of the screen. Not micrometres: it holds for slides of unknown um/px, too,
        and whoever corrects the um/px of a slide finds the same view.
    """

    name: str
    y_px: float
    x_px: float
    downsample: float

    def to_dict(self) -> dict[str, Any]:
        """JSON form; read back by :meth:`from_dict`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Any) -> Bookmark:
        """Inverse of :meth:`to_dict`.

        Raises
        ------
        InvalidParameterError
            If it is no bookmark.
        """
        fields = ("name", "y_px", "x_px", "downsample")
        if not isinstance(data, Mapping):
            raise InvalidParameterError(
                "not a bookmark", expected=", ".join(fields), found=repr(data)[:MOST_NAME]
            )
        place = ("a number of pixels", lambda value: is_finite(value) and abs(value) < _FAR)
        checks = {
            "name": ("a name", is_name),
            "y_px": place,
            "x_px": place,
            "downsample": ("a positive number", lambda value: is_finite(value) and 0 < value < _FAR),
        }
        check_fields(data, checks, InvalidParameterError, what="a bookmark", known=fields, required=fields)
        return cls(data["name"], float(data["y_px"]), float(data["x_px"]), float(data["downsample"]))
