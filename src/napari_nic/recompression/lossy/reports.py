"""What a lossy run came to, or would come to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from napari_nic.recompression.lossy.journal import Placed
from napari_nic.slides import Level


@dataclass(frozen=True)
class LevelReport:
    """A level of the result.

    Attributes
    ----------
    shape, tile : (int, int)
        (rows, cols).
    tiles : int
        Places of tiles.
    stored : int
        Of these, those for which something was encoded.
    size : int
        Bytes of all that is stored.
    painted, glass, missing : int
        Tiles whose glass was made white, those that were all glass, those that the slide leaves out.
    better : mapping of str to int
        Why tiles were encoded with a better quality than asked for, and how many.
    failed : mapping of str to int
        Why tiles did not pass the check, even with the best quality of their codec, and how many.
    """

    shape: tuple[int, int]
    tile: tuple[int, int]
    tiles: int
    stored: int
    size: int
    painted: int = 0
    glass: int = 0
    missing: int = 0
    better: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, level: Level, placed: Iterable[Placed]) -> LevelReport:
        """Count the tiles of a level."""
        tiles = list(placed)
        kinds = Counter(one.kind for one in tiles)
        places = {one.offset: one.length for one in tiles if one.length and one.kind in ("glass", "missing")}
        own = [one.length for one in tiles if one.kind in ("tile", "painted")]
        return cls(
            shape=(level.height, level.width),
            tile=level.tile,
            tiles=len(tiles),
            stored=len(own),
            size=sum(own) + sum(places.values()),
            painted=kinds["painted"],
            glass=kinds["glass"],
            missing=kinds["missing"],
            better=dict(Counter(one.why for one in tiles if one.attempt and one.passed)),
            failed=dict(Counter(one.why for one in tiles if not one.passed)),
        )

    @property
    def bits_per_pixel(self) -> float:
        """Of all pixels of the level."""
        return 8 * self.size / (self.shape[0] * self.shape[1])


@dataclass(frozen=True)
class LossyReport:
    """A whole result.

    Attributes
    ----------
    source, out : Path
    before, after : int
        Bytes of the files.
    codec, subsampling, container : str
    quality : float
    levels : tuple of LevelReport
    encode_seconds, decode_seconds : float
        Of all tiles of this run, of all threads together.
    resumed : int
        Tiles that an earlier run had finished.
    sampled : int
        Tiles that were tried, where nothing was written; 0 otherwise.
    tissue : str
        How the tissue was found, where glass was removed.
    notes : tuple of str
        Sentences that a user should read.
    kept : str
        Why the original was not replaced, although that was asked for; empty otherwise.
    """

    source: Path
    out: Path
    before: int
    after: int
    codec: str
    quality: float
    subsampling: str
    container: str
    levels: tuple[LevelReport, ...]
    encode_seconds: float = 0.0
    decode_seconds: float = 0.0
    resumed: int = 0
    sampled: int = 0
    tissue: str = ""
    notes: tuple[str, ...] = ()
    kept: str = ""

    @property
    def saved(self) -> float:
        """Share of the original's bytes."""
        return 1 - self.after / self.before if self.before else 0.0

    @property
    def tiles(self) -> int:
        """Places of tiles of all levels."""
        return sum(level.tiles for level in self.levels)

    @property
    def better(self) -> Mapping[str, int]:
        """Why tiles were encoded with a better quality than asked for, and how many, of all levels."""
        found: Counter[str] = Counter()
        for level in self.levels:
            found.update(level.better)
        return dict(found)

    @property
    def failed(self) -> int:
        """Tiles that did not pass the check, even with the best quality of their codec."""
        return sum(sum(level.failed.values()) for level in self.levels)

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        facts = asdict(self)
        levels = [asdict(level) | {"bits_per_pixel": round(level.bits_per_pixel, 4)} for level in self.levels]
        return facts | {
            "source": str(self.source),
            "out": str(self.out),
            "saved": round(self.saved, 4),
            "levels": levels,
            "better": self.better,
            "failed": self.failed,
        }
