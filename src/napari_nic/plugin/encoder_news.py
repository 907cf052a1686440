"""Word of new encoders, for all docks of the program: one imports or trains, another lists."""

from __future__ import annotations

from psygnal import Signal


class EncoderNews:
    """Tells that the user's encoders changed; connect with bound methods, which are held weakly."""

    changed = Signal(str)
    """Emitted in the main thread with the name of the encoder that is new or was replaced."""


ENCODER_NEWS = EncoderNews()
"""The program's one instance: encoders lie in one folder of the user's, whatever windows are open."""
