"""The numbers of Tellez et al. 2019 that recipes are held against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

ENCODERS = ("VAE", "contrastive", "BiGAN", "mean-RGB", "supervised-tumour", "supervised-tissue")
OURS = "ours"
MISSING, NOT_RUN = "-", "not run"


@dataclass(frozen=True)
class PublishedTable:
    """A table of the paper.

    Attributes
    ----------
    title : str
    columns : tuple of str
    rows : mapping of str to tuple of float or None
        By encoder; None where the paper has no number.
    remark : str
        In which respect ours can differ.
    """

    title: str
    columns: tuple[str, ...]
    rows: Mapping[str, tuple[float | None, ...]]
    remark: str = ""

    def beside(self, ours: Mapping[str, str], encoder: str) -> list[tuple[str, ...]]:
        """Return the table's rows and, last, our own.

        Parameters
        ----------
        ours : mapping of str to str
            By column; a column that is missing was not measured. Empty: nothing was run.
        encoder : str
            That ours were made with.
        """
        rows = [(name, *(_text(value) for value in values)) for name, values in self.rows.items()]
        unknown = MISSING if ours else NOT_RUN
        return [*rows, (f"{OURS}: {encoder}", *(ours.get(column, unknown) for column in self.columns))]

    @property
    def header(self) -> tuple[str, ...]:
        """Names of all columns."""
        return ("encoder", *self.columns)


CAMELYON16 = PublishedTable(
    "AUC, metastasis in a slide (Table 2)",
    ("All", "Test", "Macro"),
    {
        "VAE": (0.661, 0.671, 0.634),
        "contrastive": (0.608, 0.651, 0.606),
        "BiGAN": (0.725, 0.704, 0.720),
        "mean-RGB": (0.582, 0.578, 0.585),
        "supervised-tumour": (0.760, 0.771, 0.914),
    },
    "The paper's text says .716 and .674 for BiGAN; the table is quoted here.",
)

TUPAC16 = PublishedTable(
    "Spearman correlation, speed of growth (Table 3; multitask: Tellez et al. 2020)",
    ("All", "Test"),
    {
        "VAE": (0.419, None),
        "contrastive": (0.390, None),
        "BiGAN": (0.522, 0.558),
        "mean-RGB": (0.238, None),
        "supervised-tumour": (0.427, None),
        "multitask": (0.620, 0.632),
    },
    "The truth of the test slides is not public.",
)

TISSUE9 = PublishedTable(
    "accuracy, nine tissues (Table 1, Rectum)",
    ("accuracy",),
    dict(zip(ENCODERS, ((0.639,), (0.520,), (0.765,), (0.504,), (0.646,), (0.904,)), strict=True)),
    "The paper's nine classes are others, of 74 other slides: compare the order of encoders, not numbers.",
)

TABLES = {"camelyon16": CAMELYON16, "tupac16": TUPAC16, "tissue9": TISSUE9}


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table as Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _text(value: float | None) -> str:
    return MISSING if value is None else f"{value:.3f}"
