"""Small pictures of slides beside what a model looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from napari_nic.embeddings import CompressedSlide
from napari_nic.errors import CancelledError, NicError
from napari_nic.explain import (
    PcaModel,
    Reliability,
    SaliencyMap,
    check_saliency,
    grad_cam,
    saliency_overlay,
    symmetric_limits,
)
from napari_nic.jobs import CancellationToken, checked, result_of
from napari_nic.notebook import png_address
from napari_nic.slide_models import ModelBundle
from napari_nic.slides import choice_options, open_slide, read_overview
from napari_nic.slides.hatching import hatched
from napari_nic.wording import counted

SIDE_PX = 280
"""Longest side of a picture."""

_GLASS = 255


@dataclass(frozen=True)
class Seen:
    """A slide to show, and the model to ask.

    Attributes
    ----------
    name : str
    store : Path
    picture : Path or None
        The slide itself, where it can be opened; else the codes are shown by their principal components.
    bundle : Path
    target : int
        Class, value or risk to explain.
    """

    name: str
    store: Path
    picture: Path | None
    bundle: Path
    target: int


@dataclass(frozen=True)
class Thumbnail:
    """A slide and its saliency as PNG data addresses; empty with a reason where there is none.

    Attributes
    ----------
    picture, saliency : str
    problem : str
        Why there are none.
    note : str
        What is to be known of the picture: parts that cannot be read, and are hatched.
    reliability : Reliability or None
        Whether the saliency should be believed.
    """

    picture: str = ""
    saliency: str = ""
    problem: str = ""
    note: str = ""
    reliability: Reliability | None = None


def make_thumbnails(
    seen: Sequence[Seen], *, device: str = "auto", token: CancellationToken | None = None
) -> list[Thumbnail]:
    """Picture slides and their saliency; the slides of one model share the limits of the colours.

    A slide that cannot be shown does not stop the others.

    Raises
    ------
    CancelledError
    """
    token = token or CancellationToken()
    maps: dict[str, SaliencyMap | str] = {}
    for entry in seen:
        token.checkpoint()
        maps[entry.name] = _explain(entry, device, token)
    limits = _limits(seen, maps)
    return [_thumbnail(entry, maps[entry.name], limits, device, token) for entry in checked(seen, token)]


def _explain(entry: Seen, device: str, token: CancellationToken) -> SaliencyMap | str:
    """Return the map, or why there is none."""
    try:
        bundle, store = ModelBundle.load(entry.bundle), CompressedSlide.open(entry.store)
        return grad_cam(
            bundle, store.read(token=token), store.encoded(), target=entry.target, device=device, token=token
        )
    except CancelledError:
        raise
    except NicError as error:
        return error.problem


def _limits(seen: Sequence[Seen], maps: Mapping[str, SaliencyMap | str]) -> dict[Path, tuple[float, float]]:
    values: dict[Path, list[np.ndarray]] = {}
    for entry in seen:
        found = maps[entry.name]
        if isinstance(found, SaliencyMap):
            values.setdefault(entry.bundle, []).append(found.values[found.mask])
    return {bundle: symmetric_limits(np.concatenate(parts)) for bundle, parts in values.items()}


def _thumbnail(
    entry: Seen,
    found: SaliencyMap | str,
    limits: Mapping[Path, tuple[float, float]],
    device: str,
    token: CancellationToken,
) -> Thumbnail:
    if isinstance(found, str):
        return Thumbnail(problem=found)
    store = CompressedSlide.open(entry.store)
    overlay = saliency_overlay(found, store.grid.placement, limits=limits[entry.bundle])
    heat = overlay.to_rgba().astype(np.float32)
    alpha = heat[..., 3:] / _GLASS
    flat = heat[..., :3] * alpha + _GLASS * (1 - alpha)
    photograph = _photograph(entry.picture, store, token)
    picture = _fitted(photograph.image, smooth=photograph.smooth)
    heat_picture = _fitted(flat.astype(np.uint8), smooth=False)
    bundle, codes = ModelBundle.load(entry.bundle), store.read(token=token)
    reliability = result_of(check_saliency(bundle, codes, found, device=device, token=token))
    return Thumbnail(
        png_address(picture), png_address(heat_picture), note=photograph.note, reliability=reliability
    )


@dataclass(frozen=True, eq=False)
class _Photograph:
    """A slide over its grid, or its codes as colours: (h, w, 3) uint8."""

    image: np.ndarray
    smooth: bool
    note: str = ""


def _photograph(path: Path | None, store: CompressedSlide, token: CancellationToken) -> _Photograph:
    """Return the slide over its grid or, where it cannot be opened, its codes as colours."""
    if path is not None:
        try:
            return _overview(path, store, token)
        except CancelledError:
            raise
        except NicError:
            # A slide that was moved or cannot be read any more still has its codes.
            pass
    mask = store.encoded()
    codes = store.read(token=token)
    colors = PcaModel.fit(codes, mask, token=token).to_rgb(codes, mask, token=token)
    colors[~mask] = _GLASS
    return _Photograph(colors[..., :3], smooth=False)


def _overview(path: Path, store: CompressedSlide, token: CancellationToken) -> _Photograph:
    pixel = store.grid.pixel_size
    rows, cols = store.grid.shape
    step = store.grid.placement.step_um
    with open_slide(path, **choice_options(store.header.choice)) as slide:
        mpp = max(rows * step[0], cols * step[1]) / SIDE_PX
        view = read_overview(slide.with_pixel_size(pixel), mpp, token=token)
    extent = np.array((rows, cols)) * step / view.placement.step_um
    height, width = (round(float(side)) for side in extent)
    stripes = hatched(*view.image.shape[:2])
    for tile in view.damaged:
        part = tile.region.slices
        view.image[part] = stripes[part]
    note = f"{counted(len(view.damaged), 'tile')} cannot be read (hatched)" if view.damaged else ""
    return _Photograph(view.image[: max(1, height), : max(1, width)], smooth=True, note=note)


def _fitted(image: np.ndarray, *, smooth: bool) -> np.ndarray:
    """Scale to the size of a thumbnail."""
    factor = SIDE_PX / max(image.shape[:2])
    size = tuple(max(1, round(side * factor)) for side in image.shape[1::-1])
    shrink = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return cv2.resize(image, size, interpolation=shrink if smooth else cv2.INTER_NEAREST)
