"""HDF5 files of other programs that hold no features of patches: named in one sentence."""

from __future__ import annotations

from pathlib import Path

import h5py

from napari_nic.embeddings.interchange.table import no_patches_but_a_slide
from napari_nic.errors import StoreError
from napari_nic.hdf5_files import check_hdf5
from napari_nic.wording import counted

_MOST_NAMED = 8
_FEATURES = ("features", "feats")


def is_group(path: Path, name: str) -> bool:
    """Whether what an HDF5 file holds under a name is a group, not a dataset."""
    try:
        check_hdf5(path, StoreError)
        with h5py.File(path, "r") as file:
            return isinstance(file.get(name), h5py.Group)
    except (OSError, RuntimeError, KeyError):
        return False


def contents(file: h5py.File) -> str:
    """List the datasets of a file with their shapes and types, the first few of many."""
    found: list[str] = []

    def add(name: str, node: object) -> None:
        if isinstance(node, h5py.Dataset):
            found.append(f"{name} {node.shape} {node.dtype}")

    try:
        file.visititems(add)  # links to other files are not followed
    except UnicodeDecodeError:
        found.append("names that are no text")
    more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    return ", ".join(found[:_MOST_NAMED]) + more if found else "no dataset"


def without_features(file: h5py.File, path: Path) -> StoreError:
    """Build the error for a file that lacks features of patches or their places: say what it is."""
    coords = dataset_of(file, "coords")
    whole = next((found for name in _FEATURES if (found := dataset_of(file, name)) is not None), None)
    if whole is not None and coords is None:
        return _without_places(file, whole, path)
    if coords is not None and dataset_of(file, "attention_scores") is not None:
        return _named(
            "attention scores of patches, no features of them",
            file,
            path,
            "it is what CLAM paints heat maps from: import h5_files/{slide}.h5 of the same slide",
        )
    if coords is not None and (dataset_of(file, "imgs") is not None or set(file) <= {"coords", "passports"}):
        pictures = " and pictures" if "imgs" in file else ""
        return _named(
            f"places{pictures} of {counted(len(coords), 'patch', 'patches')}, no features of them",
            file,
            path,
            "import the file of features extracted at them; this one goes with it (import --coords)",
        )
    return _named(
        "no features of patches under a name that is known",
        file,
        path,
        "rename the datasets to features (N, C) and coords (N, 2) of (x, y) in level-0 pixels",
    )


def _without_places(file: h5py.File, features: h5py.Dataset, path: Path) -> StoreError:
    kind = str(file.attrs.get("feat_type", ""))
    if kind == "patient" or "num_slides" in file.attrs:
        return no_patches_but_a_slide(path, features.shape, "a whole patient")
    if kind == "slide" or features.ndim == 1 or (features.ndim == 2 and len(features) == 1):
        return no_patches_but_a_slide(path, features.shape)
    return _named(
        "features without the places of their patches", file, path, "write them with a coords (N, 2)"
    )


def _named(what: str, file: h5py.File, path: Path, hint: str) -> StoreError:
    expected = "features (N, C) with the places of N patches"
    return StoreError(what, path=path, expected=expected, found=f"it holds {contents(file)}", hint=hint)


def dataset_of(file: h5py.File, name: str) -> h5py.Dataset | None:
    """Return what lies in the file itself under a name, if it is a dataset with an axis."""
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        return None
    found = file[name]
    return found if isinstance(found, h5py.Dataset) and found.shape else None
