"""Whether the line under a saliency map is right: its verdict against the map's pixel AUC.

    OMP_NUM_THREADS=1 python benchmarks/saliency_reliability.py --out OUT --data ../shared/data/patches

Pictures with a known outline are cut into patches and encoded by the default encoder: histology painted by
code, and tiles of two organs with an expert's outline of tumour. Slides are put together of these codes: a
blob of tissue whose cells are normal ones of one picture group, and in every second slide a clump of cells
from inside of outlines. Pictures serve one part only (to learn from, to choose the epoch, to test on). Models
are trained on labels of slides alone, from weak to good (few slides and epochs to many, two folds each),
and explain the test slides of their cohort, those of the others, and real regions of another organ.

Each map gets the numbers of ``napari_nic.explain.check_saliency`` and its pixel AUC against the outline.
``--fit`` chooses thresholds on the cohorts of seed 0 anew. What is there already is gone on with.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from napari_nic.encoders import DEFAULT_ENCODER, Encoder, load_encoder
from napari_nic.evaluation.cutting import stained_share
from napari_nic.explain import CHECKS, MARKS, check_saliency, grad_cam, verdict_of
from napari_nic.geometry import RegionPx
from napari_nic.jobs import result_of
from napari_nic.metrics import auc
from napari_nic.patches import Tile, TileFolder, load_tiles
from napari_nic.slide_models import (
    LabelledSlide,
    ModelBundle,
    ModelCard,
    SlideNetConfig,
    TrainingSettings,
    train,
)
from napari_nic.synthetic import Lesion, Scene, SyntheticSlideSpec

SEEING_MPP, SIDE = 1.0, 64
"""What the default encoder sees: 64 px of 1 um."""

PARTS = ("train", "validation", "test")
PAINTED = {"train": 4, "validation": 2, "test": 3}
PAINTED_SIDE = 7
TILES = {
    "composed-0": (TileFolder(Path("camelyon_pre_512"), 0.5, group=r"(\d{4})\d"), (12, 10, 10)),
    "composed-1": (TileFolder(Path("ocdc_oscc_640"), 0.5, group=r"(\d{7})"), (5, 2, 3)),
}
"""Tiles with outlines, and how many, in order, are of which part: neighbours are of one slide."""
COHORTS = ("painted-0", "composed-0", "composed-1", "painted-1")
REGIONS = TileFolder(Path("bcss_large"), 0.25)

SLIDES = {"train": 40, "validation": 12, "test": 12}
GRID, TISSUE, LESIONS = (12, 16), 0.6, (0.03, 0.5)
NORMAL_MOST, LESION_LEAST, TISSUE_LEAST = 0.02, 0.9, 0.5
"""Share of a patch that is inside of outlines; share that is stained."""
LEAST_PATCHES = 4
LESION = 1
GOOD_AUC, RIGHT = 0.8, 0.9
"""Of the maps called reliable so many are to have a pixel AUC above this."""
FOLDS = 2


def chose(row: Mapping[str, Any]) -> bool:
    """Whether a map is one of those that thresholds were chosen on."""
    return bool(row["on"] == row["cohort"] and row["cohort"].endswith("-0"))


GROUPS: dict[str, Callable[[Mapping[str, Any]], bool]] = {
    "cohorts that chose thresholds": chose,
    "cohorts that did not": lambda row: row["on"] == row["cohort"] and not chose(row),
    "real regions": lambda row: row["on"] == "regions",
}


@dataclass(frozen=True)
class Level:
    """How much a model is taught."""

    name: str
    slides: int
    epochs: int


LEVELS = (Level("weak", 8, 1), Level("fair", 16, 8), Level("good", 40, 30))


@dataclass(frozen=True, eq=False)
class Patches:
    """Codes (n, C) of a group of pictures, and what share of each is inside of outlines (n,)."""

    group: str
    codes: np.ndarray
    inside: np.ndarray

    @property
    def normal(self) -> np.ndarray:
        """Codes of patches outside of outlines."""
        return self.codes[self.inside <= NORMAL_MOST]

    @property
    def lesion(self) -> np.ndarray:
        """Codes of patches inside of them."""
        return self.codes[self.inside >= LESION_LEAST]


def encode(tile: Tile, encoder: Encoder, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return codes (rows, cols, C), shares inside of outlines and whether it is tissue, both (rows, cols)."""
    height, width = (range(0, size - SIDE + 1, step) for size in tile.image.shape[:2])
    places = [(y, x) for y in height for x in width]
    images = np.stack([tile.image[y : y + SIDE, x : x + SIDE] for y, x in places])
    mask = np.zeros(tile.image.shape[:2], bool) if tile.mask is None else tile.mask
    inside = np.array([mask[y : y + SIDE, x : x + SIDE].mean() for y, x in places])
    tissue = np.array([stained_share(image) >= TISSUE_LEAST for image in images])
    codes = np.concatenate([encoder.encode(images[at : at + 64]) for at in range(0, len(images), 64)])
    shape = (len(height), len(width))
    return codes.reshape(*shape, -1), inside.reshape(shape), tissue.reshape(shape)


