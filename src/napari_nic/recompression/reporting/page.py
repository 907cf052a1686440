"""The comparison of two files of one slide as an HTML page that needs no other file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from napari_nic.notebook import png_address
from napari_nic.pages import page, table, text
from napari_nic.recompression.quality.metrics import color_error_map
from napari_nic.recompression.reporting.comparing import ComparedView, Quality, SlideComparison
from napari_nic.recompression.reporting.stored import StoredLevel
from napari_nic.slides import RgbArray
from napari_nic.wording import counted, saving

MAP_FULL = 10.0
"""Distance in CIELAB that is the brightest colour of a difference map."""

_STYLE = "img { width: 256px; image-rendering: auto; } .row { margin-bottom: 1rem; }"
_CAUTION = (
    "No value of SSIM, PSNR or a cosine is a validated limit of what may be lost for a diagnosis; "
    "look at the pictures."
)


def difference_map(before: RgbArray, after: RgbArray) -> RgbArray:
    """Return the distance of local mean colours as a picture: black is none, bright is :data:`MAP_FULL`."""
    share = np.clip(color_error_map(before, after) / MAP_FULL, 0, 1)
    colors = cv2.applyColorMap((share * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    return np.ascontiguousarray(colors[..., ::-1])


@dataclass(frozen=True)
class RunFacts:
    """What only the run itself knows of the file that it wrote.

    Attributes
    ----------
    checks : mapping of str to Any
        What the check of every tile came to, by level, as
        :meth:`~napari_nic.recompression.quality.QualityCheck.to_dict` gives it.
    encode_ms : float, optional
        Mean time to encode a tile, one thread.
    """

    checks: Mapping[str, Any]
    encode_ms: float | None = None

    @classmethod
    def of(cls, checks: Mapping[str, Any], seconds: float) -> RunFacts:
        """Spread the seconds of a run over the tiles that it checked."""
        tiles = sum(level["tiles"] for level in checks.values())
        return cls(checks, 1000 * seconds / tiles if tiles else None)

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {"checks": dict(self.checks), "encode_ms_per_tile": self.encode_ms}


def report_page(found: SlideComparison, *, run: RunFacts | None = None) -> str:
    """Return the page.

    Parameters
    ----------
    found : SlideComparison
    run : RunFacts, optional
    """
    name = f"{found.before.name}: before and after"
    parts = [
        f"<h1>{text(name)}</h1>",
        table(("", "before", "after"), _sizes(found, run)),
        "<h2>Bytes</h2>",
        table(("level", "pixels", "codec", "tiles", "left out", "bytes", "bits a pixel"), _levels(found)),
        *_checks(None if run is None else run.checks),
        "<h2>Quality of views of tissue</h2>",
        f"<p>{text(_CAUTION)}</p>",
        table(
            ("", "um/px", "views", "SSIM", "MS-SSIM", "PSNR, dB", "colour error", "with faults"),
            [_quality(one) for one in found.qualities],
        ),
        f'<p class="small">{text(_METHOD.format(tissue=found.tissue))}</p>',
        *_drifts(found),
        *_predictions(found),
        *_worst(found.worst),
    ]
    return page(name, parts, style=_STYLE)


_METHOD = (
    "Mean over views, and the worst one in brackets. Views of 256 px, drawn where there is tissue "
    "({tissue}), off the grid of tiles and of their blocks. Colour error: the largest distance of mean "
    "colours over 8 px in CIELAB (delta E 1976). Faults: hue turned, channels swapped, shifted, edges of "
    "blocks; glass that was made white counts as one, where a view holds some."
)


def _sizes(found: SlideComparison, run: RunFacts | None) -> list[tuple[str, str, str]]:
    times = [f"{ms:.2f} ms" if ms is not None else "" for ms in found.decode_ms]
    encoding = None if run is None else run.encode_ms
    rows = [
        ("file", found.before.name, found.after.name),
        ("bytes", f"{found.sizes[0]:,}", f"{found.sizes[1]:,} ({saving(found.saved)})"),
        ("to decode a tile", times[0], times[1]),
    ]
    return rows if encoding is None else [*rows, ("to encode a tile", "", f"{encoding:.2f} ms")]


def _levels(found: SlideComparison) -> list[Sequence[str]]:
    return [
        (f"{_level_name(level)}, {when}", *_level(level))
        for when, levels in zip(("before", "after"), found.levels, strict=True)
        for level in levels
    ]


def _level_name(level: StoredLevel) -> str:
    return "all else" if level.level is None else f"level {level.level}"


def _level(level: StoredLevel) -> tuple[str, ...]:
    if level.shape is None or level.bits_per_pixel is None:
        return "", "", "", "", f"{level.size:,}", ""
    shape = f"{level.shape[0]:,} x {level.shape[1]:,}"
    tiles = f"{level.tiles:,}", f"{level.missing:,}"
    return shape, level.codec, *tiles, f"{level.size:,}", f"{level.bits_per_pixel:.2f}"


def _checks(checks: Mapping[str, Any] | None) -> list[str]:
    if not checks:
        return []
    rows = [
        (
            f"level {level}",
            f"{found['tiles']:,}",
            f"{found['fell_back']:,}",
            ", ".join(f"{count:,} {why}" for why, count in found["reasons"].items()),
            f"{found['ssim']['mean']:.4f} ({found['ssim']['least']:.4f})",
            f"{found['color']['largest']:.1f}",
        )
        for level, found in checks.items()
    ]
    header = ("", "tiles", "tried anew", "why", "SSIM as written", "largest colour error")
    lead = "Every tile was decoded again and compared before it was written; what was not as good as asked"
    return ["<h2>The check of every tile</h2>", f"<p>{lead} was tried anew.</p>", table(header, rows)]


def _quality(one: Quality) -> tuple[str, ...]:
    psnr = "equal" if one.psnr is None else f"{one.psnr[0]:.1f} ({one.psnr[1]:.1f})"
    return (
        f"{one.magnification:g}x",
        f"{one.mpp:.3g}",
        str(one.views),
        f"{one.ssim[0]:.4f} ({one.ssim[1]:.4f})",
        f"{one.ms_ssim[0]:.4f} ({one.ms_ssim[1]:.4f})",
        psnr,
        f"{one.color[0]:.1f} ({one.color[1]:.1f})",
        str(one.faulty),
    )


def _drifts(found: SlideComparison) -> list[str]:
    rows = [
        (
            one.encoder,
            str(one.patches),
            f"{one.mpp:.3g}",
            f"{one.mean:.4f}",
            f"{one.p5:.4f}",
            f"{one.least:.4f}",
            "" if one.others is None else f"{one.others:.2f}",
        )
        for one in found.drifts
    ]
    header = ("encoder", "patches", "um/px", "mean", "5 % below", "least", "different patches")
    parts = ["<h2>Drift of embeddings</h2>", "<p>Cosine between the codes of a patch before and after.</p>"]
    parts += [table(header, rows)] if rows else []
    parts += [table(("left out", "why"), found.left_out.items())] if found.left_out else []
    return parts


def _predictions(found: SlideComparison) -> list[str]:
    if not found.predictions:
        return []
    rows = [
        (one.model, name, f"{before:.3f}", f"{after:.3f}", f"{one.largest_cell:.3f}")
        for one in found.predictions
        for name, before, after in zip(one.names, one.before, one.after, strict=True)
    ]
    header = ("model", "", "before", "after", "largest difference of a cell")
    return ["<h2>Drift of predictions</h2>", table(header, rows)]


def _worst(views: Sequence[ComparedView]) -> list[str]:
    if not views:
        return []
    lead = f"Before, after, and where colours differ (black: not; bright: {MAP_FULL:g} or more in CIELAB)."
    return [f"<h2>The worst {counted(len(views), 'view')}</h2>", f"<p>{lead}</p>", *map(_pictures, views)]


def _pictures(view: ComparedView) -> str:
    region, found = view.view.region, view.measures
    about = (
        f"{view.magnification:g}x, level {view.view.level}, row {region.y:,}, column {region.x:,}: "
        f"SSIM {found.ssim:.4f}, PSNR {found.psnr:.1f} dB, colour error {found.color:.1f}"
    )
    pictures = view.before, view.after, difference_map(view.before, view.after)
    names = "before", "after", "difference"
    images = "".join(
        f'<img alt="{name}, {text(about)}" src="{png_address(one)}"> '
        for name, one in zip(names, pictures, strict=True)
    )
    return f"<figure>{images}<figcaption>{text(about)}</figcaption></figure>"
