"""What the plugin remembers between sessions: choices of the user, and um/px of slides that state none.

One JSON file, ``plugin.json``, in the user's configuration folder; ``NAPARI_NIC_HOME`` names another folder.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import platformdirs

from napari_nic.errors import InvalidParameterError
from napari_nic.slides import Slide, clean_choice

HOME_VARIABLE = "NAPARI_NIC_HOME"
REMEMBERED_SOURCE = "entered by the user"
"""Source of a pixel size that was asked for and remembered."""

_PIXEL_SIZES = "pixel_sizes"
_CHOICES = "choices"


def settings_file() -> Path:
    """Path of the JSON file; it need not exist."""
    home = os.environ.get(HOME_VARIABLE)
    folder = Path(home) if home else Path(platformdirs.user_config_dir("napari-nic"))
    return folder / "plugin.json"


class Settings:
    """Values by name, read when made and written at every change.

    Parameters
    ----------
    path : Path, optional
        Of the JSON file; :func:`settings_file` by default.

    Notes
    -----
    A file that cannot be read or written never stops the user: the settings then last for the session.
    :attr:`problem` says what went wrong.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or settings_file()
        self.problem = ""
        self._values = self._read()

    def get(self, name: str, default: Any = None) -> Any:
        """Return what is remembered under `name`."""
        return self._values.get(name, default)

    def set(self, name: str, value: Any) -> None:
        """Remember a JSON value under `name`."""
        if self._values.get(name) != value:
            # Another dock or program may have written the file since it was read.
            self._values = self._values | self._read() | {name: value}
            self._write()

    def pixel_size(self, fingerprint: str) -> float | None:
        """Micrometres per pixel that the user gave for a slide; None if never asked or no longer valid."""
        sizes = self._values.get(_PIXEL_SIZES)
        value = sizes.get(fingerprint) if isinstance(sizes, dict) else None
        return float(value) if isinstance(value, int | float) and 0 < value < math.inf else None

    def remember_pixel_size(self, fingerprint: str, mpp: float) -> None:
        """Remember the um/px of a slide by its fingerprint, so that a moved file is still known."""
        sizes = self._values.get(_PIXEL_SIZES)
        known = dict(sizes) if isinstance(sizes, dict) else {}
        self.set(_PIXEL_SIZES, known | {fingerprint: mpp})

    def choice(self, path: Path) -> dict[str, Any]:
        """What the user chose to see of a slide of channels or scenes; empty if nothing was chosen."""
        choices = self._values.get(_CHOICES)
        return clean_choice(choices.get(str(path.absolute())) if isinstance(choices, dict) else None)

    def remember_choice(self, path: Path, choice: Mapping[str, Any]) -> None:
        """Remember by its path what is seen of a slide: a file of channels has no fingerprint before."""
        choices = self._values.get(_CHOICES)
        known = dict(choices) if isinstance(choices, dict) else {}
        self.set(_CHOICES, known | {str(path.absolute()): dict(choice)})

    def apply_to(self, slide: Slide) -> Slide:
        """Give a slide without pixel size the one that is remembered for it, if any."""
        if slide.pixel_size is not None:
            return slide
        mpp = self.pixel_size(slide.fingerprint)
        try:
            return slide if mpp is None else slide.with_pixel_size(mpp)
        except InvalidParameterError:
            return slide  # absurd, and not what the file says: asked for again

    def _read(self) -> dict[str, Any]:
        try:
            values = json.loads(self.path.read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            self.problem = f"{self.path} cannot be read: {error}"
            return {}
        return values if isinstance(values, dict) else {}

    def _write(self) -> None:
        temporary = self.path.with_suffix(f".{os.getpid()}.tmp")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps(self._values, indent=2, sort_keys=True), "utf-8")
            temporary.replace(self.path)
        except OSError as error:
            self.problem = f"{self.path} cannot be written: {error}"
