"""``napari-nic compress``: slides in, embedding arrays out."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_nic.cli import arguments
from napari_nic.cli.batch import run_each
from napari_nic.cli.console import Console
from napari_nic.cli.encoded import EVERY_CELL
from napari_nic.cli.encoder_use import load_named_encoder
from napari_nic.cli.info import store_record
from napari_nic.cli.inputs import find_uncompressed, is_store, outputs_for
from napari_nic.cli.interrupt import stoppable
from napari_nic.cli.tissue_masks import add_method, tissue_options
from napari_nic.errors import StoreError
from napari_nic.names import STORE_SUFFIX
from napari_nic.wording import count, counted, duration

if TYPE_CHECKING:
    from napari_nic.embeddings import CompressedSlide
    from napari_nic.encoders import Encoder
    from napari_nic.jobs import CancellationToken
    from napari_nic.pipeline import BlocksDone, GridOptions, TissueOutlines
    from napari_nic.slides import Slide
    from napari_nic.tissue import TissueMask

DESCRIPTION = """\
Compress slides: each patch of tissue becomes one code of C numbers, stored in SLIDE.nic.zarr
beside the slide. A run that was interrupted goes on where it stopped; a finished one has nothing to do."""


def add_parser(commands: arguments.Subparsers) -> None:
    """Add the command."""
    parser = arguments.add_command(commands, "compress", run, "Compress slides", description=DESCRIPTION)
    arguments.add_slides(parser)
    arguments.add_out(
        parser, f"folder, or for one slide a name ending in {STORE_SUFFIX}; default: beside the slide"
    )
    arguments.add_overwrite(parser, "replace a store instead of resuming it")
    parser.add_argument(
        "--augment",
        type=int,
        choices=(1, 8),
        default=1,
        help="8: encode the patches rotated and mirrored too (dihedral transforms), to train slide models; "
        "eight times the work",
    )
    _add_encoder(parser)
    _add_grid(parser)
    arguments.add_json(parser)


def _add_encoder(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("encoder")
    group.add_argument("--encoder", metavar="NAME", help="name or folder; default: nic-default")
    arguments.add_trust(group)
    arguments.add_device(group)
    group.add_argument(
        "--workers", type=arguments.positive_int, metavar="N", help="threads; default: all cores"
    )


def _add_grid(parser: argparse.ArgumentParser) -> None:
    group = arguments.add_grid(parser)
    group.add_argument(
        "--tissue",
        metavar="PATH",
        help="tissue instead of what is found: a mask as a picture (PNG, TIFF: not 0 on tissue), or "
        "outlines: GeoJSON in level-0 pixels (as TRIDENT's), or "
        "LazySlide's .zarr; or a folder of these, each called as its slide is",
    )
    add_method(group, "--tissue-method")


def run(args: argparse.Namespace, console: Console) -> int:
    """Compress each slide with one encoder."""
    if args.tissue is not None and args.no_tissue:
        raise arguments.UsageError("outlines of tissue, and every cell", found="--tissue and --no-tissue")
    if (args.method or args.network) and (args.tissue is not None or args.no_tissue):
        raise arguments.UsageError(
            "a way to find tissue was given, and none is looked for", found="--tissue or --no-tissue"
        )
    tissue_options(args)
    paths = find_uncompressed(args.slides)
    arguments.require_folder(args.out, several=len(paths) > 1)
    arguments.require_own("--tissue", args.tissue, several=len(paths) > 1)
    stores = outputs_for([path for path in paths if not is_store(path)], args.out, suffix=STORE_SUFFIX)
    with stoppable(console) as token:
        task = _Task(args, console, token)
        task.encoder(args.precision)  # before the first slide: all slides need it
        return run_each(paths, lambda path: _compress_one(path, stores.get(path), task), console)


@dataclass(frozen=True)
class _Task:
    """What the slides of one command share."""

    args: argparse.Namespace
    console: Console
    token: CancellationToken
    loaded: dict[str, Encoder] = field(default_factory=dict)

    def encoder(self, precision: str) -> Encoder:
        """Return the encoder in a precision; each is loaded once."""
        if precision not in self.loaded:
            encoder = load_named_encoder(
                self.args.encoder,
                self.console,
                device=self.args.device,
                precision=precision,
                trust=self.args.trust,
            )
            self.loaded.update({precision: encoder, encoder.precision: encoder})
        return self.loaded[precision]


def _grid_options(args: argparse.Namespace) -> GridOptions:
    from napari_nic.pipeline import GridOptions

    options = GridOptions(patch_size=args.patch_size, stride=args.stride, mpp=args.target_mpp)
    if args.no_tissue:
        return replace(options, min_tissue=0.0)
    return options if args.min_tissue is None else replace(options, min_tissue=args.min_tissue)


def _tissue(slide: Slide, task: _Task) -> TissueMask | TissueOutlines | None:
    """Return the tissue that was given, or that another method than the default one finds."""
    from napari_nic.pipeline import is_mask_picture, read_mask, read_tissue
    from napari_nic.tissue import iter_find_tissue

    options = tissue_options(task.args)
    if task.args.tissue is not None:
        path = Path(task.args.tissue)
        read = read_mask if is_mask_picture(path) else read_tissue
        return read(slide, path, token=task.token)
    if options.method == "threshold":
        return None
    return task.console.outcome(iter_find_tissue(slide, options=options, token=task.token), slide.name)


def _compress_one(path: Path, target: Path | None, task: _Task) -> dict[str, Any]:
    from napari_nic.explain import store_preview
    from napari_nic.pipeline import (
        iter_compress,
        iter_compress_transformed,
        iter_prepare_store,
        precision_to_go_on,
    )
    from napari_nic.slides import open_slide

    if target is None:
        raise StoreError(
            "it is called like a compressed slide, not like a slide", path=path, hint="name its slide"
        )

    args, console = task.args, task.console
    options = _grid_options(args)
    encoder = task.encoder(precision_to_go_on(target, args.precision, overwrite=args.overwrite))
    started = time.monotonic()
    with ExitStack() as opened:
        slide = opened.enter_context(open_slide(path, **arguments.slide_options(args)))
        tissue = _tissue(slide, task)
        prepared = iter_prepare_store(
            slide,
            encoder,
            path=target,
            options=options,
            tissue=tissue,
            overwrite=args.overwrite,
            token=task.token,
        )
        store = opened.enter_context(console.outcome(prepared, slide.name))
        reports = iter_compress(slide, encoder, store, token=task.token, workers=args.workers)
        patches = _last_done(console.follow(reports, slide.name))
        store_preview(store, always=patches > 0, token=task.token)
        if args.augment > 1:
            transformed = iter_compress_transformed(
                slide, encoder, store, token=task.token, workers=args.workers
            )
            _last_done(console.follow(transformed, slide.name))
        return _report(store, patches, time.monotonic() - started, console)


def _last_done(reports: Iterator[BlocksDone]) -> int:
    done = 0
    for report in reports:
        done = report.done
    return done


def _report(store: CompressedSlide, patches: int, seconds: float, console: Console) -> dict[str, Any]:
    """Print what one slide's run did, and return it for JSON."""
    if patches:
        console.result(
            f"{store.path}: {counted(patches, 'patch')} in {duration(seconds)} "
            f"({count(patches / seconds)}/s), {store.grid.rows} x {store.grid.cols} cells, "
            f"C = {store.code_size}"
        )
    else:
        from napari_nic.embeddings import check_covered

        check_covered(store.path, store.coverage, EVERY_CELL)
        console.result(f"{store.path}: complete already, nothing to do")
    return store_record(store) | {"new_patches": patches, "seconds": round(seconds, 3)}
