"""A cohort of synthetic slides, compressed: what the demonstration model is trained and evaluated on."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from napari_nic.annotations import rasterise, read_annotations
from napari_nic.encoders import Encoder
from napari_nic.geometry import Placement
from napari_nic.jobs import CancellationToken, Progress
from napari_nic.pipeline import iter_compress, prepare_store
from napari_nic.slides import open_slide
from napari_nic.synthetic import Lesion, SyntheticSlideSpec, write_slide

CELL_PX = 128
SIDES = (20, 28)
"""Least and largest side of a slide in cells."""

LESION_SHARES = (0.02, 0.40)
"""Least and largest lesion as a share of the tissue; all sizes are as likely."""

COHORT_STREAM = 17


@dataclass(frozen=True, eq=False)
class CohortSlide:
    """A compressed synthetic slide in memory.

    Attributes
    ----------
    name : str
    codes : ndarray of float16, (rows, cols, C)
    mask : ndarray of bool, (rows, cols)
        Encoded cells.
    lesion : ndarray of float32, (rows, cols)
        Share of each cell that lies in a lesion. Never shown to the model.
    placement : Placement
    label : int
        1 with a lesion, 0 without: all that the model learns from.
    """

    name: str
    codes: np.ndarray
    mask: np.ndarray
    lesion: np.ndarray
    placement: Placement
    label: int


def cohort_specs(count: int, seed: int, *, sides: tuple[int, int] = SIDES) -> tuple[SyntheticSlideSpec, ...]:
    """Draw slides, every second one with a lesion; each has a stain of its own.

    Parameters
    ----------
    count, seed : int
    sides : (int, int)
        Least and largest side in cells of 128 px.
    """
    rng = np.random.default_rng((COHORT_STREAM, seed))
    return tuple(_draw(sides, with_lesion=index % 2 == 1, rng=rng) for index in range(count))


def _draw(sides: tuple[int, int], *, with_lesion: bool, rng: np.random.Generator) -> SyntheticSlideSpec:
    # Everything but the lesion is drawn alike for both classes, in the same order.
    height, width = (int(side) * CELL_PX for side in rng.integers(sides[0], sides[1] + 1, 2))
    share = float(rng.uniform(*LESION_SHARES))
    return SyntheticSlideSpec(
        height=height,
        width=width,
        seed=int(rng.integers(2**31)),
        lesions=(Lesion(share),) if with_lesion else (),
        coverage=float(rng.uniform(0.45, 0.65)),
        fat=float(rng.uniform(0.0, 0.25)),
        lymphoid=float(rng.uniform(0.0, 0.05)),
        gland_spacing_um=float(rng.uniform(160, 320)),
    )


def compress_cohort(
    specs: tuple[SyntheticSlideSpec, ...],
    encoder: Encoder,
    *,
    folder: Path | None = None,
    token: CancellationToken | None = None,
) -> Generator[Progress, None, list[CohortSlide]]:
    """Write, compress and delete slides one after another.

    Parameters
    ----------
    specs : tuple of SyntheticSlideSpec
    encoder : Encoder
    folder : Path, optional
        Where each slide lies for a moment; by default among the system's temporary files.
    token : CancellationToken, optional

    Yields
    ------
    Progress
        Slides done.

    Returns
    -------
    list of CohortSlide
        In the order of `specs`.
    """
    token = token or CancellationToken()
    slides: list[CohortSlide] = []
    for index, spec in enumerate(specs):
        token.checkpoint()
        yield Progress(index, len(specs), "painting and compressing", "slides")
        with TemporaryDirectory(dir=folder, prefix="napari-nic-") as temporary:
            slides.append(_compress_one(Path(temporary), f"synthetic-{index:03d}", spec, encoder, token))
    yield Progress(len(specs), len(specs), "painting and compressing", "slides")
    return slides


def _compress_one(
    folder: Path, name: str, spec: SyntheticSlideSpec, encoder: Encoder, token: CancellationToken
) -> CohortSlide:
    made = write_slide(folder / f"{name}.tif", spec, told=lambda _: token.checkpoint())
    with open_slide(made.path) as slide, prepare_store(slide, encoder, token=token) as store:
        for _ in iter_compress(slide, encoder, store, token=token):
            pass
        return CohortSlide(
            name=name,
            codes=store.read(token=token),
            mask=store.encoded(),
            lesion=rasterise(read_annotations(made.annotation_path), store.grid, token=token),
            placement=store.grid.placement,
            label=int(made.has_lesion),
        )
