"""``napari-nic info``: what a slide or a compressed slide is."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_nic.addresses import shown
from napari_nic.cli.arguments import (
    Subparsers,
    add_command,
    add_json,
    add_slides,
    slide_options,
)
from napari_nic.cli.batch import run_each
from napari_nic.cli.console import Console
from napari_nic.cli.inputs import find_slides, folder_beside, is_store
from napari_nic.colors import to_hex

if TYPE_CHECKING:
    from napari_nic.embeddings import CompressedSlide
    from napari_nic.slides import Slide


def add_parser(commands: Subparsers) -> None:
    """Add the command."""
    parser = add_command(commands, "info", run, "Show what a slide or a compressed slide is")
    add_slides(parser)
    parser.add_argument("--properties", action="store_true", help="also the file's own metadata")
    add_json(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    """Describe each slide or store."""

    def describe(path: Path) -> dict[str, Any]:
        """Print what one file is; return it for JSON."""
        record = _describe_store(path) if is_store(path) else _describe_slide(path, args)
        _print(record, console)
        return record

    return run_each(find_slides(args.slides), describe, console)


def _describe_slide(path: Path, args: argparse.Namespace) -> dict[str, Any]:
    from napari_nic.embeddings import find_stores
    from napari_nic.errors import ChannelsError
    from napari_nic.slides import SHOWN_FROM, open_slide

    options, hint = slide_options(args), None
    try:
        slide = open_slide(path, **options)
    except ChannelsError as error:
        if not error.channels or options["channels"]:
            raise
        slide, hint = open_slide(path, **options | {"channels": [1]}), error.hint
    with slide:
        record = slide_record(slide)
        if hint is not None:
            told = [notice for notice in slide.notices if not notice.startswith(SHOWN_FROM)]
            record |= {"choice": {}, "choose": hint, "notices": told}
        stores = find_stores(folder_beside(path) / path.name)
        record["stores"] = [str(store) for store in stores]
        if hint is None:  # else nobody knows which channels are meant
            found = [(store.name, _mismatch(store, slide)) for store in stores]
            record["notices"] += [f"{name}: {problem}" for name, problem in found if problem]
        if args.properties:
            record["properties"] = dict(slide.properties)
    return record


def _mismatch(store: Path, slide: Slide) -> str:
    """Return why a store of the slide's name is not the slide's; empty where it is."""
    from napari_nic.embeddings import CompressedSlide
    from napari_nic.errors import NicError, StoreMismatchError

    try:
        CompressedSlide.open(store).check_slide(slide)
    except StoreMismatchError as error:
        return error.problem
    except NicError as error:
        return f"it cannot be read: {error.problem}"
    return ""


def _describe_store(path: Path) -> dict[str, Any]:
    from napari_nic.embeddings import CompressedSlide

    return store_record(CompressedSlide.open(path))


def slide_record(slide: Slide) -> dict[str, Any]:
    """Return what is known of a slide, for JSON."""
    height, width = slide.levels[0].shape
    return {
        "kind": "slide",
        "path": shown(slide.path),
        "vendor": slide.vendor,
        "reader": slide.reader,
        "width": width,
        "height": height,
        "mpp": slide.pixel_size.to_dict() if slide.pixel_size else None,
        "mpp_note": slide.pixel_size_note,
        "levels": [
            {
                "width": level.width,
                "height": level.height,
                "downsample": level.downsample_y,
                "tile": list(level.tile),
            }
            for level in slide.levels
        ],
        "background": list(slide.background),
        "color": {"profile": slide.color.profile, "applied": slide.color.applied},
        "channels": [channel.name for channel in slide.channels],
        "choice": dict(slide.choice),
        "associated_images": list(slide.associated_images),
        "bounds": asdict(slide.bounds) if slide.bounds else None,
        "notices": list(slide.notices),
        "fingerprint": slide.fingerprint,
    }


def store_record(store: CompressedSlide) -> dict[str, Any]:
    """Return what is known of a compressed slide, for JSON."""
    return {
        "kind": "store",
        "path": str(store.path),
        "status": "complete" if store.is_complete else "partial",
        "rows": store.grid.rows,
        "cols": store.grid.cols,
        "code_size": store.code_size,
        "covered_cells": int(store.coverage.sum()),
        "encoded_cells": int(store.encoded().sum()),
        "header": store.header.to_dict(),
    }


def _print(record: dict[str, Any], console: Console) -> None:
    console.card(record["path"], _slide_facts(record) if record["kind"] == "slide" else _store_facts(record))
    for notice in record.get("notices", []):
        console.result(f"  note: {notice}")
    for name, value in sorted(record.get("properties", {}).items()):
        console.result(f"  {name} = {value}")


def _slide_facts(record: dict[str, Any]) -> dict[str, str]:
    levels = [
        f"{level['width']} x {level['height']} (1:{level['downsample']:g})" for level in record["levels"]
    ]
    tile = record["levels"][0]["tile"]
    bounds = record["bounds"]
    scanned = (
        {"scanned": f"{bounds['width']} x {bounds['height']} px at ({bounds['x']}, {bounds['y']})"}
        if bounds
        else {}
    )
    return {
        "size": f"{record['width']} x {record['height']} px",
        **scanned,
        "pixel size": _pixel_size(record["mpp"], record["mpp_note"]),
        "format": f"{record['vendor']}, opened by {record['reader']}",
        "levels": ", ".join(levels),
        "tiles": f"{tile[1]} x {tile[0]} px",
        "colour": _color(record["color"]),
        **_channels(record),
        "images": ", ".join(record["associated_images"]) or "none besides the slide",
        "compressed": ", ".join(record["stores"]) or "not yet",
        "fingerprint": record["fingerprint"],
    }


def _pixel_size(mpp: dict[str, Any] | None, note: str = "") -> str:
    if mpp is None:
        return f"not known ({note}); state it with --mpp"
    size = f"{mpp['y']:.4g}" if mpp["y"] == mpp["x"] else f"{mpp['x']:.4g} x {mpp['y']:.4g}"
    return f"{size} um ({mpp['source']})"


def _color(color: dict[str, Any]) -> str:
    if color["profile"] is None:
        return "no profile, taken as sRGB"
    return f"{color['profile']}, " + ("converted to sRGB" if color["applied"] else "not applied")


def _channels(record: dict[str, Any]) -> dict[str, str]:
    """What channels there are, and which are shown; nothing for a picture in colours."""
    facts = {}
    if record["channels"]:
        facts["channels"] = ", ".join(f"{i} {name}" for i, name in enumerate(record["channels"], 1))
    shown = [_shown(channel) for channel in record["choice"].get("channels", [])]
    shown += [f"{name} {record['choice'][name]}" for name in ("scene", "z", "t") if name in record["choice"]]
    if "choose" in record:
        facts["shown"] = f"nothing yet: {record['choose']}"
    elif shown:
        facts["shown"] = "; ".join(shown)
    return facts


def _shown(channel: dict[str, Any]) -> str:
    low, high = channel["window"]
    return f"{channel['name']} in {to_hex(channel['color']).lower()} from {low:g} to {high:g}"


def _store_facts(record: dict[str, Any]) -> dict[str, str]:
    from napari_nic.slides import clean_choice

    header, grid = record["header"], record["header"]["grid"]
    encoder = header["encoder"]
    progress = f"{record['encoded_cells']:,} of {record['covered_cells']:,} cells encoded"
    patches = f"{grid['patch_size']} px patches of level {grid['level']}"
    return {
        "slide": f"{header['slide_name']}, {header['slide_shape'][1]} x {header['slide_shape'][0]} px",
        "status": f"{record['status']}: {progress}",
        "grid": f"{record['rows']} x {record['cols']} cells, {patches}",
        "pixel size": _pixel_size(grid["pixel_size"]),
        "encoder": f"{encoder.get('name', 'unnamed')}, C = {record['code_size']}, {header['precision']}",
        "tissue": _tissue(header["tissue"]),
        **_channels({"channels": [], "choice": clean_choice(header["color"].get("choice"))}),
        "made": f"{header['created']} by {header['software']}",
    }


def _tissue(tissue: dict[str, Any]) -> str:
    method = str(tissue.get("method", "unknown"))
    return f"{method}; patches with at least {tissue.get('min_fraction', 0):.0%} of it"
