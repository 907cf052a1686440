"""Partner files: found by the slide's whole name, beside the features or where the user says."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_nic.embeddings import ImportHints
from napari_nic.embeddings.interchange.partners import partner_of, stem_of
from napari_nic.errors import StoreError

NAME = "TCGA-AA-0001-01Z-00-DX1.1A2B3C4D-0000-4111-8222-1234567890AB"
PATTERNS = ("../../patches/{stem}.h5", "{stem}.index.npz")


def _touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


@pytest.mark.parametrize("suffix", [".h5", ".pt", ".npz", "_features.npy"])
def test_a_dot_within_the_name_is_no_suffix(suffix):
    assert stem_of(Path(NAME + suffix)) == NAME


def test_a_partner_lies_where_its_program_puts_it(tmp_path):
    features = _touch(tmp_path / "features" / "h5_files" / f"{NAME}.h5")
    assert partner_of(features, ImportHints(), *PATTERNS) is None
    patches = _touch(tmp_path / "patches" / f"{NAME}.h5")
    found = partner_of(features, ImportHints(), *PATTERNS)
    assert found is not None
    assert found.samefile(patches)


def test_the_user_says_where_roots_differ(tmp_path):
    features = _touch(tmp_path / "h5_files" / f"{NAME}.h5")
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(StoreError, match=rf"(?s){NAME}.h5.*none in .*elsewhere"):
        partner_of(features, ImportHints(coords=tmp_path / "elsewhere"), *PATTERNS)
    for place in (tmp_path / "elsewhere" / f"{NAME}.h5", tmp_path / "results" / "patches" / f"{NAME}.h5"):
        _touch(place)
        root = tmp_path / place.relative_to(tmp_path).parts[0]
        assert partner_of(features, ImportHints(coords=root), *PATTERNS) == place
        assert partner_of(features, ImportHints(coords=place), *PATTERNS) == place
    with pytest.raises(StoreError, match="no such file"):
        partner_of(features, ImportHints(coords=tmp_path / "none.h5"), *PATTERNS)


def test_a_file_is_not_its_own_partner(tmp_path):
    features = _touch(tmp_path / "patches" / f"{NAME}.h5")
    assert partner_of(features, ImportHints(), "../patches/{stem}.h5") is None
