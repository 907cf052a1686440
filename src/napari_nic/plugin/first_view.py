"""The first view of a new window: everything fits, until somebody looks elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari.components import ViewerModel


def keep_fitting(viewer: ViewerModel) -> None:
    """Fit the view to all layers, and again whenever the canvas gets another size.

    A window takes its size, and docks their width, only after it was shown. As soon as the camera was moved
    by anybody else, nothing happens any more.

    Parameters
    ----------
    viewer : ViewerModel
    """
    viewer.reset_view()
    fitted = _camera(viewer)

    def fit_again(event: Any) -> None:  # noqa: ARG001 -- napari passes the event
        nonlocal fitted
        if _camera(viewer) == fitted:
            viewer.reset_view()
            fitted = _camera(viewer)
        else:
            viewer.canvas.events.size.disconnect(fit_again)

    viewer.canvas.events.size.connect(fit_again)


def _camera(viewer: ViewerModel) -> tuple[float, ...]:
    camera = viewer.scene.camera
    return (*camera.center, camera.zoom)