def paint(part: str, number: int, seed: int) -> Tile:
    """Paint a picture of tissue with a large lesion."""
    rng = np.random.default_rng((seed, PARTS.index(part), number))
    side = PAINTED_SIDE * SIDE * 2
    spec = SyntheticSlideSpec(
        side, side, mpp=SEEING_MPP / 2, seed=int(rng.integers(2**31)), lesions=(Lesion(0.45),), coverage=0.75,
        fat=float(rng.uniform(0, 0.25)), lymphoid=float(rng.uniform(0, 0.05)),
        gland_spacing_um=float(rng.uniform(160, 320)),
    )  # fmt: skip
    scene = Scene(spec)
    mask = np.zeros((side, side), np.uint8)
    for polygon in scene.lesion_polygons():
        cv2.fillPoly(mask, [np.asarray(polygon.exterior.coords).round().astype(np.int32)], 1)
    image = cv2.resize(
        scene.read(RegionPx(0, 0, side, side)), (side // 2, side // 2), interpolation=cv2.INTER_AREA
    )
    return Tile(image, f"painted {part} {number}", mask=cv2.resize(mask, (side // 2, side // 2)) > 0)


def pictures(cohort: str, data: Path) -> Iterator[tuple[str, Tile]]:
    """Yield the pictures of a cohort with their parts."""
    if cohort.startswith("painted"):
        seed = int(cohort.rpartition("-")[2])
        yield from ((part, paint(part, n, seed)) for part in PARTS for n in range(PAINTED[part]))
        return
    folder, counts = TILES[cohort]
    tiles = load_tiles([replace(folder, path=data / folder.path)], mpp=SEEING_MPP, least_side=SIDE).tiles
    ordered = sorted(tiles, key=lambda tile: tile.group)
    yield from zip(np.repeat(PARTS, counts).tolist(), ordered, strict=True)


def bank_of(cohort: str, data: Path, out: Path, encoder: Encoder) -> dict[str, list[Patches]]:
    """Return the codes of a cohort's pictures by part; a part's pictures of one group together."""
    file = out / f"{cohort}.npz"
    if not file.is_file():
        found: dict[str, list[np.ndarray]] = {}
        for part, tile in pictures(cohort, data):
            codes, inside, tissue = encode(tile, encoder, SIDE * 3 // 4)
            for name, values in (("codes", codes[tissue]), ("inside", inside[tissue])):
                found.setdefault(f"{part}|{tile.group}|{name}", []).append(values)
        np.savez(file, **{name: np.concatenate(values) for name, values in found.items()})
        print(f"encoded {cohort}", flush=True)
    arrays = dict(np.load(file))
    bank: dict[str, list[Patches]] = {part: [] for part in PARTS}
    for part, group in sorted({tuple(name.split("|")[:2]) for name in arrays}):
        bank[part].append(Patches(group, *(arrays[f"{part}|{group}|{n}"] for n in ("codes", "inside"))))
    return bank


@dataclass(frozen=True, eq=False)
class Outlined:
    """A slide of codes with its lesion."""

    name: str
    codes: np.ndarray
    mask: np.ndarray
    inside: np.ndarray

    def labelled(self) -> LabelledSlide:
        """Return it as a slide to learn from."""
        return LabelledSlide(self.name, self.codes, self.mask, int(self.inside.any()))


def compose(bank: Sequence[Patches], count: int, seed: int) -> list[Outlined]:
    """Put slides together; every second one has a lesion, and nothing else tells them apart."""
    rng = np.random.default_rng(seed)
    normal = [patches for patches in bank if len(patches.normal) >= LEAST_PATCHES]
    lesion = [patches for patches in bank if len(patches.lesion) >= LEAST_PATCHES]
    slides = []
    for index in range(count):
        shape = tuple(rng.integers(GRID[0], GRID[1] + 1, 2).tolist())
        mask = top_cells(blob(shape, rng), np.ones(shape, bool), TISSUE)
        low, high = np.log(LESIONS)
        share, chosen = float(np.exp(rng.uniform(low, high))), normal[int(rng.integers(len(normal)))]
        ill = next((p for p in lesion if p.group == chosen.group), lesion[int(rng.integers(len(lesion)))])
        inside = top_cells(blob(shape, rng), mask, share) if index % 2 else np.zeros(shape, bool)
        codes = np.zeros((*shape, chosen.codes.shape[1]), np.float16)
        codes[mask] = rng.choice(chosen.normal, int(mask.sum()))
        if inside.any():
            codes[inside] = rng.choice(ill.lesion, int(inside.sum()))
        slides.append(Outlined(f"slide {index}", codes, mask, inside))
    return slides


def blob(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Return noise that is high in one clump."""
    height, width = shape
    at = rng.uniform(0.2, 0.8, 2) * (height, width)
    distance = np.hypot(*(np.indices(shape) - at[:, None, None])) / max(shape)
    return cv2.GaussianBlur(rng.standard_normal(shape), (0, 0), 1.5) * 0.3 - distance


def top_cells(values: np.ndarray, mask: np.ndarray, share: float) -> np.ndarray:
    """Return the highest cells of a mask, at least one."""
    count = max(1, round(share * int(mask.sum())))
    return mask & (values >= np.sort(values[mask])[-count])


def regions(data: Path, out: Path, encoder: Encoder) -> list[Outlined]:
    """Read the real regions, cell by cell as compressing them does."""
    file = out / "regions.npz"
    if not file.is_file():
        folder = replace(REGIONS, path=data / REGIONS.path)
        found = {}
        for tile in load_tiles([folder], mpp=SEEING_MPP, least_side=SIDE).tiles:
            for name, values in zip(("codes", "inside", "mask"), encode(tile, encoder, SIDE), strict=True):
                found[f"{Path(tile.group).stem}|{name}"] = values
        np.savez(file, **found)
    arrays = dict(np.load(file))
    slides = []
    for name in sorted({key.split("|")[0] for key in arrays}):
        codes, share, mask = (arrays[f"{name}|{what}"] for what in ("codes", "inside", "mask"))
        slides.append(Outlined(name, codes.astype(np.float16), mask, (share >= 0.5) & mask))
    return slides


def train_models(
    out: Path, cohort: str, level: Level, bank: dict[str, list[Patches]], encoder: Encoder
) -> list[ModelBundle]:
    """Train what is not there of a cohort's models of a level, one for each fold."""
    seed = COHORTS.index(cohort) * 10
    learn, choose = (compose(bank[part], SLIDES[part], seed + n) for n, part in enumerate(PARTS[:2]))
    folders = [out / "models" / f"{cohort}-{level.name}-{fold}" for fold in range(FOLDS)]
    for fold, folder in enumerate(folders):
        if not (folder / "model.json").is_file():
            train_model(level, fold, learn, choose, encoder).save(folder)
            print(f"trained {folder.name}", flush=True)
    return [ModelBundle.load(folder) for folder in folders]


def train_model(
    level: Level, fold: int, learn: Sequence[Outlined], choose: Sequence[Outlined], encoder: Encoder
) -> ModelBundle:
    """Train one model on the pairs of slides that its fold draws."""
    drawn = np.random.default_rng((level.slides, fold)).permutation(len(learn) // 2)
    pairs = drawn[: min(level.slides // 2, len(drawn) * 3 // 4)]
    chosen = [learn[int(pair) * 2 + label].labelled() for pair in pairs for label in (0, 1)]
    network = SlideNetConfig.compact(encoder.spec.code_size, 1, GRID[1], width=32)
    card = ModelCard(
        name=f"{level.name}-{fold}",
        task="classification",
        class_names=("normal", "lesion"),
        encoder=encoder.spec.to_dict(),
        network=replace(network, dropout=0.5),
    )
    settings = TrainingSettings(
        epochs=level.epochs,
        steps=10,
        batch_size=8,
        learning_rate=3e-3,
        weight_decay=2e-2,
        patience=12,
        seed=fold,
    )
    reports = train(card, chosen, [slide.labelled() for slide in choose], settings=settings, device="cpu")
    best = [report.best for report in reports][-1]
    if best is None:
        raise RuntimeError("no epoch was finished")
    return best


def measure(models: Sequence[ModelBundle], slides: Sequence[Outlined]) -> Iterator[dict[str, Any]]:
    """Check the maps of all models of a level on all slides."""
    for number, bundle in enumerate(models):
        others = [other for other in models if other is not bundle]
        for slide in slides:
            if not slide.inside.any():
                continue
            saliency = grad_cam(bundle, slide.codes, slide.mask, target=LESION, device="cpu")
            found = result_of(check_saliency(bundle, slide.codes, saliency, folds=others, device="cpu"))
            inside = slide.inside[slide.mask]
            yield {
                "model": number,
                "slide": slide.name,
                "lesion": float(inside.mean()),
                "pixel_auc": float(auc(saliency.values[slide.mask], inside)),
                **found.to_dict(),
            }


def measure_all(out: Path, data: Path, levels: Sequence[str]) -> None:
    """Measure what is not there, the best models first."""
    (out / "rows").mkdir(exist_ok=True, parents=True)
    encoder = load_encoder(DEFAULT_ENCODER, device="cpu")
    sets = {"regions": regions(data, out, encoder)}
    for level in (level for level in reversed(LEVELS) if level.name in levels):
        for cohort in COHORTS:
            bank = bank_of(cohort, data, out, encoder)
            sets[cohort] = compose(bank["test"], SLIDES["test"], COHORTS.index(cohort) * 10 + 2)
            models = train_models(out, cohort, level, bank, encoder)
            for on in (cohort, "regions"):
                file = out / "rows" / f"{cohort} {level.name} {on}.json"
                if not file.is_file():
                    file.write_text(json.dumps(list(measure(models, sets[on]))))
                    print(f"measured {file.stem}", flush=True)


def read_rows(out: Path, levels: Sequence[str]) -> list[dict[str, Any]]:
    """Read what was measured, each row with the cohort, the level and the slides that it is of."""
    rows = []
    for file in sorted((out / "rows").glob("*.json")):
        cohort, level, on = file.stem.split()
        if level not in levels:
            continue
        of = {"cohort": cohort, "level": level, "on": on}
        rows += [{**row, **of, "says": verdict_of(row)} for row in json.loads(file.read_text())]
    return rows


def print_verdicts(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print how right the maps of each verdict are, on the cohorts that chose thresholds and on others."""
    print(f"\n| maps of | verdict | maps | pixel AUC, mean | least | above {GOOD_AUC:g} |")
    print("|---|---|---|---|---|---|")
    for name, chosen in GROUPS.items():
        for verdict in ("reliable", "uncertain", "not reliable"):
            aucs = np.array([row["pixel_auc"] for row in rows if chosen(row) and row["says"] == verdict])
            if len(aucs):
                share = f"{100 * (aucs > GOOD_AUC).mean():.0f} %"
                print(
                    f"| {name} | {verdict} | {len(aucs)} | {aucs.mean():.2f} | {aucs.min():.2f} | {share} |"
                )
            else:
                print(f"| {name} | {verdict} | 0 | | | |")


def print_levels(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print what is said of the models of each level."""
    print("\n| trained on | level | slides of | maps | pixel AUC | reliable | uncertain | not reliable |")
    print("|---|---|---|---|---|---|---|---|")
    for key in sorted({(row["cohort"], row["on"] == "regions", row["level"]) for row in rows}):
        part = [r for r in rows if (r["cohort"], r["on"] == "regions", r["level"]) == key]
        counts = [sum(row["says"] == verdict for row in part) for verdict in MARKS]
        on = "real regions" if key[1] else key[0]
        mean = np.mean([row["pixel_auc"] for row in part])
        print(f"| {key[0]} | {key[2]} | {on} | {len(part)} | {mean:.2f} | {' | '.join(map(str, counts))} |")


def fit(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print, for each number alone, where maps above it have a high pixel AUC nine times in ten."""
    chosen = [row for row in rows if chose(row)]
    good = np.array([row["pixel_auc"] > GOOD_AUC for row in chosen])
    print(f"\nof {len(chosen)} maps {100 * good.mean():.0f} % are above {GOOD_AUC:g}; each number alone:")
    for check in CHECKS:
        sign = 1 if check.limits.good >= check.limits.bad else -1
        values = np.array([np.nan if row[check.name] is None else sign * row[check.name] for row in chosen])
        limits = np.quantile(values[~np.isnan(values)], np.linspace(0, 0.95, 20))
        fine = [limit for limit in limits if good[values >= limit].mean() >= RIGHT]
        order = auc(np.nan_to_num(values, nan=-9), good)
        text = f"{sign * fine[0]:.3f}, {int((values >= fine[0]).sum())} maps" if fine else "nowhere"
        print(f"  {check.label:28} AUC for good maps {order:.2f}; nine in ten from {text}")


def main() -> None:
    """Parse the command line, measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of codes, models and numbers")
    parser.add_argument("--data", type=Path, required=True, help="folder of the tiles with outlines")
    names = [level.name for level in LEVELS]
    parser.add_argument(
        "--levels", nargs="+", choices=names, default=names, help="how well models are taught"
    )
    parser.add_argument("--fit", action="store_true", help="print what each number tells of maps as well")
    args = parser.parse_args()
    measure_all(args.out, args.data, args.levels)
    rows = read_rows(args.out, args.levels)
    if args.fit:
        fit(rows)
    print_levels(rows)
    print_verdicts(rows)


if __name__ == "__main__":
    main()
