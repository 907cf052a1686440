"""The compressed slide: a versioned Zarr store of patch codes, and the formats of others.

Public modules beside this list: ``dihedral``, ``interchange``.
"""

from napari_nic.embeddings.checks import check_covered, open_slide_of
from napari_nic.embeddings.going_on import open_to_go_on
from napari_nic.embeddings.header import UNKNOWN_SLIDE, StoreHeader
from napari_nic.embeddings.interchange import (
    EXPORTERS,
    IMPORTERS,
    ImportHints,
    export_files,
    export_store,
    export_target,
    import_store,
    named_header,
)
from napari_nic.embeddings.layout import (
    BLOCK,
    COMPLETE,
    PARTIAL,
    SHARD,
    blocks_with_cells,
    cells_of_blocks,
    is_marked,
)
from napari_nic.embeddings.lease import Lease, WriterInfo
from napari_nic.embeddings.paths import default_store_path, find_stores
from napari_nic.embeddings.resident import ResidentCodes
from napari_nic.embeddings.shards import block_cells
from napari_nic.embeddings.store import CompressedSlide

__all__ = [
    "BLOCK",
    "COMPLETE",
    "EXPORTERS",
    "IMPORTERS",
    "PARTIAL",
    "SHARD",
    "UNKNOWN_SLIDE",
    "CompressedSlide",
    "ImportHints",
    "Lease",
    "ResidentCodes",
    "StoreHeader",
    "WriterInfo",
    "block_cells",
    "blocks_with_cells",
    "cells_of_blocks",
    "check_covered",
    "default_store_path",
    "export_files",
    "export_store",
    "export_target",
    "find_stores",
    "import_store",
    "is_marked",
    "named_header",
    "open_slide_of",
    "open_to_go_on",
]
