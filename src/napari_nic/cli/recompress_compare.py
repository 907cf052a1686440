"""``napari-nic recompress compare``: codecs against each other on tiles of slides."""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

from napari_nic.cli import arguments
from napari_nic.cli.console import Console
from napari_nic.cli.files import check_all_free
from napari_nic.cli.inputs import find_slides
from napari_nic.cli.interrupt import STOPPED, stoppable
from napari_nic.cli.recompress_lossy import NEURAL
from napari_nic.disk import write_text
from napari_nic.names import REPORT_SUFFIXES, has_suffix
from napari_nic.plots import require_matplotlib

if TYPE_CHECKING:
    from napari_nic.jobs import CancellationToken, Progress
    from napari_nic.recompression.reporting.codec_table import CodecTable
    from napari_nic.recompression.reporting.contenders import Contender

COMPARE = "compare"

HTML, JSON = REPORT_SUFFIXES
VIEWS = 12


def add_compare_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that only comparing codecs takes."""
    group = parser.add_argument_group("compare")
    group.add_argument(
        "--try",
        dest="tried",
        action="append",
        metavar="CODEC=Q[,Q...]",
        help="codec and qualities to compare, such as jpegxl=80,90, avif:4:2:0=70 or neural:NAME; may "
        "be given several times; default: those of the docs' table",
    )
    group.add_argument(
        "--labels",
        metavar="CSV",
        help="columns slide (name of the file) and label: with --model, how well its scores order the slides "
        "after each codec (AUC)",
    )


def run_compare(args: argparse.Namespace, console: Console) -> int:
    """Compare codecs, print the table, write the page where --out says so."""
    from napari_nic.recompression.reporting.codec_page import HEADER, codec_page, row_texts

    page = None if args.out is None else Path(args.out)
    if page is not None:
        if not has_suffix(page, HTML):
            raise arguments.UsageError("--out is no page", expected=HTML, found=page.name)
        numbers = page.with_suffix(JSON)
        check_all_free({"--out": page, "--out, numbers": numbers}, overwrite=args.overwrite)
        require_matplotlib()
    slides = find_slides(args.slides[1:])
    labels = _labels(args, slides)
    with stoppable(console, ending=STOPPED) as token:
        found = console.outcome(_compared(args, slides, labels, token), "Comparing")
    facts = found.to_dict()
    if page is not None:
        write_text(page, codec_page(found, "Codecs on tiles of tissue"))
        write_text(numbers, json.dumps(facts, indent=2) + "\n")
    if args.json:
        console.json(facts)
        return 0
    console.table(HEADER, [row_texts(row) for row in found.rows()])
    for name, auc in found.aucs.items():
        console.result(f"AUC of {args.model[0]}, {name}: {auc:.3f}")
    if page is not None:
        console.result(str(page))
    return 0


def _compared(
    args: argparse.Namespace, slides: list[Path], labels: dict[Path, str], token: CancellationToken
) -> Generator[Progress, None, CodecTable]:
    from napari_nic.encoders import DEFAULT_ENCODER
    from napari_nic.recompression.reporting.codec_table import compare_codecs
    from napari_nic.recompression.reporting.recoded import aucs_of

    encoder = args.encoder[0] if args.encoder else DEFAULT_ENCODER
    found = yield from compare_codecs(
        slides, _contenders(args.tried or ()), views=args.views or VIEWS, encoder=encoder, token=token
    )
    if labels:
        found.aucs = yield from aucs_of(labels, found.contenders, args.model[0], token=token)
    return found


def _contenders(given: list[str] | tuple[()]) -> list[Contender]:
    """Return what ``--try`` names.

    Raises
    ------
    UsageError
        If it is not CODEC=Q or CODEC:SUBSAMPLING=Q, nor neural:NAME.
    """
    from napari_nic.recompression.reporting.contenders import contender

    found = []
    for text in given:
        if text.startswith(f"{NEURAL}:"):
            found.append(contender(text))
            continue
        name, _, numbers = text.partition("=")
        codec, _, subsampling = name.partition(":")
        try:
            qualities = [float(number) for number in numbers.split(",")]
        except ValueError as error:
            raise arguments.UsageError(
                "--try names no codec with its qualities",
                expected=f"CODEC=Q[,Q...], or {NEURAL}:NAME",
                found=text,
            ) from error
        found += [contender(codec, quality, subsampling or None) for quality in qualities]
    return found


def _labels(args: argparse.Namespace, slides: list[Path]) -> dict[Path, str]:
    """Return the label of each slide; empty where none are asked for.

    Raises
    ------
    UsageError
        If the file has no such columns or lacks a slide, or there is not one model.
    """
    if args.labels is None:
        return {}
    if len(args.model or ()) != 1:
        raise arguments.UsageError("--labels goes with one --model, which predicts them")
    with Path(args.labels).open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    known = {row.get("slide") or "": row.get("label") or "" for row in rows}
    missing = [path.name for path in slides if not (known.get(path.name) or known.get(path.stem))]
    if missing:
        raise arguments.UsageError(
            f"{args.labels} has no label of {missing[0]}", expected="columns slide and label"
        )
    return {path: known.get(path.name) or known[path.stem] for path in slides}
