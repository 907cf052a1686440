"""ImageScope's and HALO's XML, written: layers are classes, holes are negative regions.

A negative region is cut out of every area of its layer. So an area whose hole another area of its class
reaches into gets a layer of its own, of the same name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from xml.sax.saxutils import quoteattr

import numpy as np
import shapely

from napari_nic.annotations.carrying import WITHOUT
from napari_nic.annotations.ellipses import ellipse_of
from napari_nic.annotations.model import Annotation, AnnotationSet
from napari_nic.annotations.pieces import Points, corners, parts_of, points_in
from napari_nic.annotations.xml_stream import clean_text
from napari_nic.colors import RGB
from napari_nic.jobs import CancellationToken, checked

IMAGESCOPE_INSTEAD = {
    "areas of several parts": "written as separate ones",
    "turned ellipses": "written as polygons",
    "splines": "written as polygons",
    "lines": "written as arrows",
    "lines of several parts": "written as separate ones",
    "ids": "numbered anew",
    "measurements": WITHOUT,
    "further details": WITHOUT,
}

HALO_INSTEAD = {
    "areas of several parts": "written as separate ones",
    "turned ellipses": "written as polygons",
    "splines": "written as polygons",
    "lines": "written as rulers",
    "lines of several parts": "written as separate ones",
    "arrows": "written as rulers",
    "point sets": "written as single pins",
    "names": WITHOUT,
    "ids": WITHOUT,
    "measurements": WITHOUT,
    "further details": WITHOUT,
}


@dataclass(frozen=True)
class _Region:
    """One region: `kind` is one of ours, `rings` of an area are its outline and its holes."""

    kind: str
    name: str
    rings: list[Points]
    area: shapely.Geometry | None = None


@dataclass(frozen=True)
class _Dialect:
    """What the two programs call things."""

    head: str
    layer: Callable[[int, str, RGB], str]
    region: Callable[[int, str, str, bool], str]
    corner: Callable[[float, float], str]
    tail: str
    points_apart: bool


def write_imagescope(
    annotations: AnnotationSet, path: Path, token: CancellationToken | None = None
) -> tuple[str, ...]:
    """Write a file that ImageScope opens; see :func:`_write`."""
    return _write(annotations, path, _IMAGESCOPE, token)


def write_halo(
    annotations: AnnotationSet, path: Path, token: CancellationToken | None = None
) -> tuple[str, ...]:
    """Write a file that HALO opens, in whole pixels; see :func:`_write`."""
    return _write(annotations, path, _HALO, token)


def _write(
    annotations: AnnotationSet, path: Path, dialect: _Dialect, token: CancellationToken | None
) -> tuple[str, ...]:
    number = layer = 0
    changed = []
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(dialect.head)
        for label in annotations.labels():
            name = clean_text(label).strip() or "\ufffd"
            changed += [f"the class {label!r} was written as {name!r}"] if name != label else []
            own = [a for a in annotations.annotations if a.label == label]
            regions = [region for a in checked(own, token) for region in _regions(a, dialect)]
            for members in _layers(regions):
                layer += 1
                file.write(dialect.layer(layer, name, annotations.colors[label]))
                for region in members:
                    number = _write_region(file, region, number, dialect)
                file.write("</Regions></Annotation>\n")
        file.write(dialect.tail)
    return tuple(changed)


def _regions(annotation: Annotation, dialect: _Dialect) -> Iterator[_Region]:
    name = clean_text(annotation.name)
    round_one = ellipse_of(annotation.geometry) if annotation.kind == "ellipse" else None
    if round_one is not None:
        yield _Region("ellipse", name, [list(round_one.box)], annotation.geometry)
    elif annotation.is_area:
        parts = parts_of(annotation.geometry)
        kind = "rectangle" if annotation.kind == "rectangle" and _is_box(annotation.geometry) else "polygon"
        for part in parts:
            rings = [corners(ring) for ring in (part.exterior, *part.interiors)]
            yield _Region(kind, name, rings, part)
    elif annotation.kind in ("point", "points"):
        points = points_in(annotation.geometry)
        for group in ([point] for point in points) if dialect.points_apart else [points]:
            yield _Region("points", name, [list(group)])
    else:
        for part in parts_of(annotation.geometry):
            yield _Region(annotation.kind, name, [corners(part)])


def _is_box(geometry: shapely.Geometry) -> bool:
    return bool(geometry.equals(shapely.box(*geometry.bounds)))


def _layers(regions: Sequence[_Region]) -> Iterator[list[_Region]]:
    """Deal regions of a class out into layers in which no hole cuts another area."""
    areas = np.array([region.area or shapely.Polygon() for region in regions] + [None], object)[:-1]
    owners = [n for n, region in enumerate(regions) for _ in region.rings[1:]]
    holes = [shapely.Polygon(ring) for region in regions for ring in region.rings[1:]]
    found, area = shapely.STRtree(areas).query(np.array([*holes, None], object)[:-1], predicate="intersects")
    owner = np.array(owners, int)[found]
    alone = set(owner[owner != area].tolist())
    yield [region for n, region in enumerate(regions) if n not in alone]
    for n in sorted(alone):
        yield [regions[n]]


def _write_region(file: IO[str], region: _Region, number: int, dialect: _Dialect) -> int:
    """Write a region and its holes; return the number of the last one."""
    for index, ring in enumerate(region.rings):
        number += 1
        kind = "polygon" if index else region.kind
        file.write(dialect.region(number, kind, region.name if index == 0 else "", index > 0))
        file.writelines(dialect.corner(x, y) for x, y in ring)
        file.write("</Vertices></Region>\n")
    return number


def _packed(color: RGB) -> int:
    """Blue in the high byte."""
    red, green, blue = color
    return red | green << 8 | blue << 16


_IMAGESCOPE_TYPES: Mapping[str, int] = {
    "polygon": 0,
    "rectangle": 1,
    "ellipse": 2,
    "line": 3,
    "arrow": 3,
    "measurement": 4,
    "points": 5,
}
_HALO_TYPES: Mapping[str, str] = {
    "polygon": "Polygon",
    "rectangle": "Rectangle",
    "ellipse": "Ellipse",
    "line": "Ruler",
    "arrow": "Ruler",
    "measurement": "Ruler",
    "points": "Pin",
}


def _imagescope_layer(number: int, name: str, color: RGB) -> str:
    return (
        f'<Annotation Id="{number}" Name={quoteattr(name)} ReadOnly="0" LineColorReadOnly="0" Incremental="0"'
        f' Type="4" LineColor="{_packed(color)}" Visible="1" Selected="0"><Regions>\n'
    )


def _imagescope_region(number: int, kind: str, name: str, is_hole: bool) -> str:
    return (
        f'<Region Id="{number}" Type="{_IMAGESCOPE_TYPES[kind]}" Zoom="1" Selected="0" ImageLocation=""'
        f' Text={quoteattr(name)} NegativeROA="{int(is_hole)}" Analyze="0" DisplayId="{number}"><Vertices>'
    )


def _halo_layer(_number: int, name: str, color: RGB) -> str:
    return f'<Annotation LineColor="{_packed(color)}" Name={quoteattr(name)} Visible="True"><Regions>\n'


def _halo_region(_number: int, kind: str, _name: str, is_hole: bool) -> str:
    return f'<Region Type="{_HALO_TYPES[kind]}" HasEndcaps="0" NegativeROA="{int(is_hole)}"><Vertices>'


_IMAGESCOPE = _Dialect(
    '<?xml version="1.0" encoding="UTF-8"?>\n<Annotations>\n',
    _imagescope_layer,
    _imagescope_region,
    lambda x, y: f'<Vertex X="{x!r}" Y="{y!r}" Z="0"/>',
    "</Annotations>\n",
    points_apart=False,
)
_HALO = _Dialect(
    "<Annotations><!-- regions: HasEndcaps -->\n",
    _halo_layer,
    _halo_region,
    lambda x, y: f'<V X="{round(x)}" Y="{round(y)}" />',
    "</Annotations>\n",
    points_apart=True,
)
