"""Nothing that names a patient, a case or a file: a new file gets only what is known to be harmless.

Of metadata what is listed is kept, and all else left out, whatever it is called. The label goes, and so does
the macro, which shows the label. Since the whole file is written anew nothing of the old bytes is in it.
"""

from __future__ import annotations

from dataclasses import replace

from napari_nic.recompression.deidentifying import draw_label, harmless_fields
from napari_nic.recompression.lossy.picture import SlideFacts

HARMLESS_PICTURES = ("thumbnail",)
"""They show the scanned part of the slide and nothing beside it."""


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
    return "|".join(["Aperio", *(f"{key} = {value}" for key, value in harmless_fields(description))])
