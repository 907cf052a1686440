"""``summary.html``: all slides of a run on one page, what failed first."""

from __future__ import annotations

import html
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from napari_nic.disk import write_text
from napari_nic.jobs import CancellationToken, checked
from napari_nic.pages import page, table, text
from napari_nic.runs.folder import SUMMARY_FILE, RunFolder
from napari_nic.runs.records import Output, TaskRecord
from napari_nic.runs.status import RunStatus, SlideStatus, read_status
from napari_nic.wording import counted, duration

_STYLE = """
.slides { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: 1.5rem 1rem; }
.slide img { height: 9rem; max-width: 16rem; object-fit: contain; object-position: left top; }
.slide img { image-rendering: auto; vertical-align: top; margin-right: .5rem; }
.slide h3 { font-size: 1rem; margin: 0 0 .3rem; overflow-wrap: anywhere; }
.failed { color: #a40000; white-space: pre-line; overflow-wrap: anywhere; }
td { white-space: pre-line; overflow-wrap: anywhere; vertical-align: top; }
"""


def write_summary(folder: RunFolder, *, token: CancellationToken | None = None) -> Path:
    """Write the page beside what it shows; its pictures are loaded when they are scrolled to.

    Parameters
    ----------
    folder : RunFolder
    token : CancellationToken, optional
        Asked at each slide.

    Returns
    -------
    Path

    Raises
    ------
    StoreError
        If the folder is none of a run, or cannot be written.
    CancelledError
    """
    status = read_status(folder, token=token)
    out = folder.root / SUMMARY_FILE
    write_text(out, page(f"Run {folder.root.absolute().name}", _parts(status, folder, token), style=_STYLE))
    return out


def _parts(status: RunStatus, folder: RunFolder, token: CancellationToken | None) -> Iterator[str]:
    counts = ", ".join(f"{count:,} {state}" for state, count in status.counts.items())
    yield f"<h1>{text(folder.root.absolute().name)}</h1>"
    yield f"<p>{text(counted(len(status.slides), 'slide'))}: {text(counts or 'none')}.</p>"
    yield f'<p class="small">Steps: {text(", ".join(status.tasks))}.{text(_work_on(status))}</p>'
    if status.failed:
        yield "<h2>Failed</h2>"
        rows = [(slide.name, slide.record.source.path, slide.reason) for slide in status.failed]
        yield table(("name", "slide", "why"), rows)
    yield '<h2>Slides</h2><div class="slides">'
    for slide in checked(status.slides, token):
        yield _slide(slide, folder)
    yield "</div>"


def _work_on(status: RunStatus) -> str:
    """Say what the slides took, those that were worked on at once added up, and when the last step ended."""
    ended = max((task.ended for slide in status.slides for task in slide.record.tasks.values()), default="")
    if not ended:
        return ""
    seconds = sum(slide.seconds for slide in status.slides)
    return f" {duration(seconds)} of work, the last of it ended {ended[:16].replace('T', ' ')} UTC."


def _slide(slide: SlideStatus, folder: RunFolder) -> str:
    """Return the part of one slide: its pictures, and a line for each of its steps."""
    pictures = "".join(
        f'<img loading="lazy" alt="{_alt(output)}" src="{html.escape(quote(output.path), quote=True)}">'
        for task in slide.record.tasks.values()
        for output in task.outputs
        if _is_shown(output, folder)
    )
    lines = [f"{name}: {_line(task)}" for name, task in slide.record.tasks.items()]
    why = f'<p class="failed">{text(slide.reason)}</p>' if slide.state == "failed" else ""
    steps = "<br>".join(text(line) for line in lines)
    return (
        f'<div class="slide"><h3>{text(slide.name)}: {text(slide.state)}</h3>{pictures}{why}'
        f'<p class="small">{steps}</p></div>'
    )


_SHOWN = ("outlined.jpg", "saliency-")


def _is_shown(output: Output, folder: RunFolder) -> bool:
    return output.path.rpartition("/")[2].startswith(_SHOWN) and output.is_there(folder.root)


def _alt(output: Output) -> str:
    return "saliency" if "saliency-" in output.path else "the slide, its tissue outlined"


def _line(task: TaskRecord) -> str:
    """Say in a few words what a step came to."""
    facts = task.facts
    found: list[str] = [task.outcome] if task.outcome != "done" else []
    if "area_mm2" in facts:
        found.append(f"{facts['area_mm2']:.4g} mm² of tissue")
    if "covered_cells" in facts:
        found.append(f"{facts['covered_cells']:,} patches")
    if "after" in facts:
        found.append(f"{facts['before']:,} bytes, then {facts['after']:,}")
    if "text" in facts:
        found.append(str(facts["text"]))
    if "limits" in facts:
        found.append(f"red speaks for {facts['target']}, blue against it, full at {facts['limits'][1]:.3g}")
    return ", ".join([*found, duration(task.seconds)])
