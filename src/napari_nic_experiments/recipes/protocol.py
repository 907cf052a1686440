"""The paper's protocol on a public cohort: table, codes, four folds and two seeds, results on its subsets."""

from __future__ import annotations

import csv
import json
import shlex
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from napari_nic.cohorts import (
    CohortTraining,
    TableOptions,
    evaluate_folder,
    read_cohort,
    run_folder,
    train_cohort,
)
from napari_nic.cohorts.predictions import PREDICTIONS_FILE, ScoredSlide, read_scores
from napari_nic.disk import replacing
from napari_nic.embeddings import CompressedSlide
from napari_nic.encoders import Encoder
from napari_nic.jobs import CancellationToken, Progress
from napari_nic.metrics import ranking
from napari_nic.names import STORE_SUFFIX
from napari_nic.pipeline import iter_compress, prepare_store
from napari_nic.slide_models import ModelBundle, predict
from napari_nic.slides import Selection, open_slide
from napari_nic_experiments.recipes import camelyon16, tupac16
from napari_nic_experiments.recipes.model import (
    ASIDE_FILE,
    TABLE_FILE,
    RecipeCohort,
    RecipeSlide,
    set_aside,
    write_table,
)
from napari_nic_experiments.recipes.published import TABLES, markdown

STORES_FOLDER, MODELS_FOLDER, COMMANDS_FILE = "stores", "models", "commands.sh"
RESULTS_FILE, RESULTS_TABLE, SUBMISSION_FILE = "results.json", "results.md", "submission.csv"
PAPER_SEEDS = 2
MACRO = "macro"

READERS: dict[str, Callable[[Path, Mapping[str, Any]], RecipeCohort]] = {
    camelyon16.NAME: camelyon16.read_camelyon16,
    tupac16.NAME: tupac16.read_tupac16,
}
SET_ASIDE = {camelyon16.NAME: camelyon16.SET_ASIDE, tupac16.NAME: tupac16.SET_ASIDE}


@dataclass(frozen=True)
class SlideRecipe:
    """What is run.

    Attributes
    ----------
    cohort : RecipeCohort
        All that the data set has.
    out : Path
        Folder of tables, codes, models and results.
    training : CohortTraining
        The paper's by default: its network at R = 400, four folds, two seeds.
    set_aside : int
        Official training slides that are left to encoders.
    seed : int
        Chooses these.
    device : str
    opening : mapping
        How slides are opened: arguments of :func:`~napari_nic.slides.open_slide`.
    """

    cohort: RecipeCohort
    out: Path
    training: CohortTraining = field(
        default_factory=lambda: CohortTraining(name="recipe", model="cnn", folds=4, seeds=PAPER_SEEDS)
    )
    set_aside: int = 0
    seed: int = 0
    device: str = "auto"
    opening: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RecipeDone(Progress):
    """The last report.

    Attributes
    ----------
    results : mapping
        What ``results.json`` holds; ``ours`` are the numbers beside the paper's.
    """

    results: Mapping[str, Any] = field(default_factory=dict)


def write_recipe(recipe: SlideRecipe, *, encoder: str) -> list[RecipeSlide]:
    """Write the cohort's table, the slides set aside, and the commands of the protocol.

    Parameters
    ----------
    recipe : SlideRecipe
    encoder : str
        Name or folder, for the commands.

    Returns
    -------
    list of RecipeSlide
        The slides of the table.
    """
    kept, aside = set_aside(recipe.cohort.slides, recipe.set_aside, recipe.seed)
    write_table(recipe.out / TABLE_FILE, kept)
    write_table(recipe.out / ASIDE_FILE, aside)
    with replacing(recipe.out / COMMANDS_FILE) as temporary:
        text = "".join(f"{line}\n" for line in commands(recipe, kept, encoder))
        temporary.write_text(text, encoding="utf-8")
    return kept


def commands(recipe: SlideRecipe, slides: Sequence[RecipeSlide], encoder: str) -> list[str]:
    """Return the protocol as commands of a shell."""
    out, training = recipe.out, recipe.training
    stores, models = str(out / STORES_FOLDER), str(out / MODELS_FOLDER)
    folders = sorted({str(s.path.parent.resolve()) for s in (*slides, *recipe.cohort.unlabelled)})
    train = ["models", "train", str(out / TABLE_FILE), "--out", models, "--stores", stores]
    train += ["--task", recipe.cohort.task, "--architecture", training.model]
    train += ["--folds", str(training.folds), "--seeds", str(training.seeds)]
    if recipe.cohort.classes:
        train += ["--classes", ",".join(recipe.cohort.classes)]
    lines = [
        ["compress", *folders, "--out", stores, "--encoder", encoder, *_options(recipe.opening)],
        train,
        ["models", "evaluate", models],
    ]
    return [shlex.join(["napari-nic", *line]) for line in lines]


def _options(opening: Mapping[str, Any]) -> list[str]:
    """Write how slides are opened as options of a command."""
    selection = opening.get("selection") or Selection()
    words = {
        "--mpp": opening.get("mpp"),
        "--channels": ",".join(map(str, opening.get("channels") or ())) or None,
        "--scene": selection.scene,
        "--z": selection.z,
        "--t": selection.t,
    }
    raw = ["--raw-color"] if opening.get("color") == "raw" else []
    return raw + [str(word) for option in words.items() if option[1] is not None for word in option]


