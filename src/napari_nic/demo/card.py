"""The model card of the demonstration model, for people, from what the bundle knows about itself."""

from __future__ import annotations

from pathlib import Path

from napari_nic.disk import write_text
from napari_nic.slide_models import ModelCard

CARD_NAME = "CARD.md"

_TEXT = """\
# {name}

{summary}

**Use:** {intended_use}

**Not for:** {not_for}

## What it is

The convolutional network on embedding arrays of Tellez et al. (TPAMI 2019), in its compact form
({layers} separable convolutions of {width} channels, crops of {crop} x {crop} cells), on the codes of encoder
`{encoder}` (C = {code_size}). It gives one number for a whole slide: the probability of "{positive}".

## What it learned from

{train_slides} synthetic slides of 20 to 28 cells a side, painted by code: stroma, fat, glands, lymphocytes, a
stain of its own for every slide, and in every second one a lesion of crowded, large, irregular nuclei that
fills 2 to 40 % of the tissue. The network was told only whether a slide has a lesion, never where.
{validation_slides} more slides chose the epoch.

The slides are painted by the code behind `napari-nic synthetic cohort` and `napari-nic experiments tissue`,
but drawn for this model alone: it is not the model of that experiment, and its results are not that
experiment's.

## How good it is, on {test_slides} synthetic slides it never saw

| measure | value |
|---|---|
| AUC of the slides' scores | {auc:.3f} |
| right at a threshold of 0.5 | {accuracy:.1%} |

Where the network looks, compared with the true outlines of {found} lesions that it was never shown:

| map | AUC of the cells, mean | least | Jaccard index at each slide's best threshold (optimistic) |
|---|---|---|---|
{localisation}

Training and test slides come from the same generator, and its lesions are far easier to tell than real ones.
The numbers show that the program works from end to end. They say nothing about real tissue. The recipe's
settings were chosen on other slides, but these test slides were scored after some of the choices, so that
the numbers are mildly optimistic.

## Make it again

`napari-nic models train-demo --out lesion-demo` paints, compresses, trains and predicts in
some minutes (seed {seed}). Licence: {licence}.
"""


def write_card(folder: Path, card: ModelCard) -> Path:
    """Write ``CARD.md`` beside a trained and evaluated bundle."""
    test = card.metrics["test"]
    maps = test["localisation"]
    rows = [
        f"| {name} | {found['pixel_auc']:.3f} | {found['least_pixel_auc']:.3f} "
        f"| {found['best_jaccard']:.2f} |"
        for name, found in maps.items()
        if found["slides"]
    ]
    text = _TEXT.format(
        name=card.name,
        summary=card.summary,
        intended_use=card.intended_use,
        not_for=card.not_for,
        layers=len(card.network.strides),
        width=card.network.width,
        crop=card.crop_size,
        encoder=card.encoder_name,
        code_size=card.network.code_size,
        positive=card.class_names[-1],
        train_slides=card.training["slides"],
        validation_slides=card.metrics["validation"]["slides"],
        test_slides=test["slides"],
        auc=test["auc"],
        accuracy=test["accuracy_at_half"],
        found=test["slides_with_lesion"],
        localisation="\n".join(rows),
        seed=card.training["seed"],
        licence=card.licence,
    )
    file = folder / CARD_NAME
    write_text(file, text)
    return file
