"""Slide vectors on disk: our own HDF5 file, which is TRIDENT's form, and those of other programs.

==========  ==============================================  =========================================
program     file                                            encoder
==========  ==============================================  =========================================
ours        ``features`` (D,) float32, attribute            described in full in ``napari_nic_vector``
            ``encoder``; the form of TRIDENT
TRIDENT     ``slide_features_{encoder}/{slide}.h5``         attribute ``encoder``, or the folder
STAMP       ``{encoder}-slide/{slide}.h5``, ``feats``       attribute ``encoder``
            (D,) or (1, D)
slide2vec   ``slide_embeddings/{slide}.pt`` or ``.npz``     ``encoder_name`` in ``{slide}.meta.json``
==========  ==============================================  =========================================

Of other programs only the name of the slide encoder is known: vectors of two names never mix, and two
versions of one name cannot be told apart.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from napari_nic.descriptions import read_json
from napari_nic.disk import replacing
from napari_nic.embeddings import UNKNOWN_SLIDE
from napari_nic.embeddings.interchange import slide_stem_of
from napari_nic.errors import NicError, StoreError
from napari_nic.hdf5_files import check_hdf5
from napari_nic.names import HDF5_SUFFIXES, TENSOR_SUFFIXES, exists, has_suffix, readable, without_suffix
from napari_nic.slide_vectors.vector import MOST_VALUES, SlideVector, describe_encoder, plain_name

ATTRIBUTE = "napari_nic_vector"
VECTOR_SUFFIX = ".h5"
_FORMAT = 1
_NAMES = ("features", "feats")
_FOLDER = "slide_features_"
_ARTIFACT = "slide_embeddings"


def write_vector(vector: SlideVector, path: Path) -> None:
    """Write a vector as an HDF5 file that TRIDENT's readers read too; it appears when it is whole.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    described = {
        "format": _FORMAT,
        "name": vector.name,
        "encoder": dict(vector.encoder),
        "slide_fingerprint": vector.slide_fingerprint,
        "origin": dict(vector.origin),
    }
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        dataset = file.create_dataset("features", data=np.asarray(vector.values, np.float32))
        dataset.attrs.update({"name": readable(vector.name), "encoder": vector.encoder_name})
        file.attrs[ATTRIBUTE] = json.dumps(described)


def holds_vector(path: Path) -> bool:
    """Whether a file holds one vector of a slide, by what is in it; cheap for files of patches.

    Raises
    ------
    StoreError
        If an HDF5 file is damaged.
    """
    if has_suffix(path, *HDF5_SUFFIXES):
        return path.is_file() and h5py.is_hdf5(path) and _is_vector_file(path)
    if has_suffix(path, *TENSOR_SUFFIXES, ".npz"):
        return _artifact_of(path) == _ARTIFACT
    return False


def read_vector(path: Path) -> SlideVector:
    """Read one vector of a slide, ours or another program's.

    Raises
    ------
    StoreError
        If the file holds none, or is damaged.
    """
    if not exists(path):
        raise StoreError("there is no such file", path=path)
    if has_suffix(path, *TENSOR_SUFFIXES, ".npz"):
        return _read_slide2vec(path)
    try:
        check_hdf5(path, StoreError)
        with h5py.File(path, "r") as file:
            return _read_hdf5(file, path)
    except NicError:
        raise
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise StoreError("the slide vector cannot be read", path=path, found=str(error)) from error


def _is_vector_file(path: Path) -> bool:
    check_hdf5(path, StoreError)
    try:
        with h5py.File(path, "r") as file:
            return _vector_in(file) is not None
    except (OSError, RuntimeError, KeyError) as error:
        raise StoreError("the file cannot be read", path=path, found=str(error)) from error


