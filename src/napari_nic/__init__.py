"""Neural Image Compression of whole-slide images, for napari and headless use.

The calls that most users need are here; importing the package loads none of what is behind them (no numpy,
napari, Qt or torch). What else a room offers is listed in its own ``__init__``.

Examples
--------
::

    import napari_nic as nic

    codes = nic.compress("slide.svs")          # CompressedSlide, in slide.nic.zarr
    nic.predict(codes, "lesion-demo").summary  # a slide-level model's score
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from napari_nic import old_names

__version__ = "0.1.0"

if TYPE_CHECKING:
    from napari_nic.annotations import read_annotations
    from napari_nic.calls import compress, load_model, open_compressed, pca, predict, saliency
    from napari_nic.encoders import load_encoder
    from napari_nic.errors import NicError
    from napari_nic.jobs import CancellationToken
    from napari_nic.slides import open_slide
    from napari_nic.tissue import find_tissue

__all__ = [
    "CancellationToken",
    "NicError",
    "__version__",
    "compress",
    "find_tissue",
    "load_encoder",
    "load_model",
    "open_compressed",
    "open_slide",
    "pca",
    "predict",
    "read_annotations",
    "saliency",
]

_ROOMS = {
    "CancellationToken": "jobs",
    "NicError": "errors",
    "compress": "calls",
    "find_tissue": "tissue",
    "load_encoder": "encoders",
    "load_model": "calls",
    "open_compressed": "calls",
    "open_slide": "slides",
    "pca": "calls",
    "predict": "calls",
    "read_annotations": "annotations",
    "saliency": "calls",
}


old_names.install()


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for (PEP 562)."""
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_ROOMS[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
