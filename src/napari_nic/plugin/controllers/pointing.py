"""What lies under the pointer, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_nic.plugin.layers import to_slide_um
from napari_nic.plugin.legend import UM, format_value

if TYPE_CHECKING:
    from napari_nic.explain import Overlay
    from napari_nic.plugin.controllers.models import ModelController
    from napari_nic.plugin.controllers.session import Session


def describe(
    world: tuple[float, ...], session: Session, overlay: Overlay | None, models: ModelController
) -> str:
    """Say what lies under a point of napari's world: cell (row, column), place (y, x) in um, value.

    Parameters
    ----------
    world : tuple of float
    session : Session
        Knows slide and store; without both nothing is said.
    overlay : Overlay or None
        The one on top.
    models : ModelController
        Says what was predicted for a cell.
    """
    slide, store = session.slide, session.store
    if slide is None or store is None or slide.pixel_size is None:
        return ""
    y_um, x_um = to_slide_um(world, slide)
    cell = store.grid.cell_at(y_um / slide.pixel_size.y, x_um / slide.pixel_size.x)
    if cell is None:
        return ""
    place = f"cell {cell[0]}, {cell[1]} at {y_um:,.0f}, {x_um:,.0f} {UM}"
    if overlay is None:
        return place
    value = overlay.value_at(*cell)
    if value is None:
        what = models.describe_cell(*cell) if overlay.kind == "prediction" else ""
    else:
        what = f"{format_value(value)} {overlay.unit}".strip()
    return f"{what}   {place}" if what else place
