"""How to compress, besides the encoder: what the user asks for, and what a store was made with."""

from __future__ import annotations

from dataclasses import dataclass, replace

from napari_nic.embeddings import CompressedSlide
from napari_nic.pipeline import MIN_TISSUE, GridOptions


@dataclass(frozen=True)
class CompressOptions:
    """How to compress, besides the encoder; None leaves it to the store, or else to the default.

    Attributes
    ----------
    device, precision : str
        See :func:`napari_nic.encoders.load_encoder`; precision ``"auto"`` goes on in the store's own.
    overlap : float, optional
        Share by which neighbouring patches overlap, 0 to 0.75; 0 by default.
    min_tissue : float, optional
        Least share of a patch that must be tissue; the pipeline's own by default.
    """

    device: str = "auto"
    precision: str = "auto"
    overlap: float | None = None
    min_tissue: float | None = None

    def completed(self, store: CompressedSlide | None) -> CompressOptions:
        """Fill in what was left open: as the store was made or, without one, the defaults."""
        made = made_with(store)
        return replace(
            self,
            overlap=made.overlap if self.overlap is None else self.overlap,
            min_tissue=made.min_tissue if self.min_tissue is None else self.min_tissue,
        )

    def grid(self, patch_size: int) -> GridOptions:
        """Options of the grid for patches of `patch_size` px; what was left open is the default."""
        whole = self.completed(None)
        overlap, share = whole.overlap or 0.0, whole.min_tissue
        return GridOptions(
            stride=max(1, round(patch_size * (1 - overlap))),
            min_tissue=MIN_TISSUE if share is None else share,
        )

    def differ_from(self, store: CompressedSlide, patch_size: int) -> bool:
        """Whether they ask for other cells or codes than a store holds."""
        if self.precision not in ("auto", store.header.precision):
            return True
        return self.completed(store).grid(patch_size) != made_with(store).grid(patch_size)


def made_with(store: CompressedSlide | None) -> CompressOptions:
    """Options that a store was made with; the defaults without one.

    The precision stays ``"auto"``, which takes up that of the store.
    """
    if store is None:
        return CompressOptions(overlap=0.0, min_tissue=MIN_TISSUE)
    return CompressOptions(
        overlap=1 - store.grid.stride_px / store.grid.patch_px,
        min_tissue=float(store.header.tissue.get("min_fraction", MIN_TISSUE)),
    )
