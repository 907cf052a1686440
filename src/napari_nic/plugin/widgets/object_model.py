"""The object tree as a model that makes rows when they are looked at: 100,000 objects do not freeze it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from qtpy.QtCore import QAbstractItemModel, QModelIndex, QPersistentModelIndex, Qt

from napari_nic.plugin.widgets.class_section import swatch

if TYPE_CHECKING:
    from napari_nic.editing import AnnotationObject
    from napari_nic.plugin.controllers.object_list import ObjectList

WHAT, SIZE = range(2)
HEADERS = ("Object", "Size")
LOCK_SIGN = "\N{LOCK}\N{VARIATION SELECTOR-15} "

GROUP, MOST_ROWS = 1000, 2000
"""Of longer lists than this, rows stand below rows of so many: Qt asks for each row of an open list."""

Index: TypeAlias = "QModelIndex | QPersistentModelIndex"


class _Key(NamedTuple):
    """A row: an object, or a group of the rows of one; the root is neither."""

    identity: str
    parent: str = ""
    group: int = -1


ROOT = _Key("")


class ObjectModel(QAbstractItemModel):
    """Rows of an :class:`ObjectList`.

    Parameters
    ----------
    listed : ObjectList
    """

    def __init__(self, listed: ObjectList) -> None:
        super().__init__()
        self._listed = listed
        self._numbers: dict[_Key, int] = {}
        self._keys: list[_Key] = [ROOT]
        self._icons: dict[tuple[int, int, int], Any] = {}
        listed.changed.connect(self.reset)
        listed.touched.connect(self._on_touched)

    def close(self) -> None:
        """Let the list go."""
        self._listed.changed.disconnect(self.reset)
        self._listed.touched.disconnect(self._on_touched)

    def reset(self) -> None:
        """Take up what is listed now."""
        self.beginResetModel()
        self._numbers.clear()
        self._keys = [ROOT]
        self.endResetModel()

    def id_at(self, index: Index) -> str:
        """Id of the object of a row; empty for the root and for groups."""
        return self._key_at(index).identity

    def index_of(self, identity: str) -> QModelIndex:
        """Index of an object's row; an invalid one if it is not listed."""
        return self._index_of(_Key(identity)) if self._object(identity) is not None else QModelIndex()

    # -- what Qt asks ------------------------------------------------------------------------------------

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008, N802 -- Qt's
        """How many rows stand below a row."""
        return self._count(self._key_at(parent)) if parent.column() <= 0 else 0

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: ARG002, B008, N802 -- Qt's
        """How many columns there are."""
        return len(HEADERS)

    def index(self, row: int, column: int, parent: Index = QModelIndex()) -> QModelIndex:  # noqa: B008 -- Qt's
        """Index of a row below another."""
        above = self._key_at(parent)
        if not (0 <= row < self._count(above) and 0 <= column < len(HEADERS)):
            return QModelIndex()
        return self.createIndex(row, column, self._number(self._child(above, row)))

    def parent(self, index: Index = QModelIndex()) -> QModelIndex:  # noqa: B008 -- Qt's
        """Row above, of which a row is a child."""
        key = self._key_at(index)
        return QModelIndex() if key == ROOT else self._index_of(self._above(key))

    def headerData(  # noqa: N802 -- Qt's name
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Titles of the columns."""
        is_title = orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole
        return HEADERS[section] if is_title else None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """What stands in a cell."""
        key = self._key_at(index)
        item = self._object(key.identity)
        if item is None:
            is_title = key.group >= 0 and role == Qt.ItemDataRole.DisplayRole and index.column() == WHAT
            return self._group_title(key) if is_title else None
        if role == Qt.ItemDataRole.DisplayRole:
            return self._title(item) if index.column() == WHAT else self._size(item)
        if role == Qt.ItemDataRole.DecorationRole and index.column() == WHAT:
            return self._icon(item)
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._details(item)
        if role == Qt.ItemDataRole.TextAlignmentRole and index.column() == SIZE:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None

    # -- inner -------------------------------------------------------------------------------------------

    def _object(self, identity: str) -> AnnotationObject | None:
        document = self._listed.annotator.document
        return document[identity] if identity and document is not None and identity in document else None

    def _key_at(self, index: Index) -> _Key:
        return self._keys[index.internalId()] if index.isValid() else ROOT

    def _number(self, key: _Key) -> int:
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._keys)
            self._keys.append(key)
        return number

    def _is_grouped(self, parent: str) -> bool:
        return len(self._listed.children(parent)) > MOST_ROWS

    def _count(self, key: _Key) -> int:
        """How many rows stand below a key."""
        if key.group >= 0:
            return min(GROUP, len(self._listed.children(key.parent)) - key.group * GROUP)
        children = len(self._listed.children(key.identity))
        return -(-children // GROUP) if children > MOST_ROWS else children

    def _child(self, key: _Key, row: int) -> _Key:
        if key.group >= 0:
            return _Key(self._listed.children(key.parent)[key.group * GROUP + row])
        if self._is_grouped(key.identity):
            return _Key("", key.identity, row)
        return _Key(self._listed.children(key.identity)[row])

    def _above(self, key: _Key) -> _Key:
        if key.group >= 0:
            return _Key(key.parent)
        parent, row = self._place(key.identity)
        return _Key("", parent, row // GROUP) if self._is_grouped(parent) else _Key(parent)

    def _place(self, identity: str) -> tuple[str, int]:
        """Id of the object that an object is listed below, and its number there; -1 if it is not listed."""
        item = self._object(identity)
        for parent in dict.fromkeys(("" if item is None else item.parent, "")):
            children = self._listed.children(parent)
            if identity in children:
                return parent, children.index(identity)
        return "", -1

    def _index_of(self, key: _Key) -> QModelIndex:
        if key == ROOT:
            return QModelIndex()
        if key.group >= 0:
            return self.createIndex(key.group, 0, self._number(key))
        parent, row = self._place(key.identity)
        if row < 0:
            return QModelIndex()
        return self.createIndex(row % GROUP if self._is_grouped(parent) else row, 0, self._number(key))

    def _group_title(self, key: _Key) -> str:
        first = key.group * GROUP + 1
        return f"{first:,} to {first + self._count(key) - 1:,}"

    def _title(self, item: AnnotationObject) -> str:
        lock = LOCK_SIGN if self._listed.annotator.is_locked(item) else ""
        what = item.annotation.name or item.annotation.kind
        return f"{lock}{item.label}: {what}"

    def _size(self, item: AnnotationObject) -> str:
        return self._listed.size(item).partition(", outline")[0]

    def _icon(self, item: AnnotationObject) -> Any:
        document = self._listed.annotator.document
        assert document is not None  # noqa: S101 -- it holds the item
        color = document.color_of(item)
        if color not in self._icons:
            self._icons[color] = swatch(color)
        return self._icons[color]

    def _details(self, item: AnnotationObject) -> str:
        lines = [self._title(item), self._listed.size(item)]
        lines += [f"{name}: {value:.6g}" for name, value in item.measurements.items()]
        if item.edited.at:
            lines.append(f"edited {item.edited.at} {item.edited.by}")
        return "\n".join(line for line in lines if line)

    def _on_touched(self, ids: tuple[str, ...]) -> None:
        for identity in ids:
            index = self.index_of(identity)
            if index.isValid():
                self.dataChanged.emit(index, index.siblingAtColumn(SIZE))
