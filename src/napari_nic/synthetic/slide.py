"""Write synthetic slides as pyramidal TIFF files, with the outlines of their lesions beside them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_nic.annotations import Annotation, AnnotationSet, write_annotations
from napari_nic.names import slide_stem
from napari_nic.synthetic.histology import Scene
from napari_nic.synthetic.pyramid import Told, ignore, write_pyramid
from napari_nic.synthetic.spec import Lesion, SyntheticSlideSpec

LESION_LABEL = "Lesion"
LESION_COLOR = (214, 39, 40)


@dataclass(frozen=True)
class SyntheticSlide:
    """Files of a synthetic slide.

    Attributes
    ----------
    path : Path
        The slide, a tiled pyramidal TIFF with JPEG tiles.
    annotation_path : Path
        Outlines of its lesions as QuPath GeoJSON, in level-0 pixels; without shapes if there are none.
    spec : SyntheticSlideSpec
    """

    path: Path
    annotation_path: Path
    spec: SyntheticSlideSpec

    @property
    def has_lesion(self) -> bool:
        """The slide's label."""
        return bool(self.spec.lesions)


def write_slide(path: Path | str, spec: SyntheticSlideSpec, *, told: Told = ignore) -> SyntheticSlide:
    """Paint a slide and write it; both files appear under their names only when they are whole.

    Parameters
    ----------
    path : Path or str
        Of the TIFF; the outlines go to the same name with ``.geojson``.
    spec : SyntheticSlideSpec
    told : callable
        Is called with the progress; what it raises ends the painting, and nothing is left of it.

    Returns
    -------
    SyntheticSlide

    Notes
    -----
    Levels below the first are kept in memory while level 0 is painted: a sixteenth of its raw size.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    scene = Scene(spec)
    annotation_path = path.with_name(f"{slide_stem(path)}.geojson")
    write_pyramid(path, scene, told=told)
    write_annotations(lesion_annotations(scene), annotation_path)
    return SyntheticSlide(path, annotation_path, spec)


def make_test_slide(path: Path | str, *, seed: int = 0, side: int = 1536) -> SyntheticSlide:
    """Write a small square slide with one lesion, in about a second."""
    spec = SyntheticSlideSpec(side, side, seed=seed, lesions=(Lesion(0.3),), coverage=0.6)
    return write_slide(path, spec)


def lesion_annotations(scene: Scene) -> AnnotationSet:
    """Outlines of a scene's lesions as annotations in level-0 pixels."""
    annotations = tuple(
        Annotation(LESION_LABEL, "polygon", polygon, name=f"{LESION_LABEL} {number}")
        for number, polygon in enumerate(scene.lesion_polygons(), start=1)
    )
    return AnnotationSet(annotations, {LESION_LABEL: LESION_COLOR}, source="synthetic histology")
