"""The errors of napari-nic.

Every error is a :class:`NicError` and a builtin type at once, so that a script can catch the family
(``except NicError``) or the kind (``except FileNotFoundError``). Its text says which file, what was
expected, what was found and what to do.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_nic.addresses import shown


class NicError(Exception):
    """Base of all errors that napari-nic raises on purpose.

    Parameters
    ----------
    problem : str
        One sentence that says what went wrong.
    path : str or Path, optional
        The file or folder concerned.
    expected, found : str, optional
        What should have been there, and what was.
    hint : str, optional
        What the user can do about it.
    """

    def __init__(
        self,
        problem: str,
        *,
        path: str | Path | None = None,
        expected: str | None = None,
        found: str | None = None,
        hint: str | None = None,
    ) -> None:
        self.problem = problem
        self.file = None if path is None else Path(path)
        self.expected = expected
        self.found = found
        self.hint = hint
        super().__init__(str(self))

    def __str__(self) -> str:
        lines = [f"{shown(self.file)}: {self.problem}" if self.file else self.problem]
        for label, text in (("expected", self.expected), ("found", self.found), ("what to do", self.hint)):
            if text:
                lines.append(f"  {label}: {text}")
        return "\n".join(lines)


class SlideNotFoundError(NicError, FileNotFoundError):
    """The slide, or a file that belongs to it, is not there."""


class UnreadableSlideError(NicError, ValueError):
    """No reader could open the file; the text gives the reason of the likely one.

    Attributes
    ----------
    reasons : tuple of (str, str)
        Each reader that was tried, and why it did not open the file.
    """

    reasons: tuple[tuple[str, str], ...] = ()


class UnsupportedPixelsError(UnreadableSlideError):
    """A reader knows the file, but not how to show its pixels rightly; no other reader may guess."""


class ChannelsError(UnsupportedPixelsError):
    """The slide holds separate channels, scenes or planes, and which to show was not said, or wrongly.

    Attributes
    ----------
    channels, scenes : tuple of str
        What there is to choose from, in the file's order.
    """

    channels: tuple[str, ...] = ()
    scenes: tuple[str, ...] = ()


class DamagedSlideError(NicError, OSError):
    """The slide opened, but a part of it cannot be decoded (truncated, corrupt)."""


class RemoteError(NicError, OSError):
    """A slide in the network cannot be read now, or is another one than was opened."""


class MissingPixelSizeError(NicError, ValueError):
    """The slide states no micrometres per pixel, or an absurd value."""


class OutOfBoundsError(NicError, IndexError):
    """A level, cell or channel that does not exist was asked for."""


class InvalidParameterError(NicError, ValueError):
    """An argument is outside its meaningful range."""


class UnknownNameError(NicError, LookupError):
    """A name (encoder, reader, model) is not registered; the text lists the known ones."""


class MissingDependencyError(NicError, ImportError):
    """An optional package is needed; the text holds the install line."""


class WeightsError(NicError, ValueError):
    """A weights file is damaged, of another architecture or of another checksum."""


class ConsentError(NicError, RuntimeError):
    """A file holds a program, and nobody has said that it may run.

    Parameters
    ----------
    sha256 : str
        Of the program's bytes, by which a consent is remembered.
    """

    def __init__(self, problem: str, *, sha256: str = "", **details: Any) -> None:
        self.sha256 = sha256
        super().__init__(problem, **details)


class DeviceError(NicError, RuntimeError):
    """The device asked for is not there, or ran out of memory at the smallest batch."""


class StoreError(NicError, OSError):
    """A compressed slide cannot be read or written (damaged, read-only folder, full disk)."""


class StoreBusyError(StoreError):
    """Another run is writing the compressed slide; the text says which."""


class StoreMismatchError(NicError, ValueError):
    """A store belongs to another slide, encoder or grid than the one in use."""


class BundleError(NicError, ValueError):
    """A model bundle is damaged, or was trained on another encoder's codes."""


class AnnotationError(NicError, ValueError):
    """An annotation file is damaged or of an unknown format."""


class NotSavedError(NicError, OSError):
    """Layers were not saved. Of a ``ValueError`` napari would say that no plugin can write them."""

    @classmethod
    def of(cls, error: NicError) -> NotSavedError:
        """Say what another error says."""
        known = {"expected": error.expected, "found": error.found, "hint": error.hint}
        return cls(error.problem, path=error.file, **known)


class LockedAnnotationError(NicError, PermissionError):
    """An annotation is locked, or its class is: it is not edited."""


class CancelledError(NicError, RuntimeError):
    """The work was cancelled through its :class:`~napari_nic.jobs.CancellationToken`."""


class ProjectError(NicError, ValueError):
    """A project file is none, is damaged, or cannot be opened."""
