"""Patch features as CLAM trains on them: ``pt_files/{slide}.pt``, a tensor (N, D) and no coordinates."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from napari_nic.disk import replacing
from napari_nic.embeddings.header import StoreHeader
from napari_nic.embeddings.interchange.registry import Exporter
from napari_nic.embeddings.interchange.table import SLAB_BYTES, CodeTable
from napari_nic.embeddings.store import CompressedSlide
from napari_nic.jobs import CancellationToken, checked
from napari_nic.names import safe_name


def write(store: CompressedSlide, path: Path, token: CancellationToken) -> None:
    """Write the features of the encoded cells, float32, row by row."""
    import torch  # the only format that needs it

    features = CodeTable.of(store).features(token).astype(np.float32)
    token.checkpoint()
    # By way of memory: given a path, torch puts its (temporary) name into the file, and tells a full disk by
    # an error of its own.
    content = io.BytesIO()
    torch.save(torch.from_numpy(features), content)
    whole = content.getvalue()
    with replacing(path) as temporary, temporary.open("wb") as file:
        for start in checked(range(0, len(whole), SLAB_BYTES), token):
            file.write(whole[start : start + SLAB_BYTES])


def default_name(header: StoreHeader) -> Path:
    """``pt_files/{slide}.pt``."""
    return Path("pt_files", f"{safe_name(header.slide_name)}.pt")


EXPORTER = Exporter("CLAM features (.pt, without coordinates)", ".pt", default_name, write)
