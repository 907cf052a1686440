"""Imports of the version before go on working, say what is called how, and hide nothing."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import napari_nic
from napari_nic import old_names

MOVED = {
    ("napari_nic.compress", "compress"): ("napari_nic.pipeline", "iter_compress"),
    ("napari_nic.compress", "GridOptions"): ("napari_nic.pipeline", "GridOptions"),
    ("napari_nic.compress.pipeline", "usable_cores"): ("napari_nic.pipeline.run", "usable_cores"),
    ("napari_nic.compress.turns", "compress_turns"): (
        "napari_nic.pipeline.dihedral",
        "iter_compress_transformed",
    ),
    ("napari_nic.encoders.device", "choose_device"): ("napari_nic.device", "choose_device"),
    ("napari_nic.slide_models.metrics", "auc"): ("napari_nic.metrics", "auc"),
    ("napari_nic.experiments.digits", "Glyphs"): ("napari_nic_experiments.digits", "Glyphs"),
    ("napari_nic.experiments.tissue.stock", "TissueFolders"): (
        "napari_nic.synthetic.cohorts.stock",
        "TissueFolders",
    ),
    ("napari_nic.compressed", "CompressedSlide"): ("napari_nic.embeddings", "CompressedSlide"),
    ("napari_nic.compressed.header", "StoreHeader"): ("napari_nic.embeddings.header", "StoreHeader"),
    ("napari_nic.compressed.turns", "turned"): ("napari_nic.embeddings.dihedral", "apply_dihedral"),
    ("napari_nic.compressed.interchange.npy_format", "EXPORTER"): (
        "napari_nic.embeddings.interchange.npy_format",
        "EXPORTER",
    ),
}

PROJECT = Path(__file__).parents[1]

SAY_THEM = {
    *("old_names.py", "test_old_names.py", "test_earlier_names.py", "test_earlier_files.py", "test_help.py"),
    "write_earlier_files.py",  # runs with an earlier version
    *("test_run.py", "test_training.py"),  # write plans as earlier versions did
}
STILL_NAMES = {"train_encoder"}
"""Names that are right elsewhere."""

IMPORTS = {
    "napari_nic.compressed": "napari_nic.compressed.CompressedSlide",
    "napari_nic.compress (package)": "napari_nic.compress.GridOptions",
    "compress (the generator)": "napari_nic.compress.compress",
    "compress_turns": "napari_nic.compress.compress_turns",
    "compressed.turns": "napari_nic.compressed.turns.turned_back",
    "slide_models.inference.Judge": "napari_nic.slide_models.inference.Judge",
    "slide_models.inputs.judging_corners": "napari_nic.slide_models.inputs.judging_corners",
    "slide_models.train.TrainingSettings": "napari_nic.slide_models.train.TrainingSettings",
    "cohorts.judge_bundle": "napari_nic.cohorts.judge_bundle",
    "training.recipe.train_encoder": "napari_nic.training.recipe.train_encoder",
    "compressed.header.IDENTITY_KEYS": "napari_nic.compressed.header.IDENTITY_KEYS",
}
"""What the table of the change notes calls an import, and the import."""

PROGRAM = """
import warnings
warnings.simplefilter("error")
import napari_nic as nic
warnings.simplefilter("ignore")
from napari_nic.compress import compress, prepare_store, GridOptions
from napari_nic.compressed import CompressedSlide
import inspect
assert inspect.isgeneratorfunction(compress)
try:
    nic.compress("there is no such slide.svs", "mean-rgb")
except nic.NicError as error:
    print(type(error).__name__)
