"""A suffix is a known one, a name from a file leads nowhere, and two inputs have two outputs."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath

import pytest

import napari_nic
from napari_nic.errors import StoreError
from napari_nic.names import (
    OUTPUT_SUFFIXES,
    check_apart,
    exists,
    known_suffix,
    safe_name,
    same_file_key,
    slide_stem,
)
from napari_nic.slides import slide_suffixes

TCGA = "TCGA-3C-AAAU-01Z-00-DX1.2F52DD63-7476-4E85-B7C6-E06092DB6CC1"


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a.svs", "a"),
        ("A.TIF", "A"),
        ("a.ome.tif", "a"),
        ("a.OME.TIFF", "a"),
        (f"{TCGA}.svs", TCGA),
        (TCGA, TCGA),
        ("S1.2", "S1.2"),
        ("S1.2.ndpi", "S1.2"),
        ("S1.2.nic.zarr", "S1.2"),
        ("a.svs.nic.zarr", "a.svs"),
        ("a.ome.zarr", "a"),
        ("v1.0 final.", "v1.0 final."),
        (".svs", ".svs"),
        ("a b.jpeg", "a b"),
    ],
)
def test_only_known_suffixes_are_removed(name, stem):
    assert slide_stem(name) == stem
    assert slide_stem(Path("some/where.d") / name) == stem


def test_a_folder_is_called_by_its_whole_name(tmp_path):
    folder = tmp_path / "1.2.840.tif"
    folder.mkdir()
    assert slide_stem(folder) == "1.2.840.tif"


def test_every_reader_s_suffix_is_known():
    assert [suffix for suffix in slide_suffixes() if known_suffix(f"x{suffix}") != suffix] == []


HOSTILE = [
    *(
        "..",
        ".",
        "",
        " ",
        "...",
        "../../etc/passwd",
        "/etc/passwd",
        "a/b",
        "a\\b",
        "C:\\x",
        "C:evil",
        "\\\\host\\x",
    ),
    *(
        "a\x00b",
        "a\nb",
        "\x1b[31mred",
        "CON",
        "nul.txt",
        "com1",
        "LPT9.x",
        "aux ",
        "trailing.",
        "trailing ",
        "a" * 5000,
    ),
    *("\u202egpj.exe", "\udcff", "a\u2028b", '<>:"|?*', "\u00e9" * 200, "COM\u00b9"),
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_name_from_a_file_is_one_harmless_part(text, tmp_path):
    name = safe_name(text)
    assert Path(name).name == name
    assert PureWindowsPath(name).name == name
    assert not PureWindowsPath(name).drive
    assert name not in ("", ".", "..")
    assert not name.endswith((".", " "))
    assert name.isprintable()
    assert len(os.fsencode(name)) <= 200
    assert name.split(".")[0].strip().lower() not in ("con", "nul", "com1", "lpt9", "aux", "com\u00b9")
    (tmp_path / name).write_text("x")
    assert [entry.name for entry in tmp_path.iterdir()] == [name]
    assert safe_name(name) == name


@pytest.mark.parametrize(
    "text", ["a", TCGA, "S1.2", "\u4e00\u4e2a", "\u00dcberraschung \u00e9 [1] #2 100% (a)", ".hidden"]
)
def test_ordinary_names_stay(text):
    assert safe_name(text) == text


def test_long_names_that_differ_at_the_end_stay_apart():
    assert safe_name("a" * 400 + "1") != safe_name("a" * 400 + "2")


@pytest.mark.parametrize(
    ("one", "other"),
    [("a.png", "A.PNG"), ("\u00e9.png", "e\u0301.png"), ("x/../a.png", "a.png"), ("stra\u00dfe", "STRASSE")],
)
def test_names_that_some_file_system_holds_for_one_are_refused(tmp_path, one, other):
    (tmp_path / "x").mkdir()
    with pytest.raises(StoreError, match=r"first and second would be written to the same place"):
        check_apart({"first": tmp_path / one, "second": [tmp_path / "other", tmp_path / other]})


def test_a_folder_behind_a_link_is_the_same_folder(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert same_file_key(tmp_path / "link" / "a") == same_file_key(tmp_path / "real" / "a")


def test_different_places_pass(tmp_path):
    check_apart({"a": tmp_path / "a.png", "b": [tmp_path / "b.png", tmp_path / "c.png"]})


def test_a_name_that_no_file_system_takes_is_not_there():
    assert not exists(Path("x" * 4000))


SETS = {
    *("slides/kinds.py", "slides/readers/openslide_files.py", "encoders/external/importing.py"),
    *("cli/files.py", "demo/sample.py", "synthetic/cohorts/writing.py", "runs/copying.py"),
}
"""Where other things are listed: the files that a slide is made of, or that one call writes; networks."""


def listed(tree: ast.AST) -> Iterator[list[str]]:
    """Suffixes that a source lists side by side."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Tuple | ast.List | ast.Set | ast.Dict):
            parts = node.keys if isinstance(node, ast.Dict) else node.elts
            texts = [part.value for part in parts if isinstance(part, ast.Constant)]
            yield [text for text in texts if isinstance(text, str) and text in OUTPUT_SUFFIXES]


def test_suffixes_are_listed_in_one_place():
    root = Path(napari_nic.__file__).parent
    found = {
        file.relative_to(root).as_posix(): suffixes
        for file in sorted(root.rglob("*.py"))
        for suffixes in listed(ast.parse(file.read_text("utf-8")))
        if len(suffixes) > 1
    }
    assert {name: suffixes for name, suffixes in found.items() if name not in SETS | {"names.py"}} == {}
    assert "names.py" in found, "else nothing was looked for"
