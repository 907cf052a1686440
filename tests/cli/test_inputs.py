"""From arguments to slides, stores and output paths."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_nic.cli.arguments import UsageError
from napari_nic.cli.inputs import find_slides, find_stores, find_uncompressed, output_for


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Slides of several kinds, their stores and other files."""
    for name in ("b.svs", "a.TIF", "notes.txt", ".hidden.svs", "dicom/1.dcm", "empty/readme"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    for name in ("a.nic.zarr", "image.ome.zarr"):
        (tmp_path / name).mkdir()
    return tmp_path


def test_folder_stands_for_the_slides_in_it(folder: Path) -> None:
    assert [path.name for path in find_slides([str(folder)])] == ["a.TIF", "b.svs", "dicom", "image.ome.zarr"]


def test_folder_that_is_a_slide_is_itself(folder: Path) -> None:
    for name in ("dicom", "image.ome.zarr"):
        assert find_slides([str(folder / name)]) == [folder / name]


def test_pattern_is_expanded_and_doubles_are_dropped(folder: Path) -> None:
    found = find_slides([str(folder / "*.svs"), str(folder / "b.svs")])
    assert found == [folder / "b.svs"]


def test_missing_things_are_listed_for_the_error_to_come(folder: Path) -> None:
    wanted = [folder / "none.svs", folder / "*.ndpi", folder / "empty"]
    assert find_slides([str(path) for path in wanted]) == wanted


def test_folder_stands_for_the_stores_in_it(folder: Path) -> None:
    assert find_stores([str(folder)]) == [folder / "a.nic.zarr"]


def test_a_run_stands_for_the_stores_in_it(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    run = tmp_path_factory.mktemp("run")
    folder.rename(run / "stores")
    (run / "run.json").write_text("{}")
    assert find_stores([str(run)]) == [run / "stores" / "a.nic.zarr"]


def test_name_with_brackets_that_exists_is_no_pattern(tmp_path: Path) -> None:
    path = tmp_path / "slide [1].svs"
    path.touch()
    assert find_slides([str(path)]) == [path]


@pytest.mark.parametrize(
    ("path", "out", "expected"),
    [
        ("x/a.svs", None, "x/a.nic.zarr"),
        ("x/a.svs", "stores", "stores/a.nic.zarr"),
        ("x/a.svs", "y/b.nic.zarr", "y/b.nic.zarr"),
        ("x/image.ome.zarr", "stores", "stores/image.nic.zarr"),
    ],
)
def test_output_of_a_slide(path: str, out: str | None, expected: str) -> None:
    assert output_for(Path(path), out, suffix=".nic.zarr", several=False) == Path(expected)


def test_output_of_a_store_takes_the_name_of_its_slide() -> None:
    assert output_for(Path("x/a.nic.zarr"), "y", suffix=".png", several=False) == Path("y/a.png")


def test_one_output_file_for_several_inputs_is_refused() -> None:
    with pytest.raises(UsageError, match="one output file"):
        output_for(Path("a.svs"), "b.png", suffix=".png", several=True)


def test_label_marks_names_that_are_ours_to_choose() -> None:
    a = Path("x/a.nic.zarr")
    assert output_for(a, None, suffix=".png", several=False, label="pca") == Path("x/a.pca.png")
    assert output_for(a, "y", suffix=".png", several=False, label="pca") == Path("y/a.pca.png")
    assert output_for(a, "b.png", suffix=".png", several=False, label="pca") == Path("b.png")


def test_a_file_that_is_called_like_what_we_make_is_no_slide(folder: Path) -> None:
    for name in ("x.nic.zarr", "x.patches.zarr", "B.NIC.ZARR"):
        (folder / name).write_text("not a store")
    assert [path.name for path in find_slides([str(folder)])] == ["a.TIF", "b.svs", "dicom", "image.ome.zarr"]


def test_a_store_whose_slide_is_named_too_is_that_slide(folder: Path) -> None:
    given = [str(folder / name) for name in ("a.TIF", "a.nic.zarr", "b.svs", "other.nic.zarr")]
    assert [path.name for path in find_uncompressed(given)] == ["a.TIF", "b.svs", "other.nic.zarr"]
