"""The keys of a dock, to be read in it."""

from __future__ import annotations

import html
from collections.abc import Sequence

from napari_nic.plugin.controllers.keys import Key
from napari_nic.plugin.widgets.fold import Fold
from napari_nic.plugin.widgets.rows import quiet_label


class KeyList(Fold):
    """Folds out to a table of keys.

    Parameters
    ----------
    keys : sequence of Key
        Those that work in this window.
    """

    def __init__(self, keys: Sequence[Key]) -> None:
        super().__init__("Keys")
        self.table = quiet_label(_table(keys))
        self.body.addWidget(self.table)


def _table(keys: Sequence[Key]) -> str:
    rows = "".join(
        f"<tr><td>{html.escape(key.name)}&nbsp;</td><td>{html.escape(key.text)}</td></tr>" for key in keys
    )
    return f"<table>{rows}</table>"
