"""Which layer of a window shows which object of a document, so that each comes back where it was."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from psygnal import Signal

from napari_nic.editing import Document, KeptLayer
from napari_nic.plugin.annotation_layers import AnnotationTag


@dataclass(eq=False)
class _Of:
    """Of one document: layers by their keys, and the key of each object's layer."""

    layers: dict[str, KeptLayer] = field(default_factory=dict)
    homes: dict[str, str] = field(default_factory=dict)


class Homes:
    """Remembers layers, also those that are gone: what is undone comes back in a layer of their name."""

    changed = Signal(object)
    """Emitted with a document one of whose layers got another name."""

    def __init__(self) -> None:
        self._of: weakref.WeakKeyDictionary[Document, _Of] = weakref.WeakKeyDictionary()

    def _known(self, document: Document) -> _Of:
        return self._of.setdefault(document, _Of())

    def put(self, document: Document, tag: AnnotationTag, ids: Iterable[str]) -> None:
        """Note that the layers of a tag show these objects."""
        known = self._known(document)
        known.layers[tag.key] = _kept(tag)
        known.homes.update(dict.fromkeys(ids, tag.key))

    def rename(self, document: Document, tag: AnnotationTag) -> None:
        """Note that the layers of a tag have the tag's name now."""
        known = self._known(document)
        if tag.key in known.layers and known.layers[tag.key] != _kept(tag):
            known.layers[tag.key] = _kept(tag)
            self.changed.emit(document)

    def restore(self, document: Document, homes: Mapping[str, str], layers: Iterable[KeptLayer]) -> None:
        """Take what was kept; what the window shows of the document already stays where it is."""
        known = self._known(document)
        known.layers = {layer.key: layer for layer in layers} | known.layers
        known.homes = {i: key for i, key in homes.items() if key in known.layers} | known.homes

    def layer_of(self, document: Document, identity: str) -> KeptLayer | None:
        """Return the layer that shows an object, or did; None if nobody knows."""
        known = self._known(document)
        return known.layers.get(known.homes.get(identity, ""))

    def homes(self, document: Document) -> Mapping[str, str]:
        """Return, by object, the key of its layer."""
        return self._known(document).homes

    def layers(self, document: Document) -> tuple[KeptLayer, ...]:
        """Return the layers that show objects of a document, or did."""
        return tuple(self._known(document).layers.values())


def _kept(tag: AnnotationTag) -> KeptLayer:
    return KeptLayer(tag.key, tag.name, "" if tag.path is None else str(tag.path.absolute()))
