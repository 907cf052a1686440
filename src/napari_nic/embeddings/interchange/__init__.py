"""Others' formats, both ways: :func:`export_store` and :func:`import_store`."""

from napari_nic.embeddings.interchange.npy_format import distance_map
from napari_nic.embeddings.interchange.registry import (
    EXPORTERS,
    IMPORTERS,
    export_files,
    export_store,
    export_target,
    import_store,
    is_import_of,
    origin_of,
    recognised_format,
)
from napari_nic.embeddings.interchange.table import CodeTable, ForeignCodes, ImportHints, named_header

__all__ = [
    "EXPORTERS",
    "IMPORTERS",
    "CodeTable",
    "ForeignCodes",
    "ImportHints",
    "distance_map",
    "export_files",
    "export_store",
    "export_target",
    "import_store",
    "is_import_of",
    "named_header",
    "origin_of",
    "recognised_format",
]
