"""Codes as a map in the plane, with the patches themselves drawn on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_nic.errors import InvalidParameterError
from napari_nic.evaluation.encoding import EncodedSet
from napari_nic.evaluation.plots import colors, save
from napari_nic.evaluation.run import Outcome
from napari_nic.extras import check_installed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LAYOUTS = ("tsne", "umap")
MOST_PATCHES = 240
"""More would cover each other."""

PANEL = 6.0
"""Inches, side of one encoder's map."""

COLUMNS = 3
THUMBNAIL = 32
ZOOM = 0.55
FRAME = 2.5
MARGIN = 0.05
PERPLEXITY = 20
LEAST_PATCHES = 5
NEIGHBOURS = 15
"""UMAP's own default."""


def picture_codes(outcomes: Sequence[Outcome], file: Path, *, layout: str = "tsne", seed: int = 0) -> None:
    """Draw the codes of one set as maps, one for each encoder; the frame of a patch is its class.

    Every map shows the same patches where the encoders see the same, as many of each class as there are.

    Parameters
    ----------
    outcomes : sequence of Outcome
        Of one set.
    file : Path
        PNG, SVG or PDF, by its suffix.
    layout : str
        ``"tsne"`` (van der Maaten and Hinton 2008) or ``"umap"`` (McInnes et al. 2018).
    seed : int
        Of the choice of patches and of the map.

    Raises
    ------
    MissingDependencyError
        If matplotlib, or what makes the layout, is not installed.
    InvalidParameterError
        If no encoder has codes of the set, or the file cannot be written.
    """
    check_layout(layout)
    from matplotlib.figure import Figure

    shown = [(outcome.encoder.name, outcome.encoded) for outcome in outcomes if outcome.encoded is not None]
    if not shown:
        raise InvalidParameterError("there are no codes to draw")
    columns = min(COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(PANEL * columns, PANEL * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels:
        axes.set_axis_off()
    for axes, (name, encoded) in zip(panels, shown, strict=False):
        chosen = choose(encoded.labels, MOST_PATCHES, seed)
        _draw(axes, encoded, chosen, flatten(encoded.codes[chosen], layout=layout, seed=seed))
        axes.set_title(name)
    handles, labels = panels[0].get_legend_handles_labels()
    title = f"{outcomes[0].labelled.name}, {layout}"
    figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False, title=title)
    save(figure, file)


def check_layout(layout: str) -> None:
    """Raise if what a picture of this layout needs is not installed, or the layout is not known."""
    if layout not in LAYOUTS:
        raise InvalidParameterError(f"unknown layout {layout!r}", expected=f"one of {', '.join(LAYOUTS)}")
    check_installed("matplotlib", "the picture of codes")
    check_installed("sklearn" if layout == "tsne" else "umap", f"the layout {layout}")


def choose(labels: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Return indices of at most `most` patches, ascending, of every class as many where there are so many."""
    rng = np.random.default_rng(seed)
    classes = np.unique(labels)
    share = max(1, most // len(classes))
    parts = [rng.permutation(np.flatnonzero(labels == label))[:share] for label in classes]
    return np.sort(np.concatenate(parts))


def flatten(codes: np.ndarray, *, layout: str, seed: int) -> np.ndarray:
    """Lay codes (n, C) out in the plane, (n, 2), both sides 0 to 1.

    Raises
    ------
    InvalidParameterError
        If there are fewer than 5 codes.
    """
    if len(codes) < LEAST_PATCHES:
        raise InvalidParameterError(
            "there are too few patches for a map", expected=f"at least {LEAST_PATCHES}", found=str(len(codes))
        )
    if layout == "umap":
        from umap import UMAP

        count = min(NEIGHBOURS, len(codes) - 1)
        plane = UMAP(n_neighbors=count, random_state=seed, n_jobs=1).fit_transform(codes)
    else:
        from sklearn.manifold import TSNE

        perplexity = min(PERPLEXITY, (len(codes) - 1) / 3)
        start = "pca" if codes.shape[1] > 1 else "random"
        plane = TSNE(perplexity=perplexity, init=start, random_state=seed).fit_transform(codes)
    low, high = plane.min(axis=0), plane.max(axis=0)
    return np.asarray((plane - low) / np.where(high > low, high - low, 1))


def _draw(axes: Axes, encoded: EncodedSet, chosen: np.ndarray, places: np.ndarray) -> None:
    import cv2
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage

    names = encoded.patches.class_names
    palette = colors(len(names))
    for index, place in zip(chosen, places, strict=True):
        image = cv2.resize(
            encoded.patches.images[index], (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA
        )
        frame = {"edgecolor": palette[encoded.labels[index]], "linewidth": FRAME}
        box = AnnotationBbox(
            OffsetImage(image, zoom=ZOOM), tuple(place), pad=0.0, bboxprops=frame, frameon=True
        )
        axes.add_artist(box)
    for name, color in zip(names, palette, strict=True):
        axes.scatter([], [], marker="s", color=color, label=name)
    axes.set(xlim=(-MARGIN, 1 + MARGIN), ylim=(-MARGIN, 1 + MARGIN))