def run_slide_recipe(
    recipe: SlideRecipe, encoder: Encoder, *, token: CancellationToken | None = None
) -> Iterator[Progress]:
    """Run the protocol; what is finished is taken.

    Parameters
    ----------
    recipe : SlideRecipe
    encoder : Encoder
    token : CancellationToken, optional

    Yields
    ------
    Progress
        The last one is a :class:`RecipeDone`.

    Raises
    ------
    NicError
        What compressing, training and evaluation raise.
    CancelledError
        The same call goes on from there.
    """
    token, out, cohort = token or CancellationToken(), recipe.out, recipe.cohort
    slides = write_recipe(recipe, encoder=encoder.spec.name)
    stores, models = out / STORES_FOLDER, out / MODELS_FOLDER
    yield from _compress_all(recipe, [*slides, *cohort.unlabelled], encoder, token)
    classes = cohort.classes or None
    table = read_cohort(
        out / TABLE_FILE, cohort.task, stores=stores, classes=classes, options=TableOptions(strict=True)
    )
    yield from train_cohort(table, models, recipe.training, device=recipe.device, token=token)
    yield from evaluate_folder(models, device=recipe.device, token=token)
    if cohort.unlabelled:
        yield from _submit(recipe, token)
    measured = subset_results(cohort, slides, read_scores(models / PREDICTIONS_FILE))
    results = {
        "recipe": cohort.name,
        "encoder": encoder.spec.name,
        "slides": len(slides),
        "set_aside": recipe.set_aside,
        "subsets": measured,
        "ours": {name: _shown(values) for name, values in measured.items()},
        "notes": list(cohort.notes),
    }
    _write_results(out, results)
    yield RecipeDone(1, 1, "done", "recipes", results=results)


def subset_results(
    cohort: RecipeCohort, slides: Sequence[RecipeSlide], rows: Sequence[ScoredSlide]
) -> dict[str, list[float]]:
    """Measure each subset of the paper, once per seed.

    Parameters
    ----------
    cohort : RecipeCohort
    slides : sequence of RecipeSlide
        Of the table.
    rows : sequence of ScoredSlide
        Each slide predicted by the model of the fold that did not see it.

    Returns
    -------
    dict of str to list of float
        ``All``: every slide. For classes also ``Test``: the official test slides; ``Macro``: of these, the
        ones without a metastasis and those with a macrometastasis. Subsets without both are left out.
    """
    found = {}
    for name, chosen in _subsets(cohort, slides).items():
        values = []
        for seed in sorted({row.seed for row in rows}):
            mine = [row for row in rows if row.seed == seed and row.slide in chosen]
            values.append(_rank(cohort, mine))
        if values and not np.isnan(values).any():
            found[name] = values
    return found


def _subsets(cohort: RecipeCohort, slides: Sequence[RecipeSlide]) -> dict[str, set[str]]:
    subsets = {"All": {slide.name for slide in slides}}
    if cohort.task == "classification":
        test = [slide for slide in slides if slide.official == "test"]
        subsets["Test"] = {slide.name for slide in test}
        negative = cohort.classes[0]
        subsets["Macro"] = {s.name for s in test if s.label == negative or s.category == MACRO}
    return subsets


def _rank(cohort: RecipeCohort, rows: Sequence[ScoredSlide]) -> float:
    if not rows:
        return float("nan")
    scores = np.array([row.scores for row in rows])
    labels, events = (np.array([getattr(row, name) for row in rows]) for name in ("label", "event"))
    return float(ranking(cohort.task, scores, labels, events))


def _shown(values: Sequence[float]) -> str:
    return f"{np.mean(values):.3f} ({np.std(values):.3f})"


def _compress_all(
    recipe: SlideRecipe, slides: Sequence[RecipeSlide], encoder: Encoder, token: CancellationToken
) -> Iterator[Progress]:
    for done, entry in enumerate(slides):
        yield Progress(done, len(slides), "compressing", "slides")
        path = recipe.out / STORES_FOLDER / f"{entry.name}{STORE_SUFFIX}"
        with (
            open_slide(entry.path, **recipe.opening) as slide,
            prepare_store(slide, encoder, path=path, token=token) as store,
        ):
            for _ in iter_compress(slide, encoder, store, token=token):
                pass


def _submit(recipe: SlideRecipe, token: CancellationToken) -> Generator[Progress, None, None]:
    """Score slides without public truth by the mean of the models of all folds and seeds."""
    training, models = recipe.training, recipe.out / MODELS_FOLDER
    seeds = range(training.settings.seed, training.settings.seed + training.seeds)
    bundles = [
        ModelBundle.load(run_folder(models, fold, seed))
        for fold in range(1, training.folds + 1)
        for seed in seeds
    ]
    rows = [("slide", "score")]
    for done, entry in enumerate(recipe.cohort.unlabelled):
        yield Progress(done, len(recipe.cohort.unlabelled), "scoring test slides", "slides")
        with CompressedSlide.open(recipe.out / STORES_FOLDER / f"{entry.name}{STORE_SUFFIX}") as store:
            scores = [predict(b, store, device=recipe.device, token=token).mean[-1] for b in bundles]
        rows.append((entry.name, f"{np.mean(scores):.6f}"))
    with replacing(recipe.out / SUBMISSION_FILE) as temporary, temporary.open("w", newline="") as lines:
        csv.writer(lines).writerows(rows)


def _write_results(out: Path, results: Mapping[str, Any]) -> None:
    published = TABLES[results["recipe"]]
    table = markdown(published.header, published.beside(results["ours"], results["encoder"]))
    notes = "".join(f"\n- {note}" for note in (published.remark, *results["notes"]))
    with replacing(out / RESULTS_FILE) as temporary:
        temporary.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    with replacing(out / RESULTS_TABLE) as temporary:
        temporary.write_text(f"# {published.title}\n\n{table}{notes}\n", encoding="utf-8")
