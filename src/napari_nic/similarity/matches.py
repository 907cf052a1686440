"""What a search finds, and its table."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from napari_nic.disk import write_text
from napari_nic.embeddings import CompressedSlide

COLUMNS = ("rank", "slide", "similarity", "row", "column", "x_px", "y_px", "width_px", "height_px", "store")


@dataclass(frozen=True)
class Match:
    """A cell that is like the query.

    Attributes
    ----------
    store : Path
    slide_name, slide_fingerprint : str
    row, col : int
        The cell.
    similarity : float
        Cosine similarity with the query, -1 to 1.
    box_px : (float, float, float, float)
        (y, x, height, width) of its patch in level-0 pixels.
    centre_um : (float, float)
        (y, x) of the patch's centre from the slide's corner.
    """

    store: Path
    slide_name: str
    slide_fingerprint: str
    row: int
    col: int
    similarity: float
    box_px: tuple[float, float, float, float]
    centre_um: tuple[float, float]

    @classmethod
    def of(cls, store: CompressedSlide, row: int, col: int, similarity: float) -> Match:
        """Describe a cell of a store."""
        grid = store.grid
        y, x = grid.patch_corner_px(row, col)
        side = grid.patch_px * grid.downsample[0], grid.patch_px * grid.downsample[1]
        centre = grid.placement.corner_um(row + 0.5, col + 0.5)
        name, fingerprint = store.slide_name, store.header.slide_fingerprint
        return cls(store.path, name, fingerprint, row, col, similarity, (y, x, *side), centre)

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        y, x, height, width = self.box_px
        return {
            "slide": self.slide_name,
            "similarity": round(self.similarity, 6),
            "row": self.row,
            "column": self.col,
            "x_px": x,
            "y_px": y,
            "width_px": width,
            "height_px": height,
            "store": str(self.store),
        }


def matches_csv(matches: Sequence[Match]) -> str:
    """Write matches as a table, the best one first; places are level-0 pixels of each slide."""
    out = StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for rank, match in enumerate(matches, 1):
        entry = match.to_dict()
        places = {name: f"{entry[name]:.10g}" for name in COLUMNS if name.endswith("_px")}
        writer.writerow({"rank": rank} | entry | places | {"similarity": f"{match.similarity:.6f}"})
    return out.getvalue()


def write_matches(matches: Sequence[Match], path: Path) -> None:
    """Write :func:`matches_csv` into a file, which is replaced when the new one is whole.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    write_text(path, matches_csv(matches))
