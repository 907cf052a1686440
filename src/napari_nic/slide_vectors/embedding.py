"""From a compressed slide to one vector, by a slide encoder that the user has as a file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_nic.embeddings import CompressedSlide
from napari_nic.embeddings.interchange import CodeTable, step_px
from napari_nic.encoders.external import ARCHITECTURES
from napari_nic.errors import StoreMismatchError, WeightsError
from napari_nic.jobs import CancellationToken
from napari_nic.slide_vectors.forms import InputForm, read_form
from napari_nic.slide_vectors.mean import check_has_patches, origin_of
from napari_nic.slide_vectors.vector import SlideVector, describe_encoder, patch_encoder_of, plain_name
from napari_nic.telling import Notices, tell
from napari_nic.weight_files import file_sha256

if TYPE_CHECKING:
    from napari_nic.slide_vectors.networks import SlideNetwork

_MESSAGE = 300


@dataclass(frozen=True, eq=False)
class SlideEncoder:
    """A slide encoder's file, opened.

    Attributes
    ----------
    name : str
    file : Path
    kind : {"torchscript", "torch-export", "onnx"}
    sha256 : str
        Of the file's bytes.
    form : InputForm
        What it takes.
    network : SlideNetwork
    """

    name: str
    file: Path
    kind: str
    sha256: str
    form: InputForm
    network: SlideNetwork

    def description(self, code_size: int, patch_encoder: dict[str, Any]) -> dict[str, Any]:
        """Describe it on one patch encoder's codes; `code_size` is D."""
        options = {
            "form": self.form.determining(),
            "patch_encoder": patch_encoder_of(patch_encoder),
            "patch_encoder_name": str(patch_encoder.get("name", "unnamed encoder")),
        }
        return describe_encoder(self.name, self.kind, code_size, weights_sha256=self.sha256, options=options)


def open_slide_encoder(
    path: Path | str,
    *,
    form: InputForm | None = None,
    device: str = "auto",
    trust: bool = False,
) -> SlideEncoder:
    """Open a slide encoder: a TorchScript (``.pt``), torch.export (``.pt2``) or ONNX (``.onnx``) file.

    TorchScript and torch.export files are programs: they are opened only if you `trust` them.

    Parameters
    ----------
    path : Path or str
    form : InputForm, optional
        What it takes; by default what the JSON file beside it says, see :mod:`.forms`.
    device : str
    trust : bool
        Whether a program may run, see :func:`napari_nic.encoders.load_encoder`.

    Raises
    ------
    WeightsError
        If there is no such file, it cannot be opened, or it takes other inputs than the form names.
    ConsentError
        If the file is a program, and nobody has said that it may run.
    MissingDependencyError, DeviceError
        Of ONNX.
    """
    path = Path(path)
    kind = ARCHITECTURES.get(path.suffix.lower())
    if kind is None or not path.is_file():
        raise WeightsError(
            "no slide encoder's file" if path.is_file() else "there is no such file",
            path=path,
            expected=".pt (TorchScript), .pt2 (torch.export) or .onnx; or mean, which needs no file",
        )
    form = form or read_form(path)

    from napari_nic.device import choose_device
    from napari_nic.encoders.external.programs import read_model
    from napari_nic.slide_vectors.networks import open_network

    model = read_model(path, kind, trust=trust)
    digest = hashlib.sha256(model.content).hexdigest() if model.content else file_sha256(path)
    network = open_network(kind, model, form, device=choose_device(device))
    return SlideEncoder(form.name or path.stem, path, kind, digest, form, network)


