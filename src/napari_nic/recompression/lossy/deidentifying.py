"""Nothing that names a patient, a case or a file: a new file gets only what is known to be harmless.

Of metadata what is listed here is kept, and all else left out, whatever it is called. The label goes, and so
does the macro, which shows the label. Since the whole file is written anew nothing of the old bytes is in it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from napari_nic.recompression.lossy.picture import SlideFacts
from napari_nic.slides import RgbArray

HARMLESS_KEYS = (
    "AppMag",
    "MPP",
    "StripeWidth",
    "LineCameraSkew",
    "LineAreaXOffset",
    "LineAreaYOffset",
    "Focus Offset",
    "Exposure Time",
    "Exposure Scale",
    "DisplayColor",
    "OriginalWidth",
    "OriginalHeight",
    "Originalheight",
    "Filtered",
    "Gamma",
    "Left",
    "Top",
)
"""Of an Aperio description: optics and geometry. File name, user, date, bar code, identifiers are not."""

HARMLESS_PICTURES = ("thumbnail",)
"""They show the scanned part of the slide and nothing beside it."""

_LABEL_HEIGHT, _LABEL_WIDTH, _FONT = 400, 400, 48


def deidentified(facts: SlideFacts, label_text: str = "") -> SlideFacts:
    """Leave out whatever may name somebody.

    Parameters
    ----------
    facts : SlideFacts
    label_text : str
        What a new label says, such as a study number; empty for none.

    Returns
    -------
    SlideFacts
    """
    kept = {name: pixels for name, pixels in facts.associated.items() if name in HARMLESS_PICTURES}
    if label_text:
        kept["label"] = draw_label(label_text)
    return replace(facts, name="", description=_harmless(facts.description), associated=kept)


def _harmless(description: str) -> str:
    """Keep optics and geometry of an Aperio description; nothing of any other text."""
    if not description.startswith("Aperio"):
        return ""
    fields = (item.partition("=") for item in description.split("|")[1:])
    kept = [(key.strip(), value.strip()) for key, _, value in fields if key.strip() in HARMLESS_KEYS]
    return "|".join(["Aperio", *(f"{key} = {value}" for key, value in kept if _is_number(value))])


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def draw_label(text: str) -> RgbArray:
    """Draw a text on a white label, (rows, cols, 3) uint8, smaller if it is long."""
    label = Image.new("RGB", (_LABEL_WIDTH, _LABEL_HEIGHT), "white")
    pen, size = ImageDraw.Draw(label), float(_FONT)
    while size > 8:
        font = ImageFont.load_default(size)
        box = pen.multiline_textbbox((0, 0), text, font=font)
        if box[2] <= _LABEL_WIDTH - 20 and box[3] <= _LABEL_HEIGHT - 20:
            break
        size *= 0.9
    pen.multiline_text((10, 10), text, fill="black", font=font)
    return np.asarray(label)
