"""Which slides a cohort has: everything that is random about them, drawn before the first is painted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from napari_nic.errors import InvalidParameterError
from napari_nic.synthetic import Lesion, SyntheticSlideSpec
from napari_nic.synthetic.cohorts.parts import PARTS
from napari_nic.synthetic.spec import LARGEST_SHARE

PAINTED = ""
"""Source of slides that are painted, not composed of tiles."""

CELL_UM = 64.0
"""Slides are measured in patches of 128 px at 0.5 um/px."""

STAIN_OF_TILES = 0.5
"""Composed slides vary in stain by half of what painted ones do: their tiles differ already."""

_STREAM = 61


@dataclass(frozen=True)
class CohortOptions:
    """Size and make of a cohort.

    Attributes
    ----------
    train, validation, test : int
        Slides of each part; every second one has a lesion.
    seed : int
    mpp : float
        Um per pixel of the slides.
    sides : (int, int)
        Least and largest side of a slide in cells of 64 um.
    shares : (float, float)
        Least and largest lesion as a share of the tissue, drawn evenly on a logarithmic scale.
    """

    train: int = 160
    validation: int = 40
    test: int = 80
    seed: int = 2019
    mpp: float = 0.5
    sides: tuple[int, int] = (20, 28)
    shares: tuple[float, float] = (0.005, 0.5)

    def __post_init__(self) -> None:
        if min(self.count(part) for part in PARTS) < 2:
            raise InvalidParameterError(
                "each part of a cohort needs a slide with and one without a lesion",
                expected="at least 2 slides for train, validation and test",
                found=f"{self.train}, {self.validation}, {self.test}",
            )
        least, most = self.shares
        if not 0 < least <= most <= LARGEST_SHARE or not 0 < self.sides[0] <= self.sides[1]:
            raise InvalidParameterError(
                "lesions or slides of such sizes cannot be made",
                expected=f"shares above 0 and up to {LARGEST_SHARE}; sides above 0; the least first",
                found=f"shares {self.shares}, sides {self.sides}",
            )

    def count(self, part: str) -> int:
        """Slides of a part."""
        return int(getattr(self, part))

    @property
    def total(self) -> int:
        """Slides of all parts."""
        return sum(self.count(part) for part in PARTS)


@dataclass(frozen=True)
class PlannedSlide:
    """One slide.

    Attributes
    ----------
    name : str
    part : {"train", "validation", "test"}
    source : str
        Folder of tiles that it is composed of, or ``PAINTED``.
    has_lesion : bool
        Its label.
    spec : SyntheticSlideSpec
        With a lesion; in a composed slide without one, it is the place of the decoy.
    """

    name: str
    part: str
    source: str
    has_lesion: bool
    spec: SyntheticSlideSpec

    @property
    def lesion_share(self) -> float:
        """Of the tissue; 0 without a lesion."""
        return self.spec.lesions[0].share if self.has_lesion else 0.0

    def to_dict(self) -> dict[str, Any]:
        """JSON form: the slide's recipe."""
        return asdict(self)


def plan_slides(
    options: CohortOptions, sources: Mapping[str, tuple[str, ...]] | None = None
) -> tuple[PlannedSlide, ...]:
    """Draw the slides of a cohort.

    Parameters
    ----------
    options : CohortOptions
    sources : mapping of str to tuple of str, optional
        Folders of tiles that each part can be composed of; without, slides are painted.

    Returns
    -------
    tuple of PlannedSlide
        Training slides first. Sources take turns, with a lesion and without.
    """
    slides: list[PlannedSlide] = []
    for number, part in enumerate(PARTS):
        rng = np.random.default_rng((_STREAM, options.seed, number))
        of_part = (PAINTED,) if sources is None else sources[part]
        for index in range(options.count(part)):
            # Neighbours differ in label, pairs of neighbours in source.
            source = of_part[index // 2 % len(of_part)]
            slides.append(_draw(f"{part}-{index:03d}", part, source, index % 2 == 1, options, rng))
    return tuple(slides)


def _draw(
    name: str, part: str, source: str, has_lesion: bool, options: CohortOptions, rng: np.random.Generator
) -> PlannedSlide:
    # All is drawn in the same order for both labels: nothing but the lesion may tell them apart.
    cell = CELL_UM / options.mpp
    height, width = (
        round(int(side) * cell) for side in rng.integers(options.sides[0], options.sides[1] + 1, 2)
    )
    low, high = np.log(options.shares)
    lesion = Lesion(float(np.exp(rng.uniform(low, high))))
    composed = source != PAINTED
    spec = SyntheticSlideSpec(
        height=height,
        width=width,
        mpp=options.mpp,
        seed=int(rng.integers(2**31)),
        lesions=(lesion,) if has_lesion or composed else (),
        coverage=float(rng.uniform(0.45, 0.65)),
        fat=float(rng.uniform(0.0, 0.25)),
        lymphoid=float(rng.uniform(0.0, 0.05)),
        gland_spacing_um=float(rng.uniform(160, 320)),
        stain_variation=STAIN_OF_TILES if composed else 1.0,
    )
    return PlannedSlide(name, part, source, has_lesion, spec)
