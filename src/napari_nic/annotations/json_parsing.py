"""JSON parsed fast: by orjson where that says the same as Python's own parser, and by that one elsewhere.

They differ in whole numbers beyond 64 bits, which orjson takes for fractions, and in what orjson refuses and
Python's parser reads: NaN and infinities, UTF-16, a byte order mark, halves of characters.

A collection of features is parsed piece by piece. A parser cannot be interrupted and lets no other thread run
Python meanwhile: a window would stand still for seconds, and everything would be in memory as objects too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator
from typing import Any

import numpy as np
import orjson

PIECE_BYTES = 2**21
"""So much is parsed in one call: some ten milliseconds."""

_WORD = np.dtype("<u8")
_HIGH_HALVES = _WORD.type(0xF0F0F0F0F0F0F0F0)
_DIGITS = _WORD.type(0x3030303030303030)
_SIXES = _WORD.type(0x0606060606060606)
_LONG = re.compile(rb"(?<![0-9.])[0-9]{19}")
"""Part of a whole number that may not fit into 64 bits."""
_SAME_DIGITS = bytes(ord("0") if value in b"0123456789" else value for value in range(256))
_MANY_DIGITS = b"0" * 19

_SPACE = rb"[ \t\r\n]*"
_HEADS = tuple(
    re.compile(head.replace(b"_", _SPACE))
    for head in (rb'_{_"type"_:_"FeatureCollection"_,_"features"_:_\[', rb'_\[(?=_{_"type"_:_"Feature")')
)
_TAILS = tuple(re.compile(tail.replace(b"_", _SPACE)) for tail in (rb"\]_}_\Z", rb"\]_\Z"))
_BETWEEN = re.compile(rb'}_,(?=_{_"type"_:_"Feature")'.replace(b"_", _SPACE))
_LONGEST_TAIL = 64


class NotInPiecesError(ValueError):
    """The text is no plain collection of features, or is damaged: it is to be parsed as a whole."""


def parsed(text: bytes) -> Any:
    """Return what a JSON text says, as :func:`json.loads` does.

    Raises
    ------
    ValueError, RecursionError
        If it is no JSON.
    """
    if not _has_long_numbers(text):
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            pass  # what is wrong is for the other one to say, if anything is
    return json.loads(text)


def features_of(text: bytes) -> Generator[tuple[list[Any], int], None, None]:
    """Yield the features of a collection in pieces, each with the number of bytes that were read so far.

    The text is cut between two objects that begin as features do. Inside a string that place cannot be, since
    the quote before ``type`` would end it; and on another level than that of the features, brackets of the
    piece do not match. So pieces that all can be parsed are the features of the file, and no others.

    Raises
    ------
    NotInPiecesError
        If it is anything else than a collection or list of features and nothing beside it, at any time.
    """
    start, stop = _inner(text)
    while start <= stop:
        between = _BETWEEN.search(text, start + PIECE_BYTES, stop) if stop - start > PIECE_BYTES else None
        end = stop if between is None else between.end() - 1
        try:
            piece = parsed(b"[" + text[start:end] + b"]")
        except (ValueError, RecursionError) as error:
            raise NotInPiecesError from error
        yield piece, end
        start = end + 1


def _inner(text: bytes) -> tuple[int, int]:
    """Where the list of features begins and ends, without its brackets."""
    for head, tail in zip(_HEADS, _TAILS, strict=True):
        begin = head.match(text)
        end = tail.search(text, max(0, len(text) - _LONGEST_TAIL))
        if begin is not None and end is not None and begin.end() <= end.start():
            return begin.end(), end.start()
    raise NotInPiecesError


def _has_long_numbers(text: bytes) -> bool:
    """Whether a whole number may have 19 digits or more.

    Such a number fills at least one of the words of eight bytes that the text is looked at in, which is
    quicker by far than looking for it. Ids of hexadecimal digits do so too: then so many digits in a row are
    looked for as one digit so many times, which is quicker than by a pattern, and last by the pattern, which
    knows that fractions do not count.
    """
    words = np.frombuffer(text, _WORD, len(text) // 8)
    blocks = (words[start : start + PIECE_BYTES] for start in range(0, len(words), PIECE_BYTES))
    if not any(map(_has_a_word_of_digits, blocks)):
        return False
    return _MANY_DIGITS in text.translate(_SAME_DIGITS) and _LONG.search(text) is not None


def _has_a_word_of_digits(words: np.ndarray) -> bool:
    # What is added makes another high half of those that follow the 9; it carries over from no other.
    digits = ((words & _HIGH_HALVES) == _DIGITS) & (((words + _SIXES) & _HIGH_HALVES) == _DIGITS)
    return bool(digits.any())