def _vector_in(file: h5py.File) -> h5py.Dataset | None:
    """Return the dataset of a slide's vector; None where the file holds something else.

    A table of a single patch has as many rows as places; a patient's vector is no slide's.
    """
    name = next((n for n in _NAMES if isinstance(file.get(n, getlink=True), h5py.HardLink)), None)
    dataset = None if name is None else file[name]
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind not in "fiu":
        return None
    kind = _text(file.attrs.get("feat_type", ""))
    if kind == "patient" or "num_slides" in file.attrs:
        return None
    if dataset.ndim == 1 and dataset.shape[0]:
        return dataset
    places = file.get("coords")
    count = len(places) if isinstance(places, h5py.Dataset) and places.shape else None
    is_row = dataset.ndim == 2 and dataset.shape[0] == 1 and dataset.shape[1] > 0
    return dataset if is_row and (kind == "slide" or count != 1) else None


def _read_hdf5(file: h5py.File, path: Path) -> SlideVector:
    dataset = _vector_in(file)
    if dataset is None or dataset.is_virtual or dataset.external:
        raise StoreError(
            "the file holds no vector of a whole slide",
            path=path,
            expected="features (D,), as napari-nic slide-embed, TRIDENT and STAMP write them",
        )
    if dataset.size > MOST_VALUES:
        raise StoreError("no vector of a slide is as long", path=path, found=f"{dataset.size:,} numbers")
    values = np.asarray(dataset[()], np.float32).ravel()
    if ATTRIBUTE in file.attrs:
        return _ours(file.attrs[ATTRIBUTE], values, path)
    stated = _text(dataset.attrs.get("encoder", "")) or _text(file.attrs.get("encoder", ""))
    return _foreign(values, stated if stated != "None" else "", path)


def _ours(text: object, values: np.ndarray, path: Path) -> SlideVector:
    try:
        described = json.loads(_text(text))
        _check_format(described["format"], path)
        encoder, origin = dict(described["encoder"]), dict(described["origin"])
        return SlideVector(
            str(described["name"]), values, encoder, str(described["slide_fingerprint"]), origin
        )
    except StoreError as error:
        raise StoreError(error.problem, path=path, expected=error.expected, found=error.found) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise StoreError(f"attribute {ATTRIBUTE!r} is damaged", path=path, found=str(error)) from error


def _check_format(found: object, path: Path) -> None:
    if found != _FORMAT:
        raise StoreError("a vector of a later version of napari-nic", path=path, found=f"format {found}")


def _read_slide2vec(path: Path) -> SlideVector:
    if _artifact_of(path) != _ARTIFACT:
        raise StoreError(
            "the file holds no vector of a whole slide that says so",
            path=path,
            expected=f'{_meta(path).name} beside it with "artifact_type": "{_ARTIFACT}" (slide2vec)',
        )
    described = _described(path)
    if has_suffix(path, ".npz"):
        from napari_nic.embeddings.interchange.numpy_files import open_archive

        with open_archive(path) as archive:
            values = np.asarray(archive.read("features"), np.float32).ravel()
    else:
        from napari_nic.embeddings.interchange.tensors import open_vector

        values = open_vector(path)
    return _foreign(values, str(described.get("encoder_name") or ""), path)


def _foreign(values: np.ndarray, stated: str, path: Path) -> SlideVector:
    name = stated or _folder_name(path)
    encoder = describe_encoder(plain_name(name), "unknown", len(values), options={"of": "slides"})
    return SlideVector(slide_stem_of(path), values, encoder, UNKNOWN_SLIDE, {"file": path.name})


def _folder_name(path: Path) -> str:
    folder = path.absolute().parent.name
    return folder.removeprefix(_FOLDER).removesuffix("-slide")


def _meta(path: Path) -> Path:
    return path.with_name(f"{without_suffix(path.name, (*TENSOR_SUFFIXES, '.npz'))}.meta.json")


def _described(path: Path) -> Mapping[str, Any]:
    data = read_json(_meta(path), StoreError, what="slide2vec's description")
    return data if isinstance(data, dict) else {}


def _artifact_of(path: Path) -> str:
    return str(_described(path).get("artifact_type")) if exists(_meta(path)) else ""


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
