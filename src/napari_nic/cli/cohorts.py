"""``napari-nic models train`` and ``evaluate``: models of a cohort of slides with labels."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_nic.cli import arguments, cohort_tables
from napari_nic.cli.console import Console
from napari_nic.cli.interrupt import stoppable
from napari_nic.telling import telling

if TYPE_CHECKING:
    from napari_nic.cohorts import Cohort, CohortTraining
    from napari_nic.jobs import CancellationToken

TASKS = ("classification", "regression", "survival")
MODELS = ("cnn", "cnn-adaptive", "cnn-compact", "attention", "linear", "mlp")
GIBIBYTE = 2**30
TRAIN = """\
Train models on labels of whole slides and evaluate them on slides that they did not see.

The cohort is a table (CSV, TSV, XLSX) with a column "slide" - a slide, a compressed slide, or a name -
and "label", or "time" and "event" for survival. Optional columns: "case" (slides of a case stay
together), "split" (train, validation, test), "size" (of the lesion, for results by size), "mpp" (um/px of
level 0, for files of other programs). Other usual names are understood, such as slide_id, FILENAME,
PATIENT and target; --dry-run says what was understood. Slides that are not found are left out and named.

Without splits the cases are shared out into parts: each model tests on one, validates on the next and trains
on the others. Each fold and seed gives a model that every command takes as --model; the folder has a report.
A training that was stopped goes on when the same command is run again."""

EVALUATE = """\
Evaluate models and write results.json, plots and a report (report.html).

