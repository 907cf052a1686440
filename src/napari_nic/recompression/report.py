"""What packing a slide anew came to, or would come to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from napari_nic.recompression.source import Page


@dataclass(frozen=True)
class PageReport:
    """One picture of the file: a level, a label.

    Attributes
    ----------
    number : int
        Place among the file's directories, from 0.
    shape : tuple of int
        (rows, cols).
    cut : str
        ``"tiles"`` or ``"strips"``.
    tiles : int
        That the file holds; those at one place count once.
    before, after : int
        Bytes of these.
    copied : dict of str to int
        Why tiles were copied as they were, and how many.
    emptied, painted : int
        Tiles of glass that were left out, and tiles whose glass was made white.
    """

    number: int
    shape: tuple[int, int]
    cut: str
    tiles: int
    before: int
    after: int
    copied: Mapping[str, int]
    emptied: int = 0
    painted: int = 0

    @classmethod
    def of(cls, page: Page, before: int, after: int, tiles: int, copied: Mapping[str, int]) -> PageReport:
        """Make the report of a page."""
        cut = "tiles" if page.is_tiled else "strips"
        return cls(page.number, page.shape, cut, tiles, before, after, dict(copied))


@dataclass(frozen=True)
class SlideReport:
    """A whole file.

    Attributes
    ----------
    mode : str
    source, out : Path
    before, after : int
        Bytes of the files.
    pages : tuple of PageReport
    sampled : int
        Tiles that were tried, where nothing was written; 0 otherwise.
    sha256 : str
        Of the original; empty where nothing was written.
    kept : str
        Why the original was not replaced, although that was asked for; empty otherwise.
    tissue : str
        How the tissue was found that was kept, where glass was removed; empty otherwise.
    deidentified : bool
        Whether names were left out; `sha256` is that of the slide without them then.
    resumed : int
        Tiles of an earlier run, which was interrupted, that were used again.
    """

    mode: str
    source: Path
    out: Path
    before: int
    after: int
    pages: Sequence[PageReport]
    sampled: int = 0
    sha256: str = ""
    kept: str = ""
    tissue: str = ""
    deidentified: bool = False
    resumed: int = 0

    @property
    def saved(self) -> float:
        """Share of the original's bytes."""
        return 1 - self.after / self.before if self.before else 0.0

    @property
    def tiles(self) -> int:
        """Tiles and strips of all pages."""
        return sum(page.tiles for page in self.pages)

    @property
    def copied(self) -> int:
        """Those that were copied."""
        return sum(sum(page.copied.values()) for page in self.pages)

    @property
    def emptied(self) -> int:
        """Tiles of glass that were left out."""
        return sum(page.emptied for page in self.pages)

    @property
    def painted(self) -> int:
        """Tiles whose glass was made white."""
        return sum(page.painted for page in self.pages)

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        facts = asdict(self)
        return facts | {
            "source": str(self.source),
            "out": str(self.out),
            "saved": round(self.saved, 4),
            "tiles": self.tiles,
            "copied": self.copied,
            "emptied": self.emptied,
            "painted": self.painted,
        }
