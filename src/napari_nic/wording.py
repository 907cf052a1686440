"""Numbers in sentences: one of a thing, or many."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with what it counts: ``"1 shape"``, ``"1,204 shapes"``, ``"0 classes"``.

    Parameters
    ----------
    number : int
    noun : str
        Of one.
    plural : str, optional
        Of many; the noun with an "s", or "es" after a hiss, by default.
    """
    return f"{number:,} {noun if number == 1 else plural or plural_of(noun)}"


def plural_of(noun: str) -> str:
    """Return the regular plural of an English noun; the last word of several is put into it."""
    if noun.endswith(("s", "x", "z", "ch", "sh")):
        return f"{noun}es"
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}s"


def was_were(number: int) -> str:
    """Return the verb for a number of things: ``"was"`` for one."""
    return "was" if number == 1 else "were"
