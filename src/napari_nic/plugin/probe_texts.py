"""What is said of what was learned, as texts."""

from __future__ import annotations

from napari_nic.annotations import RGB
from napari_nic.plugin.probe_job import Learned
from napari_nic.probe import Probe
from napari_nic.wording import counted


def class_lines(learned: Learned | None) -> tuple[tuple[str, RGB], ...]:
    """Classes with their numbers of strokes and cells, and their colours."""
    if learned is None:
        return ()
    if not learned.counts and learned.found is not None:  # by a probe that was saved
        return tuple(learned.colors.items())
    return tuple(
        (f"{label}: {counted(strokes, 'stroke')}, {counted(cells, 'cell')}", learned.colors[label])
        for label, (strokes, cells) in learned.counts.items()
    )


def opened_text(probe: Probe | None) -> str:
    """Say that a probe is applied that was saved, and what was measured of it; empty for none."""
    if probe is None:
        return ""
    checked = probe.card.metrics.get("leave_one_stroke_out")
    accuracy = checked.get("balanced_accuracy") if isinstance(checked, dict) else None
    measured = (
        f" (balanced accuracy {accuracy:.0%} on its strokes, each left out in turn)"
        if isinstance(accuracy, float)
        else ""
    )
    return f"Shown is what the probe {probe.card.name} says{measured}; strokes teach nothing meanwhile."


def accuracy_text(learned: Learned | None) -> str:
    """How well strokes are told without them, beside the floor; empty while that is not known."""
    check = None if learned is None or learned.trained is None else learned.trained.check
    if check is None or check.accuracy is None or check.floor is None:
        return ""
    return (
        f"Accuracy {check.accuracy:.0%}, each of {counted(check.strokes, 'stroke')} left out in turn. "
        f"Nearest class mean (SimpleShot): {check.floor:.0%}."
    )


def recall_lines(learned: Learned | None) -> str:
    """Class by class, a line each, and what the probabilities rest on."""
    check = None if learned is None or learned.trained is None else learned.trained.check
    if check is None or not check.recall:
        return ""
    lines = [
        f"{label}: {recall:.0%} of its cells, nearest class mean {check.simple_shot[label]:.0%}"
        for label, recall in check.recall.items()
    ]
    calibrated = "strokes that were left out" if check.calibrated else "the cells that were learned from"
    return "\n".join(
        [*lines, "Classes count alike.", f"Probabilities are calibrated on {calibrated}: one temperature."]
    )


def warning_lines(learned: Learned | None) -> tuple[str, ...]:
    """What the user should know before believing the map."""
    if learned is None:
        return ()
    return (*learned.notes, *(() if learned.trained is None else learned.trained.warnings))
