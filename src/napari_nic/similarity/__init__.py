"""Ask the codes: what is like this cell, what is unusual, which groups are there."""

from napari_nic.similarity.anomaly import (
    AnomalyMethod,
    AnomalyModel,
    AnomalyOptions,
    Reference,
    open_reference,
)
from napari_nic.similarity.apart import pick_apart
from napari_nic.similarity.cluster_files import (
    CLUSTERS_SUFFIX,
    areas_csv,
    cluster_annotations,
    cluster_areas,
    load_clusters,
    save_clusters,
)
from napari_nic.similarity.clusters import MOST_CLUSTERS, SAMPLE, Clusters, find_clusters
from napari_nic.similarity.crops import Crop, crop_matches, slide_of
from napari_nic.similarity.index import EXACT_CELLS, search_cells
from napari_nic.similarity.matches import Match, matches_csv, write_matches
from napari_nic.similarity.overlays import anomaly_overlay, cluster_overlay, similarity_overlay
from napari_nic.similarity.query import (
    Query,
    code_lengths,
    cosine,
    make_query,
    query_of_cell,
    query_of_cells,
)
from napari_nic.similarity.reading import CellSample, cell_blocks, draw_cells, stores_in
from napari_nic.similarity.search import (
    APART_UM,
    Searched,
    SearchOptions,
    SearchResult,
    open_searched,
    search_exactly,
)

__all__ = [
    "APART_UM",
    "CLUSTERS_SUFFIX",
    "EXACT_CELLS",
    "MOST_CLUSTERS",
    "SAMPLE",
    "AnomalyMethod",
    "AnomalyModel",
    "AnomalyOptions",
    "CellSample",
    "Clusters",
    "Crop",
    "Match",
    "Query",
    "Reference",
    "SearchOptions",
    "SearchResult",
    "Searched",
    "anomaly_overlay",
    "areas_csv",
    "cell_blocks",
    "cluster_annotations",
    "cluster_areas",
    "cluster_overlay",
    "code_lengths",
    "cosine",
    "crop_matches",
    "draw_cells",
    "find_clusters",
    "load_clusters",
    "make_query",
    "matches_csv",
    "open_reference",
    "open_searched",
    "pick_apart",
    "query_of_cell",
    "query_of_cells",
    "save_clusters",
    "search_cells",
    "search_exactly",
    "similarity_overlay",
    "slide_of",
    "stores_in",
    "write_matches",
]
