"""Overlays as jobs of the plugin: what reads codes or runs a model, in a worker thread."""

from __future__ import annotations

from collections.abc import Callable, Generator

from napari_nic.embeddings import CompressedSlide
from napari_nic.explain import Overlay, channel_overlay, pca_overlay
from napari_nic.jobs import CancellationToken


def store_pca(store: CompressedSlide, token: CancellationToken | None = None) -> Overlay:
    """PCA picture of what a store holds."""
    codes = store.read(token=token)
    return pca_overlay(codes, store.encoded(), store.grid.placement, token=token)


def store_channel(store: CompressedSlide, channel: int, token: CancellationToken | None = None) -> Overlay:
    """One channel of what a store holds."""
    codes = store.read(token=token)
    if token is not None:
        token.checkpoint()
    return channel_overlay(codes, store.encoded(), store.grid.placement, channel)


def job(
    compute: Callable[[CancellationToken], object],
) -> Callable[[CancellationToken], Generator[None, None, object]]:
    """Make a job of one computation, which looks at the token when it can."""

    def run(token: CancellationToken) -> Generator[None, None, object]:
        yield
        token.checkpoint()
        return compute(token)

    return run
