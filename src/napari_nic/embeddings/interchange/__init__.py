"""Others' formats, both ways: :func:`export_store` and :func:`import_store`.

Public modules beside this list: ``numpy_files``, ``tensors``.
"""

from napari_nic.embeddings.interchange.exporter import Exporter
from napari_nic.embeddings.interchange.finding import (
    FeatureFiles,
    find_feature_files,
    is_feature_path,
    left_to_choose,
    scene_of,
    slide_name_of,
    slide_stem_of,
    tissue_outlines_beside,
)
from napari_nic.embeddings.interchange.importing import (
    FeatureImport,
    ImportedStore,
    ImportReport,
    import_each,
    import_one,
)
from napari_nic.embeddings.interchange.naming import named_header
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
from napari_nic.embeddings.interchange.table import CodeTable, ForeignCodes, ImportHints, step_px

__all__ = [
    "EXPORTERS",
    "IMPORTERS",
    "CodeTable",
    "Exporter",
    "FeatureFiles",
    "FeatureImport",
    "ForeignCodes",
    "ImportHints",
    "ImportReport",
    "ImportedStore",
    "distance_map",
    "export_files",
    "export_store",
    "export_target",
    "find_feature_files",
    "import_each",
    "import_one",
    "import_store",
    "is_feature_path",
    "is_import_of",
    "left_to_choose",
    "named_header",
    "origin_of",
    "recognised_format",
    "scene_of",
    "slide_name_of",
    "slide_stem_of",
    "step_px",
    "tissue_outlines_beside",
]
