"""Numbers in sentences: one of a thing, or many; counts and durations as people read them."""

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


def count(number: float) -> str:
    """Write a count as people read it: 1,973 or 4.1k or 2.3M."""
    if number < 10_000:
        return f"{number:,.0f}"
    return f"{number / 1e3:.1f}k" if number < 1e6 else f"{number / 1e6:.1f}M"


def saving(share: float) -> str:
    """Say what a smaller file saves, as a share of the larger one: "28.0 % saved", or "66.3 % more"."""
    return f"{abs(100 * share):.1f} % {'saved' if share >= 0 else 'more'}"


def duration(seconds: float) -> str:
    """Write seconds as 0.8 s, 23 s, 1:05 min or 2:03:11 h."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{clock(seconds)} {'min' if round(seconds) < 3600 else 'h'}"


def clock(seconds: float) -> str:
    """Write seconds as 0:23, 12:05 or 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{rest:02}" if hours else f"{minute}:{rest:02}"