def embed_slide(
    store: CompressedSlide, encoder: SlideEncoder, *, token: CancellationToken | None = None
) -> SlideVector:
    """Give a slide's codes to a slide encoder.

    Parameters
    ----------
    store : CompressedSlide
        Its encoded cells are given, row by row of the grid; the others take no part.
    encoder : SlideEncoder
    token : CancellationToken, optional
        Asked while codes are read, and before and after the network runs.

    Returns
    -------
    SlideVector

    Raises
    ------
    StoreError
        If no cell is encoded.
    StoreMismatchError
        If the codes are of another encoder, or another width, than the slide encoder was made for.
    WeightsError
        If the network does not run on them, or gives no single finite vector.
    CancelledError
    """
    token = token or CancellationToken()
    mask = store.encoded()
    check_has_patches(store, mask)
    _check_encoder(store, encoder)
    table = CodeTable.of(store)
    arrays = [_INPUTS[name](table, encoder.form, token) for name in encoder.form.inputs]
    token.checkpoint()
    values = _run(encoder, arrays, store)
    token.checkpoint()
    header = store.header
    return SlideVector(
        store.slide_name,
        values,
        encoder.description(len(values), header.encoder),
        header.slide_fingerprint,
        origin_of(store, mask),
    )


def _check_encoder(store: CompressedSlide, encoder: SlideEncoder) -> None:
    form, header = encoder.form, store.header
    wanted, width = form.patch_encoder, form.features or encoder.network.width
    if wanted is not None and not header.is_encoder_named:
        text = f"they do not say which encoder made them, and {encoder.name} wants those of {wanted}"
        tell(Notices(store.path.name, (text,)))
    elif wanted is not None and plain_name(wanted) != plain_name(header.encoder_name):
        raise StoreMismatchError(
            f"slide encoder {encoder.name!r} was made for another encoder's codes",
            path=store.path,
            expected=f"codes of {wanted}",
            found=f"codes of {header.encoder_name}",
            hint=f"compress the slide with encoder {wanted!r}, or import that encoder's features",
        )
    if width is not None and width != store.code_size:
        raise StoreMismatchError(
            f"slide encoder {encoder.name!r} takes codes of another width",
            path=store.path,
            expected=f"C = {width}",
            found=f"C = {store.code_size}, of {header.encoder_name}",
            hint="compress the slide with the encoder that it was made for",
        )


def _features(table: CodeTable, form: InputForm, token: CancellationToken) -> np.ndarray:
    """Read codes (N, C), or (1, N, C)."""
    found = np.empty(table.shape, form.dtype)
    for rows, codes in table.slabs(token):
        found[rows] = codes
    return found[None] if form.batch_axis else found


def _coords(table: CodeTable, form: InputForm, token: CancellationToken) -> np.ndarray:  # noqa: ARG001
    """Return the places of the patches (N, 2) as (x, y) or (column, row), or (1, N, 2)."""
    if form.coords == "cells":
        places = table.cells[:, ::-1]
    elif form.coords == "um":
        size = table.store.grid.pixel_size
        places = table.corners_px[:, ::-1] * np.array([size.x, size.y])
    else:
        places = table.coords_xy
    typed = np.ascontiguousarray(places, form.type_of_coords)
    return typed[None] if form.batch_axis else typed


def _patch_size(table: CodeTable, form: InputForm, token: CancellationToken) -> np.ndarray:  # noqa: ARG001
    """Return the distance of neighbours in level-0 pixels: TITAN's patch_size_lv0."""
    return np.array(step_px(table.store.grid), np.int64)


_INPUTS: dict[str, Callable[[CodeTable, InputForm, CancellationToken], np.ndarray]] = {
    "features": _features,
    "coords": _coords,
    "patch_size": _patch_size,
}


def _run(encoder: SlideEncoder, arrays: Sequence[np.ndarray], store: CompressedSlide) -> np.ndarray:
    from napari_nic.slide_vectors.networks import vector_of

    try:
        given = encoder.network.run(arrays)
    except encoder.network.errors as error:
        fed = zip(encoder.form.inputs, arrays, strict=True)
        lines = str(error).strip().splitlines()
        raise WeightsError(
            f"slide encoder {encoder.name!r} does not run on what it was given of {store.path.name}",
            path=encoder.file,
            expected=", ".join(f"{name} {array.shape} {array.dtype}" for name, array in fed),
            found=(lines[-1] if lines else type(error).__name__)[:_MESSAGE],
            hint="say what it takes, in its order (--inputs), and of which form "
            "(--coords, --no-batch-axis, --dtype)",
        ) from error
    return vector_of(given, encoder.form.output, encoder.file)