"""


@pytest.mark.parametrize(("old", "new"), MOVED.items(), ids=lambda value: value[0])
def test_earlier_imports_give_what_is_there_now(old: tuple[str, str], new: tuple[str, str]) -> None:
    expected = getattr(importlib.import_module(new[0]), new[1], None)
    if expected is None:
        pytest.fail(f"{new} is gone: the table is out of date")
    with pytest.warns(DeprecationWarning, match=f"is called {new[0]} now"):
        found = getattr(importlib.import_module(old[0]), old[1])
    assert found is expected


@pytest.mark.parametrize(
    ("module", "name"),
    [(module, name) for module, names in old_names.MEMBERS.items() for name in names],
)
def test_earlier_names_in_modules_of_today_work_and_say_so(module: str, name: str) -> None:
    new = old_names.MEMBERS[module][name]
    home, _, called = new.rpartition(".")
    with pytest.warns(DeprecationWarning, match=re.escape(f"{module}.{name} is called {new} now")):
        found = getattr(importlib.import_module(module), name)
    assert found is getattr(importlib.import_module(home), called)
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = importlib.import_module(module).no_such_name


def test_the_table_of_the_change_notes_holds() -> None:
    """Each import that the table says is called otherwise now works, and says so unless it is still there."""
    rows = [row for row in table_of_names() if not row.startswith("-")]
    paths = {path for row in rows for path in IMPORTS if path in row}
    assert paths == set(IMPORTS)
    for old in IMPORTS.values():
        module, _, name = old.rpartition(".")
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            found = getattr(importlib.import_module(module), name)
        assert found is not None
        told = [str(warning.message) for warning in said if warning.category is DeprecationWarning]
        assert told or name in vars(importlib.import_module(module)), old


def table_of_names() -> list[str]:
    """The first cells of the change notes' tables "old name | new name", backticks removed."""
    lines = (PROJECT / "CHANGELOG.md").read_text("utf-8").splitlines()
    rows = [line.strip().strip("|").split("|")[0] for line in lines if line.strip().startswith("|")]
    return [row.replace("`", "").strip() for row in rows]


def gone() -> dict[str, re.Pattern[str]]:
    """What nothing but the alias module and the change notes may say."""
    words = {name for names in old_names.MEMBERS.values() for name in names} - STILL_NAMES
    words |= {"compress_turns", "TURNS", "turned_back", "open_turns", "turn_path", "least_rate"}
    patterns = {word: re.compile(rf"\b{word}\b") for word in words}
    patterns |= {room: re.compile(rf"\b{re.escape(room)}\b(?=[. ]*import|\.)") for room in old_names.ROOMS}
    options = {
        option: re.compile(rf"(?<![\w-]){option}(?![\w-])") for option in ("--l2", "--rate", "--batch")
    }
    return patterns | options


@pytest.mark.parametrize("word", sorted(gone()))
def test_earlier_names_are_said_in_one_place(word: str) -> None:
    pattern = gone()[word]
    found = [
        f"{file}: {line}"
        for place in ("src", "docs", "tests", "benchmarks", "scripts", "README.md", "CONTRIBUTING.md")
        for file in ([PROJECT / place] if place.endswith(".md") else (PROJECT / place).rglob("*"))
        if file.suffix in (".py", ".md", ".sh", ".ipynb", ".yaml") and file.name not in SAY_THEM
        for line in file.read_text("utf-8").splitlines()
        if pattern.search(line) and "add_earlier(" not in line
    ]
    assert not found


def test_the_function_can_be_called_after_the_earlier_import() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)  # noqa: S603
    assert done.stdout == "SlideNotFoundError\n", done.stderr


@pytest.mark.parametrize("name", ["napari_nic.compressed.no_such", "napari_nic.nothing"])
def test_what_never_was_is_not_found(name: str) -> None:
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(name)


def test_other_names_are_attribute_errors() -> None:
    module = importlib.import_module("napari_nic.compressed")
    with pytest.raises(AttributeError):
        _ = module.no_such_thing
    assert old_names.today("napari_nic.slides") is None
    assert "compress" in dir(napari_nic)


def test_what_an_update_leaves_of_a_folder_is_no_package(tmp_path):
    (tmp_path / "compress" / "__pycache__").mkdir(parents=True)
    program = (
        f"import napari_nic; napari_nic.__path__.append({str(tmp_path)!r})\n"
        "from napari_nic.compress import GridOptions; print(GridOptions.__module__)"
    )
    command = [sys.executable, "-W", "ignore", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)  # noqa: S603
    assert (done.stdout, done.stderr) == ("napari_nic.pipeline.prepare\n", "")
