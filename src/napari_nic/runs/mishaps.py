"""What goes wrong with a slide: said in words, or the end of the run where it would be so for all."""

from __future__ import annotations

import errno

from napari_nic.errors import NicError

_FULL = (errno.ENOSPC, errno.EDQUOT)


def stop_if_full(error: BaseException) -> None:
    """Raise again what would be the same for the next slide: there is no space left.

    Raises
    ------
    BaseException
        The error itself.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _FULL:
            raise error
        cause = cause.__cause__ or cause.__context__


def described(error: BaseException) -> str:
    """Say what went wrong with a slide: our own errors as they are, others by their kind."""
    if isinstance(error, NicError):
        return str(error)
    return f"an error that was not foreseen: {type(error).__name__}: {error}"