Give the folder that "models train" made, or a table of slides with --model and --out to evaluate a finished
model on a cohort that it never saw; if that has splits, only its test slides are used."""


def add_train(actions: arguments.Subparsers) -> None:
    """Add ``models train``."""
    parser = _command(actions, "train", run_train, "Train and cross-validate models on a cohort", TRAIN)
    parser.add_argument("table", metavar="TABLE", help="of the cohort: CSV, TSV or XLSX")
    arguments.add_out(parser, "folder of models, scores and report")
    parser.add_argument(
        "--dry-run", action="store_true", help="say what was understood of the table, and do nothing"
    )
    parser.add_argument(
        "--task", choices=TASKS, default=TASKS[0], help="what is learned; default: %(default)s"
    )
    cohort_tables.add_table_options(parser)
    _add_network_options(parser)
    _add_learning_options(parser)
    parser.add_argument("--device", type=arguments.device, default="auto", help=arguments.DEVICE_HELP)
    arguments.add_json(parser)


def add_evaluate(actions: arguments.Subparsers) -> None:
    """Add ``models evaluate``."""
    parser = _command(actions, "evaluate", run_evaluate, "Evaluate trained models on a cohort", EVALUATE)
    parser.add_argument("what", metavar="FOLDER|TABLE", help="what models train made, or a table of slides")
    parser.add_argument("--model", metavar="NAME", help="name or folder of the model to evaluate on a table")
    arguments.add_out(parser, "folder of scores and report, for a table")
    cohort_tables.add_table_options(parser)
    parser.add_argument("--device", type=arguments.device, default="auto", help=arguments.DEVICE_HELP)
    arguments.add_json(parser)


def _command(
    actions: arguments.Subparsers, name: str, run: arguments.Run, summary: str, text: str
) -> argparse.ArgumentParser:
    layout = argparse.RawDescriptionHelpFormatter
    return arguments.add_command(actions, name, run, summary, description=text, formatter_class=layout)


def _add_network_options(parser: argparse.ArgumentParser) -> None:
    network = parser.add_argument(
        "--architecture",
        choices=MODELS,
        default="cnn-adaptive",
        help="cnn: the published one, crops of 400; default: %(default)s, the same for crops of any size; "
        "cnn-compact: a small one for small slides; linear, mlp: on one vector a slide, of a slide encoder "
        "(slide-embed) or the mean of the codes",
    )
    arguments.add_earlier(parser, network, "--model")
    parser.add_argument(
        "--crop",
        type=arguments.positive_int,
        metavar="CELLS",
        help="side of the crops; default: as the architecture and the slides want it",
    )
    parser.add_argument("--width", type=arguments.positive_int, metavar="N", help="channels; default: 128")
    parser.add_argument(
        "--dropout",
        type=arguments.share,
        metavar="SHARE",
        help="share of the channels that is left out while training; default: 0.2",
    )
    parser.add_argument("--name", metavar="TEXT", help="of the models; default: the folder's")


def _add_learning_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--folds",
        type=arguments.positive_int,
        metavar="N",
        help="parts of the cross-validation, at least 3; default: 4",
    )
    parser.add_argument(
        "--seeds", type=arguments.positive_int, metavar="N", help="trainings a fold; default: 1"
    )
    parser.add_argument(
        "--seed", type=arguments.natural, metavar="N", help="of the first training; default: 0"
    )
    parser.add_argument(
        "--epochs", type=arguments.positive_int, metavar="N", help="epochs at most; default: 100"
    )
    parser.add_argument(
        "--steps",
        type=arguments.positive_int,
        metavar="N",
        help="steps an epoch; default: as many as the slides fill batches",
    )
    batch = parser.add_argument(
        "--batch-size", type=arguments.positive_int, metavar="N", help="crops a step; default: 16"
    )
    rate = parser.add_argument(
        "--learning-rate", type=arguments.positive, metavar="X", help="of Adam at the start; default: 0.01"
    )
    arguments.add_earlier(parser, batch, "--batch")
    arguments.add_earlier(parser, rate, "--rate")
    decay = parser.add_argument(
        "--weight-decay", type=arguments.share, metavar="X", help="of Adam (an L2 penalty); default: 2e-5"
    )
    arguments.add_earlier(parser, decay, "--l2", factor=2)
    parser.add_argument(
        "--precision",
        choices=("auto", "float32", "bfloat16"),
        default="auto",
        help="of the network; auto (default) takes bfloat16 on a GPU that has it",
    )
    parser.add_argument(
        "--memory",
        type=arguments.positive,
        metavar="GIB",
        help="codes are held in memory if they fit into this; default: 4",
    )


def run_train(args: argparse.Namespace, console: Console) -> int:
    """Train, evaluate and report."""
    if args.dry_run:
        return _preview(args, console)
    if args.out is None:
        raise arguments.UsageError("models train needs a folder for the models", expected="--out FOLDER")
    from napari_nic.cohorts import train_cohort
    from napari_nic.plots import require_matplotlib

    require_matplotlib()
    out = Path(args.out)
    with stoppable(console) as token:
        cohort = _cohort(args, args.task, out, console, token)
        training = _training(args, out)
        for _ in console.follow(
            train_cohort(cohort, out, training, device=args.device, token=token), "training"
        ):
            pass
        return _report(out, args.device, console, token)


def _preview(args: argparse.Namespace, console: Console) -> int:
    """Say what would be learned from, and how it would be shared out."""
    from napari_nic.cohorts import CohortTraining, check_folds, make_folds

    with telling(None):  # all of it is shown below
        cohort = cohort_tables.read(args, args.task)
    usual = CohortTraining()
    folds = make_folds(cohort, args.folds or usual.folds, seed=args.seed or usual.settings.seed)
    cohort_tables.show(cohort, folds, args.table, console)
    check_folds(cohort, folds)
    return 0


def run_evaluate(args: argparse.Namespace, console: Console) -> int:
    """Evaluate and report."""
    given = Path(args.what)
    if given.is_dir():
        if args.model or args.out:
            raise arguments.UsageError(
                "a folder of models was given", found="--model or --out", hint="they belong to a table"
            )
        with stoppable(console) as token:
            return _report(given, args.device, console, token)
    if not (args.model and args.out):
        raise arguments.UsageError(
            "a table of slides needs a model and a folder", expected="--model and --out", path=given
        )
    from napari_nic.cohorts import evaluate_bundle
    from napari_nic.slide_models import ModelBundle

    bundle, out = ModelBundle.load(args.model), Path(args.out)
    args.classes = args.classes or ",".join(bundle.card.class_names)
    args.table = args.what
    with stoppable(console) as token:
        cohort = _cohort(args, bundle.card.task, out, console, token)
        options = {"device": args.device, "allow_partial": args.allow_partial}
        reports = evaluate_bundle(bundle, cohort, out, token=token, **options)
        for _ in console.follow(reports, "predicting"):
            pass
        return _report(out, args.device, console, token)


def _cohort(
    args: argparse.Namespace, task: Any, out: Path, console: Console, token: CancellationToken
) -> Cohort:
    """Read the table, and import what other programs wrote."""
    from napari_nic.cohorts import Imported, import_foreign

    cohort = cohort_tables.read(args, task)
    cohort_tables.say(cohort, console, classes_listed=bool(args.classes))
    imports = import_foreign(cohort, out, mpp=args.mpp, features=args.features, token=token)
    for report in console.follow(imports, "importing"):
        if isinstance(report, Imported) and report.cohort is not None:
            cohort = report.cohort
    return cohort


def _training(args: argparse.Namespace, out: Path) -> CohortTraining:
    from napari_nic.cohorts import CohortTraining
    from napari_nic.slide_models import TrainingSettings

    settings = {
        "epochs": args.epochs,
        "steps": args.steps,
        "batch_size": args.batch_size,
        "learning_rate": args.learning_rate,
        "weight_decay": args.weight_decay,
        "seed": args.seed,
        "precision": _precision(args),
    }
    options = {
        "crop_size": args.crop,
        "width": args.width,
        "dropout": args.dropout,
        "folds": args.folds,
        "seeds": args.seeds,
        "memory_bytes": None if args.memory is None else round(args.memory * GIBIBYTE),
    }
    return CohortTraining(
        name=args.name or out.resolve().name,
        model=args.architecture,
        settings=TrainingSettings(**_given(settings)),
        allow_partial=args.allow_partial,
        **_given(options),
    )


def _precision(args: argparse.Namespace) -> str:
    """Half precision on a GPU that has it; a CPU gains little and would no longer repeat itself elsewhere."""
    from napari_nic.device import choose_device, choose_precision

    device = choose_device(args.device)
    if args.precision == "auto" and device == "cpu":
        return "float32"
    return choose_precision(args.precision, device)


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _report(out: Path, device: str, console: Console, token: CancellationToken) -> int:
    """Evaluate a folder and print the results."""
    from napari_nic.cohorts import Evaluated, evaluate_folder
    from napari_nic.cohorts.report import MEASURES, with_interval

    for report in console.follow(evaluate_folder(out, device=device, token=token), "evaluating"):
        if not isinstance(report, Evaluated):
            continue
        if console.as_json:
            console.json(dict(report.results))
        overall = report.results["overall"]
        for name, label in MEASURES.items():
            if name in overall:
                console.result(f"{label}: {with_interval(overall[name])}")
        console.result(str(report.report))
    return 0
