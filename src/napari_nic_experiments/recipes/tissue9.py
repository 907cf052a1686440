"""Nine tissues of the bowel (NCT-CRC-HE-100K, CRC-VAL-HE-7K): frozen encoders and the paper's network.

::

    NCT-CRC-HE-100K/ADI/ADI-AAAFLCLY.tif ...      or NCT-CRC-HE-100K-NONORM
    CRC-VAL-HE-7K/ADI/ADI-TCGA-....tif ...

Tiles of 224 px at 0.5 um/px; the folder is the class. The first set teaches, the second one, of other
patients, is the test set.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from napari_nic.disk import replacing
from napari_nic.encoders import Encoder
from napari_nic.errors import InvalidParameterError
from napari_nic.evaluation import encode_patches
from napari_nic.evaluation.classifiers import CodeTable, get_classifier
from napari_nic.jobs import CancellationToken, Progress
from napari_nic.patches.tiles import TileFolder, load_tile, tile_files
from napari_nic_experiments.recipes.protocol import (
    PAPER_SEEDS,
    RESULTS_FILE,
    RESULTS_TABLE,
    RecipeDone,
)
from napari_nic_experiments.recipes.published import TISSUE9, markdown

NAME = "tissue9"
CLASSES = ("ADI", "BACK", "DEB", "LYM", "MUC", "MUS", "NORM", "STR", "TUM")
"""Fat, background, debris, lymphocytes, mucus, muscle, normal mucosa, stroma, tumour."""

TRAINING = ("NCT-CRC-HE-100K", "NCT-CRC-HE-100K-NONORM")
TESTING = "CRC-VAL-HE-7K"
TILE_MPP = 0.5
BATCH = 512
"""Tiles that are held in memory at once."""

NOTES = (
    "Trained on NCT-CRC-HE-100K, evaluated on CRC-VAL-HE-7K: tiles of other patients.",
    "Of a tile the centre is taken, as large as the encoder's patch.",
    "Tiles of the first set do not name their patients: the part of them that validates is drawn by tile.",
)


@dataclass(frozen=True)
class TileRecipe:
    """What is run.

    Attributes
    ----------
    training, testing : Path
        Folders whose sub-folders are classes.
    out : Path
    seeds : int
        Trainings of the small network.
    classifier : str
        See :func:`napari_nic.evaluation.classifiers.get_classifier`.
    per_class : int or None
        Training tiles of a class at most, the first ones; all by default.
    """

    training: Path
    testing: Path
    out: Path
    seeds: int = PAPER_SEEDS
    classifier: str = "mlp"
    per_class: int | None = None


@dataclass(frozen=True, eq=False)
class EncodedTiles:
    """Codes of labelled tiles.

    Attributes
    ----------
    codes : ndarray of float32, (n, C)
    labels : ndarray of int64, (n,)
        Index into ``CLASSES``.
    names : ndarray of str, (n,)
    """

    codes: np.ndarray
    labels: np.ndarray
    names: np.ndarray = field(repr=False)


def find_tissue9(folder: Path | str) -> tuple[Path, Path]:
    """Find both sets.

    Raises
    ------
    InvalidParameterError
        If one is not there, or lacks a class.
    """
    folder = Path(folder)
    training = next((folder / name for name in TRAINING if (folder / name).is_dir()), folder / TRAINING[0])
    for part in (training, folder / TESTING):
        lacking = [name for name in CLASSES if not (part / name).is_dir()]
        if lacking:
            raise InvalidParameterError(
                "the data set is not laid out as its makers publish it",
                path=part,
                expected=f"a folder for each of {', '.join(CLASSES)}",
                found=f"none for {', '.join(lacking)}",
                hint=f"name the folder that holds {TRAINING[0]} and {TESTING}",
            )
    return training, folder / TESTING


def run_tile_recipe(
    recipe: TileRecipe, encoder: Encoder, *, token: CancellationToken | None = None
) -> Iterator[Progress]:
    """Encode both sets, train the paper's small network on frozen codes, and evaluate it.

    Parameters
    ----------
    recipe : TileRecipe
    encoder : Encoder
    token : CancellationToken, optional

    Yields
    ------
    Progress
        The last one is a :class:`~napari_nic_experiments.recipes.protocol.RecipeDone`.

    Raises
    ------
    InvalidParameterError
        If tiles are smaller than the encoder's patch.
    CancelledError
    """
    token = token or CancellationToken()
    classify = get_classifier(recipe.classifier)
    training = yield from _encode(recipe.training, encoder, token, recipe.per_class)
    testing = yield from _encode(recipe.testing, encoder, token, None)
    table = CodeTable(training.codes, training.labels, training.names, len(CLASSES))
    found = []
    for seed in range(recipe.seeds):
        token.checkpoint()
        yield Progress(seed, recipe.seeds, "training on frozen codes", "seeds")
        found.append(classify(table, testing.codes, seed).argmax(axis=1) == testing.labels)
    accuracies = [float(right.mean()) for right in found]
    results: dict[str, Any] = {
        "recipe": NAME,
        "encoder": encoder.spec.name,
        "tiles": {"training": len(training.labels), "testing": len(testing.labels)},
        "accuracy": accuracies,
        "by_class": {name: _of_class(found, testing.labels == k) for k, name in enumerate(CLASSES)},
        "ours": {"accuracy": f"{np.mean(accuracies):.3f} ({np.std(accuracies):.3f})"},
        "notes": list(NOTES),
    }
    _write(recipe.out, results)
    yield RecipeDone(1, 1, "done", "recipes", results=results)


def _encode(
    folder: Path, encoder: Encoder, token: CancellationToken, per_class: int | None
) -> Generator[Progress, None, EncodedTiles]:
    files = [(k, file) for k, name in enumerate(CLASSES) for file in tile_files(folder / name)[:per_class]]
    codes = []
    for start in range(0, len(files), BATCH):
        token.checkpoint()
        yield Progress(start, len(files), f"encoding {folder.name}", "tiles")
        images = np.stack([_centre(file, encoder) for _, file in files[start : start + BATCH]])
        codes.append(encode_patches(encoder, images, token=token))
    if not codes:
        raise InvalidParameterError("the data set has no tiles", path=folder, found="empty folders")
    labels = np.array([k for k, _ in files])
    return EncodedTiles(np.concatenate(codes), labels, np.array([file.stem for _, file in files]))


def _centre(file: Path, encoder: Encoder) -> np.ndarray:
    """Centre of a tile as the encoder's network sees it: (s, s, 3) uint8."""
    spec = encoder.spec
    tile = load_tile(file, TileFolder(file.parent, TILE_MPP), spec.mpp)
    side = spec.patch_size
    shape = (0, 0) if tile is None else tile.image.shape[:2]
    if tile is None or min(shape) < side:
        raise InvalidParameterError(
            "the tile cannot be used",
            path=file,
            expected=f"a picture of at least {side} px at {spec.mpp:g} um/px",
            found="no readable picture" if tile is None else f"{shape[1]} x {shape[0]} px",
            hint="choose an encoder of smaller patches",
        )
    top, left = ((length - side) // 2 for length in shape)
    patch = tile.image[top : top + side, left : left + side]
    size = (spec.input_size, spec.input_size)
    return np.asarray(cv2.resize(patch, size, interpolation=cv2.INTER_AREA))


def _of_class(found: list[np.ndarray], chosen: np.ndarray) -> float | None:
    return float(np.mean([right[chosen].mean() for right in found])) if chosen.any() else None


def _write(out: Path, results: Mapping[str, Any]) -> None:
    table = markdown(TISSUE9.header, TISSUE9.beside(results["ours"], results["encoder"]))
    notes = "".join(f"\n- {note}" for note in (TISSUE9.remark, *NOTES))
    with replacing(out / RESULTS_FILE) as temporary:
        temporary.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    with replacing(out / RESULTS_TABLE) as temporary:
        temporary.write_text(f"# {TISSUE9.title}\n\n{table}{notes}\n", encoding="utf-8")
