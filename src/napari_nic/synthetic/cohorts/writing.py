"""Write a cohort: slides or their codes, outlines, and the table that models are trained from."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from napari_nic.annotations import Annotation, AnnotationSet, write_annotations
from napari_nic.disk import replacing
from napari_nic.encoders import Encoder
from napari_nic.errors import InvalidParameterError
from napari_nic.geometry import Placement
from napari_nic.jobs import CancellationToken, Progress
from napari_nic.names import STORE_SUFFIX
from napari_nic.pipeline import iter_compress, prepare_store
from napari_nic.slides import open_slide
from napari_nic.synthetic import Painting, Scene, open_painting, write_pyramid
from napari_nic.synthetic.cohorts.mosaic import Composition, Mosaic
from napari_nic.synthetic.cohorts.plan import PAINTED, CohortOptions, PlannedSlide, plan_slides
from napari_nic.synthetic.cohorts.stock import TissueFolders, TissueStock, load_stock, split_stock
from napari_nic.synthetic.layout import FIELD_UM, Layout
from napari_nic.synthetic.slide import LESION_COLOR, LESION_LABEL
from napari_nic.tissue import TissueMask

Keep = Literal["codes", "slides", "both"]
"""What is kept of each slide: its codes, its pixels, or both."""

TABLE_FILE, PLAN_FILE, SLIDES_FOLDER = "cohort.csv", "cohort.json", "slides"
COLUMNS = ("slide", "case", "label", "split", "size", "source")
CLASSES = ("normal", "lesion")
SLIDE_SUFFIX, OUTLINE_SUFFIX, RECIPE_SUFFIX = ".tif", ".geojson", ".json"


class _PaintedSlide(Painting, Protocol):
    """What painted and composed slides have in common."""

    layout: Layout

    def lesion_polygons(self) -> list[Any]: ...


@dataclass(frozen=True)
class CohortWritten(Progress):
    """The last report of :func:`write_cohort`.

    Attributes
    ----------
    table : Path or None
        Of the cohort.
    """

    table: Path | None = None


def write_cohort(
    out: Path | str,
    options: CohortOptions | None = None,
    *,
    folders: TissueFolders | None = None,
    encoder: Encoder | None = None,
    keep: Keep = "codes",
    token: CancellationToken | None = None,
) -> Iterator[Progress]:
    """Make a cohort of slides with a lesion of known outline and size, or none.

    Parameters
    ----------
    out : Path or str
        Folder. ``cohort.csv`` is the table of :func:`napari_nic.cohorts.read_cohort` (size: share of the
        tissue); ``slides/`` holds of each slide its recipe, the outline of its lesion as QuPath GeoJSON in
        level-0 pixels, and what `keep` says.
    options : CohortOptions, optional
    folders : TissueFolders, optional
        Slides are composed of these tiles; a slide's part decides from which patients. Without, slides are
        painted (:mod:`napari_nic.synthetic`).
    encoder : Encoder, optional
        Needed unless only slides are kept.
    keep : {"codes", "slides", "both"}
        With ``codes`` slides are compressed while they are painted, and no pixel is written; the codes are
        the same.
    token : CancellationToken, optional

    Yields
    ------
    Progress
        The last one is a :class:`CohortWritten`.

    Raises
    ------
    InvalidParameterError
        If `out` holds another cohort, the tiles do not suffice, or there is no encoder.
    StoreError
        If nothing can be written.
    CancelledError
        What is finished is kept; the same call goes on from there.
    """
    out, options, token = Path(out), options or CohortOptions(), token or CancellationToken()
    if encoder is None and keep != "slides":
        raise InvalidParameterError("codes are to be kept", expected="an encoder", found="none")
    stocks = None if folders is None else split_stock(load_stock(folders, mpp=options.mpp), seed=options.seed)
    slides = plan_slides(options, None if stocks is None else {p: s.sources for p, s in stocks.items()})
    _save_plan(out / PLAN_FILE, _record(options, folders, encoder, keep))
    maker = _Maker(out / SLIDES_FOLDER, stocks, encoder, keep, token)
    for done, slide in enumerate(slides):
        token.checkpoint()
        yield Progress(done, len(slides), "making slides", "slides")
        maker.make(slide)
    _write_table(out / TABLE_FILE, slides, keep)
    yield CohortWritten(len(slides), len(slides), "made", "slides", table=out / TABLE_FILE)


@dataclass(frozen=True)
class _Maker:
    """Makes one slide after another."""

    folder: Path
    stocks: Mapping[str, TissueStock] | None
    encoder: Encoder | None
    keep: Keep
    token: CancellationToken

    def make(self, slide: PlannedSlide) -> None:
        """Write what a slide still lacks."""
        recipe = self.folder / f"{slide.name}{RECIPE_SUFFIX}"
        finished = recipe.with_suffix(OUTLINE_SUFFIX)
        if finished.exists():  # written last
            return
        with replacing(recipe) as temporary:
            temporary.write_text(json.dumps(slide.to_dict(), indent=1) + "\n", encoding="utf-8")
        painting = self._painting(slide)
        picture = recipe.with_suffix(SLIDE_SUFFIX)
        if self.keep != "codes" and not picture.exists():
            write_pyramid(picture, painting, told=lambda _: self.token.checkpoint())
        if self.keep != "slides":
            self._compress(painting, recipe, picture)
        write_annotations(_outline(painting), finished)

    def _painting(self, slide: PlannedSlide) -> _PaintedSlide:
        if slide.source == PAINTED or self.stocks is None:
            return Scene(slide.spec)
        return Mosaic(Composition(slide.spec, slide.source, slide.has_lesion), self.stocks[slide.part])

    def _compress(self, painting: _PaintedSlide, recipe: Path, picture: Path) -> None:
        assert self.encoder is not None  # noqa: S101 - checked when the cohort was begun
        store = recipe.with_name(f"{recipe.stem}{STORE_SUFFIX}")
        # The plan's tissue: the finder would have to paint the slide a second time.
        field = painting.layout.tissue > 0
        tissue = TissueMask(field, Placement((0.0, 0.0), (FIELD_UM, FIELD_UM)), "plan of the slide")
        opened = open_slide(picture) if self.keep == "both" else open_painting(painting, recipe)
        with (
            opened as slide,
            prepare_store(slide, self.encoder, path=store, tissue=tissue, token=self.token) as written,
        ):
            for _ in iter_compress(slide, self.encoder, written, token=self.token):
                pass


def _outline(painting: _PaintedSlide) -> AnnotationSet:
    annotations = tuple(
        Annotation(LESION_LABEL, "polygon", polygon, name=f"{LESION_LABEL} {number}")
        for number, polygon in enumerate(painting.lesion_polygons(), start=1)
    )
    return AnnotationSet(annotations, {LESION_LABEL: LESION_COLOR}, source="made by code")


def _record(
    options: CohortOptions, folders: TissueFolders | None, encoder: Encoder | None, keep: Keep
) -> dict[str, Any]:
    return {
        "options": asdict(options),
        "tissue": None if folders is None else folders.to_dict(),
        "encoder": None if encoder is None or keep == "slides" else encoder.spec.to_dict(),
        "keep": keep,
    }


def _save_plan(file: Path, record: dict[str, Any]) -> None:
    """Write what is made, or make sure that the folder was begun with the same."""
    text = json.dumps(record, indent=1) + "\n"
    if file.is_file():
        if file.read_text(encoding="utf-8") != text:
            raise InvalidParameterError(
                "the folder holds another cohort",
                path=file,
                expected="the same options, tiles and encoder, to go on",
                hint="choose another folder",
            )
        return
    with replacing(file) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _write_table(file: Path, slides: tuple[PlannedSlide, ...], keep: Keep) -> None:
    suffix = STORE_SUFFIX if keep == "codes" else SLIDE_SUFFIX
    with replacing(file) as temporary, temporary.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.writer(lines)
        writer.writerow(COLUMNS)
        for slide in slides:
            size = f"{slide.lesion_share:.6f}" if slide.has_lesion else ""
            name = f"{SLIDES_FOLDER}/{slide.name}{suffix}"
            label = CLASSES[slide.has_lesion]
            writer.writerow([name, slide.name, label, slide.part, size, slide.source or "painted"])
