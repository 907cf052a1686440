"""The program as a whole: help, usage, errors, exit codes, and what it loads."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import napari_nic
from napari_nic.cli.main import COMMANDS, EXIT_FAILED, EXIT_USAGE

NOT_FOR_HELP = {"numpy", "rich", "dask", "zarr", "tifffile", "cv2", "skimage", "torch", "napari", "qtpy"}
"""Packages that would make ``--help`` slow."""

MODULES_OF_HELP = 240
"""Twice what argparse and json need, and one for each command; a single scientific package brings more."""


def name_of(module: ModuleType) -> str:
    """Of a command: that of its module, where Python does not have the word for itself (``import_``)."""
    return module.__name__.rpartition(".")[2].rstrip("_").replace("_", "-")


def run_program(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "napari_nic.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603


def test_help_lists_every_command(cli) -> None:
    outcome = cli("--help")
    assert outcome.code == 0
    for module in COMMANDS:
        # argparse of Python 3.11 puts the help of the longest name on a line of its own
        assert re.search(rf"^    {name_of(module)}\s", outcome.out, re.MULTILINE)


@pytest.mark.parametrize("module", COMMANDS, ids=name_of)
def test_every_command_has_help(cli, module) -> None:
    outcome = cli(name_of(module), "--help")
    assert outcome.code == 0
    assert outcome.out.startswith("usage: napari-nic ")


def test_version(cli) -> None:
    assert cli("--version").out == f"napari-nic {napari_nic.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("fly",),
        ("info",),
        ("compress", "a.svs", "--mpp", "-1"),
        ("compress", "a.svs", "--mpp", "inf"),
        ("compress", "a.svs", "--patch-size", "0"),
        ("compress", "a.svs", "--min-tissue", "1.5"),
        ("compress", "a.svs", "--min-tissue", "0.5", "--no-tissue"),
        ("compress", "a.svs", "--device", "tpu"),
        ("compress", "a.svs", "b.svs", "--out", "c.nic.zarr"),
        ("export", "a.nic.zarr", "b.nic.zarr", "--format", "npy", "--out", "c.npy"),
        ("encoders",),
    ],
)
def test_wrong_usage(cli, arguments: tuple[str, ...]) -> None:
    outcome = cli(*arguments)
    assert outcome.code == EXIT_USAGE
    assert "error: " in outcome.err
    assert outcome.out == ""


def test_error_says_what_to_do_without_a_traceback(cli, tmp_path: Path) -> None:
    outcome = cli("info", tmp_path / "none.svs")
    assert outcome.code == EXIT_FAILED
    assert outcome.err.startswith(f"error: {tmp_path / 'none.svs'}: ")
    assert "what to do: " in outcome.err
    assert "Traceback" not in outcome.err


def test_debug_shows_the_traceback(cli) -> None:
    assert "Traceback" in cli("encoders", "show", "none", "--debug").err
    assert "Traceback" not in cli("encoders", "show", "none").err


def test_program_ends_with_the_exit_code(tmp_path: Path) -> None:
    answer = run_program("info", str(tmp_path / "none.svs"))
    assert answer.returncode == EXIT_FAILED
    assert answer.stdout == ""
    assert "error: " in answer.stderr


@pytest.mark.parametrize("module", ["napari_nic", "napari_nic.cli"])
def test_closed_pipe_is_no_complaint(module: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", module, "encoders", "list", "--json"]
    answer = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False)  # noqa: S603
    os.close(writer)
    assert answer.returncode == EXIT_FAILED
    assert answer.stderr == b""


def test_help_loads_little() -> None:
    program = (
        "import json, sys\n"
        "from napari_nic.cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603
    loaded = json.loads(answer.stdout.splitlines()[-1])
    assert {name.partition(".")[0] for name in loaded} & NOT_FOR_HELP == set()
    assert len(loaded) < MODULES_OF_HELP
