"""Layers for objects that none shows: the one where they were, the one that is drawn in, or a new one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_nic.annotations import AnnotationSet
from napari_nic.editing import AnnotationObject, Document, KeptLayer, plain
from napari_nic.plugin.annotation_layers import (
    AnnotationTag,
    annotation_layers,
    annotation_tag,
    empty_layer,
    is_point,
)
from napari_nic.plugin.controllers.homes import Homes
from napari_nic.plugin.controllers.session import Session
from napari_nic.plugin.layer_updates import Changes, fits
from napari_nic.plugin.layers import METADATA_KEY, tag_of

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_nic.slides import Slide


@dataclass(frozen=True, eq=False)
class LayersOf:
    """What is known elsewhere of the layers of annotations.

    Attributes
    ----------
    document_of : callable
        The document of a slide; None if it has none.
    layers : callable
        Layers that show objects of a document.
    add : callable
        Lets a layer show more objects, by their numbers in its tag.
    """

    document_of: Callable[[Slide], Document | None]
    layers: Callable[[Document], list[Layer]]
    add: Callable[[Layer, Changes], None]


class Housing:
    """Finds or makes layers for objects.

    Parameters
    ----------
    session : Session
    known : LayersOf
    homes : Homes
        Where objects were before.
    """

    def __init__(self, session: Session, known: LayersOf, homes: Homes) -> None:
        self._session, self._known, self._homes = session, known, homes

    def house(self, document: Document, items: Sequence[AnnotationObject], *, is_drawn: bool) -> None:
        """Show objects that no layer shows.

        Parameters
        ----------
        document : Document
        items : sequence of AnnotationObject
        is_drawn : bool
            Whether they were drawn just now, and are no part of what was kept.
        """
        slide = next((s for s in self._slides() if self._known.document_of(s) is document), None)
        if slide is None:
            return
        left, groups = [], self._by_home(document, items)
        for home, some in groups:
            if home is not None and not any(self._tag(one).key == home.key for one in self._layers(document)):
                self._new_layers(document, slide, some, home, is_drawn=is_drawn)
            else:
                left += self._put_into_layers(document, some, home)
        if left:
            self._new_layers(document, slide, left, is_drawn=is_drawn)

    def _by_home(
        self, document: Document, items: Sequence[AnnotationObject]
    ) -> list[tuple[KeptLayer | None, list[AnnotationObject]]]:
        """Group objects by the layers that they were in, in the order of those; unknown ones come last."""
        groups: dict[str, list[AnnotationObject]] = {}
        for item in items:
            home = self._homes.layer_of(document, item.id)
            groups.setdefault("" if home is None else home.key, []).append(item)
        known = [
            (layer, groups.pop(layer.key)) for layer in self._homes.layers(document) if layer.key in groups
        ]
        return [*known, *((None, rest) for rest in groups.values())]

    def _put_into_layers(
        self, document: Document, items: Sequence[AnnotationObject], home: KeptLayer | None
    ) -> list[AnnotationObject]:
        """Show objects in layers that there are; return those for which there is none."""
        left = []
        for is_points in (False, True):
            some = [item for item in items if is_point(item.annotation) is is_points]
            layer = self._layer_for(document, some[0], home) if some else None
            if layer is None:
                left += some
            else:
                self._add_objects(document, layer, some)
        return left

    def _layer_for(self, document: Document, item: AnnotationObject, home: KeptLayer | None) -> Layer | None:
        """Return the layer where objects were, else the one that is active, else the last one."""
        if home is not None:
            return self._layer_at_home(document, item, home)
        layers = [
            layer
            for layer in self._layers(document)
            if fits(layer, item.annotation) and hasattr(layer, "selected_data")
        ]
        active = self._session.viewer.layers.selection.active
        return active if active in layers else layers[-1] if layers else None

    def _layer_at_home(self, document: Document, item: AnnotationObject, home: KeptLayer) -> Layer:
        """Return the layer where objects were; of a file whose points are there shapes may be gone."""
        at_home = [layer for layer in self._layers(document) if self._tag(layer).key == home.key]
        fitting = [layer for layer in at_home if fits(layer, item.annotation)]
        if fitting:
            return fitting[0]
        data, options, kind = empty_layer(self._tag(at_home[0]), points=is_point(item.annotation))
        active = self._session.viewer.layers.selection.active
        made: Layer = getattr(self._session.viewer, f"add_{kind}")(data, ndim=2, **options)
        self._session.viewer.layers.selection.active = active
        return made

    def _add_objects(self, document: Document, layer: Layer, items: Sequence[AnnotationObject]) -> None:
        tag = self._tag(layer)
        numbers = {identity: number for number, identity in enumerate(tag.ids)}
        tag.ids += [item.id for item in items if item.id not in numbers]
        numbers = {identity: number for number, identity in enumerate(tag.ids)}
        if tag.home is None:  # else they go with it to the picture that it was lifted from
            self._homes.put(document, tag, (item.id for item in items))
        self._known.add(layer, Changes(added={numbers[item.id]: item for item in items}))

    def _new_layers(
        self,
        document: Document,
        slide: Slide,
        items: Sequence[AnnotationObject],
        home: KeptLayer | None = None,
        *,
        is_drawn: bool,
    ) -> None:
        colors = {entry.name: entry.color for entry in document.classes}
        what = "points" if all(is_point(item.annotation) for item in items) else "annotations"
        name = f"{slide.name} {what}" if home is None else home.name
        path = Path(home.path) if home is not None and home.path else None
        annotations = AnnotationSet(tuple(plain(item) for item in items), colors)
        active = self._session.viewer.layers.selection.active
        layers = annotation_layers(annotations, slide, name, path)
        tag: AnnotationTag = layers[0][1]["metadata"][METADATA_KEY]
        tag.key = tag.key if home is None else home.key
        tag.ids, tag.told, tag.is_restored = [item.id for item in items], True, home is not None
        tag.is_drawn = is_drawn and path is None
        self._homes.put(document, tag, tag.ids)
        for data, options, kind in layers:
            getattr(self._session.viewer, f"add_{kind}")(data, **options)
        if active is not None and active in self._session.viewer.layers:
            self._session.viewer.layers.selection.active = active

    def _layers(self, document: Document) -> list[Layer]:
        return self._known.layers(document)

    @staticmethod
    def _tag(layer: Layer) -> AnnotationTag:
        tag = annotation_tag(layer)
        assert tag is not None  # noqa: S101 -- for the type checker: only layers of annotations come here
        return tag

    def _slides(self) -> Iterator[Slide]:
        for layer in self._session.viewer.layers:
            tag = tag_of(layer)
            if tag is not None and tag.slide is not None:
                yield tag.slide
