"""The model card of a probe, as people read it."""

from __future__ import annotations

from napari_nic.probe.model import ProbeCard


def card_text(card: ProbeCard) -> str:
    """Return the card as Markdown."""
    strokes, cells = card.training.get("strokes", {}), card.training.get("cells", {})
    held = card.metrics.get("leave_one_stroke_out", "not measured")
    recall = held.get("recall", {}) if isinstance(held, dict) else {}
    rows = [
        f"| {_plain(label)} | {strokes.get(label)} | {cells.get(label)} | {_share(recall.get(label))} |"
        for label in card.class_names
    ]
    return "\n".join(
        [
            f"# {_plain(card.name)}",
            "",
            _plain(card.summary),
            "",
            f"- Codes of: {_plain(card.encoder_name)} (C = {card.encoder.get('code_size')}, "
            f"weights SHA-256 {card.encoder.get('weights_sha256')})",
            f"- Learned from: {', '.join(_plain(str(name)) for name in card.training.get('slides', ()))}",
            f"- Not for: {_plain(card.not_for)}",
            f"- {_accuracy(held)}",
            "",
            "| class | strokes | cells | recall, leaving the stroke out |",
            "|---|---|---|---|",
            *rows,
            "",
            "A linear discriminant in closed form on the codes of labelled patches; all classes count alike.",
            "Probabilities are softmax(scores / temperature), one temperature for all.",
            "",
        ]
    )


def _accuracy(held: object) -> str:
    if not isinstance(held, dict):
        return f"Accuracy: {held}"
    return (
        f"Balanced accuracy, leaving one stroke out: {_share(held.get('balanced_accuracy'))} over "
        f"{held.get('strokes')} strokes; nearest class mean (SimpleShot): "
        f"{_share(held.get('simple_shot_balanced_accuracy'))}"
    )


def _share(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, int | float) else "not known"


def _plain(text: str) -> str:
    """Text of anybody's in a line of Markdown."""
    return " ".join(text.replace("|", "/").split())
