"""Codecs against each other as an HTML page: the paper's tables, and size against SSIM, cosine and AUC."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from napari_nic.colors import FURTHER, PALETTE, to_hex
from napari_nic.pages import page, table, text
from napari_nic.plots import draw
from napari_nic.recompression.reporting.codec_table import CodecTable, Row
from napari_nic.wording import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEADER = (
    *("codec", "SSIM (least, most)", "PSNR, dB (least, most)", "MS-SSIM", "kB", "saved, % (least, most)"),
    *("saved of 4:2:0, %", "bits a pixel", "encoding, ms", "decoding, ms", "cosine"),
)
_COLORS = tuple(to_hex(rgb) for rgb in (*PALETTE, *FURTHER))


def codec_page(found: CodecTable, title: str) -> str:
    """Return the page."""
    parts = [
        f"<h1>{text(title)}</h1>",
        f"<p>{counted(len(found.slides), 'slide')}, {text(_method(found))}</p>",
        table(HEADER, [row_texts(row) for row in found.rows()]),
        "<h2>By magnification</h2>",
        "<p>SSIM, and share of bytes saved against JPEG of quality 90 at 4:4:4.</p>",
        table(("codec", "", *(f"{m:g}x" for m in found.magnifications)), _by_magnification(found)),
        '<div class="row">',
        *(
            f"<figure>{svg}<figcaption>{text(name)}</figcaption></figure>"
            for name, svg in plots(found).items()
        ),
        "</div>",
    ]
    return page(title, parts)


def _method(found: CodecTable) -> str:
    codes = f"; cosine: codes of {found.encoder} before and after" if found.encoder else ""
    return (
        "tiles of 256 px of tissue, off the grid of the files' own tiles and blocks. Sizes against JPEG "
        "of quality 90 with full chroma, and as most programs write it (4:2:0). Times: median, one thread"
        f"{codes}."
    )


def row_texts(row: Row) -> tuple[str, ...]:
    """Return the cells of a row."""
    saved = " ".join((f"{100 * row.saved[0]:.0f}", f"({100 * row.saved[1]:.0f}, {100 * row.saved[2]:.0f})"))
    return (
        row.name,
        f"{row.ssim[0]:.3f} ({row.ssim[1]:.3f}, {row.ssim[2]:.3f})",
        f"{row.psnr[0]:.1f} ({row.psnr[1]:.1f}, {row.psnr[2]:.1f})",
        f"{row.ms_ssim:.4f}",
        f"{row.size / 1024:,.0f}",
        saved,
        f"{100 * row.saved_of_paper:.0f}",
        f"{row.bits_per_pixel:.2f}",
        f"{row.encode_ms:.1f}",
        f"{row.decode_ms:.1f}",
        f"{row.cosine:.4f}" if np.isfinite(row.cosine) else "",
    )


def _by_magnification(found: CodecTable) -> list[tuple[str, ...]]:
    by = {m: {row.name: row for row in found.rows(m)} for m in found.magnifications}
    lines = []
    for one in found.contenders:
        rows = [by[m].get(one.name) for m in found.magnifications]
        lines.append((one.name, "SSIM", *(f"{row.ssim[0]:.3f}" if row else "" for row in rows)))
        lines.append(("", "saved, %", *(f"{100 * row.saved[0]:.0f}" if row else "" for row in rows)))
    return lines


def plots(found: CodecTable) -> dict[str, str]:
    """Plot size against SSIM, against cosine and, where there are labels, against AUC: titles to SVG."""
    rows = found.rows()
    made = {"Size against SSIM": _plot(rows, "SSIM", lambda row: row.ssim[0])}
    if any(np.isfinite(row.cosine) for row in rows):
        name = f"cosine of codes of {found.encoder}"
        made["Size against cosine of codes"] = _plot(rows, name, lambda row: row.cosine)
    if found.aucs:
        made["Size against AUC"] = _plot(rows, "AUC", lambda row: found.aucs.get(row.name, float("nan")))
    return made


def _plot(rows: Sequence[Row], name: str, value: Callable[[Row], float]) -> str:
    series = list(dict.fromkeys(row.series for row in rows))

    def lines(axes: Axes) -> None:
        for number, one in enumerate(series):
            own = sorted((row.bits_per_pixel, value(row)) for row in rows if row.series == one)
            known = [point for point in own if np.isfinite(point[1])]
            if known:
                x, y = zip(*known, strict=True)
                axes.plot(x, y, "o-", markersize=4, color=_COLORS[number % len(_COLORS)], label=one)
        axes.set(xlabel="bits a pixel", ylabel=name)
        axes.legend(fontsize="x-small", frameon=False)

    return draw(lines)
