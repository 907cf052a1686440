"""Ctrl-C in every command: exit code 130, no traceback, nothing half done."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from napari_nic.cli.main import build_parser
from napari_nic.jobs import CancellationToken


@pytest.fixture
def interrupted_at_the_first_checkpoint(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whoever comes to a checkpoint of a job finds that Ctrl-C was pressed just now."""
    pressed: list[bool] = []
    checkpoint = CancellationToken.checkpoint

    def press(token: CancellationToken) -> None:
        if not pressed:
            pressed.append(True)
            signal.raise_signal(signal.SIGINT)
        checkpoint(token)

    monkeypatch.setattr(CancellationToken, "checkpoint", press)
    return pressed


def left_in(folder: Path) -> set[str]:
    """Files; an empty folder that was made for them is no half result."""
    return {path.name for path in folder.rglob("*") if path.is_file()}


WITH_A_STORE = (
    *(f"export STORE --format {name}" for name in ("npy", "trident", "clam", "clam-pt", "stamp", "zarr")),
    "pca STORE",
    "pca STORE --channel 1",
    "predict STORE --model tiny",
    "saliency STORE --model tiny",
    "clusters STORE -k 2",
    "anomalies STORE",
)


@pytest.mark.parametrize("line", [*WITH_A_STORE, "patches extract SLIDE --size 32 --mpp 0.5"])
def test_a_job_hears_it_and_leaves_nothing(cli, store, slide, tiny_model, tmp_path, request, line) -> None:
    out = tmp_path / "out"
    target = out / "p.patches.zarr" if line.startswith("patches") else out
    words = [{"STORE": store, "SLIDE": slide}.get(word, word) for word in line.split()]
    pressed = request.getfixturevalue("interrupted_at_the_first_checkpoint")
    outcome = cli(*words, "--out", target)
    assert pressed
    assert outcome.code == 130, outcome.err
    assert "Traceback" not in outcome.err
    assert not left_in(out)


def test_compressing_hears_it(cli, slide, interrupted_at_the_first_checkpoint) -> None:
    outcome = cli("compress", slide, "--encoder", "mean-rgb")
    assert outcome.code == 130
    assert "goes on from there" in outcome.err
    assert left_in(slide.parent) == {slide.name}


def commands(parser: argparse.ArgumentParser | None = None, name: str = "") -> Iterator[tuple[str, object]]:
    """Every command by its full name, with what it runs."""
    parser = parser or build_parser()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, inner in action.choices.items():
                yield from commands(inner, f"{name} {word}".strip())
            return
    yield name, parser.get_default("run")


ENDING_ON_THEIR_OWN = {"view"}
"""A window is closed, not interrupted: what is not saved would be lost."""


@pytest.mark.parametrize("name", [name for name, _ in commands() if name not in ENDING_ON_THEIR_OWN])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_every_command_ends_where_it_has_no_job_yet(cli, monkeypatch, name: str, number: int) -> None:
    """While it opens files, loads an encoder, imports a library: in all that comes before and between."""

    def press(*_: object) -> int:
        signal.raise_signal(number)
        pytest.fail("it was not interrupted")

    run = dict(commands())[name]
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", lambda *_: namespace(press, run))
    before = signal.getsignal(number)
    outcome = cli(*name.split())
    assert outcome.code == 130
    assert "interrupted" in outcome.err
    assert "Traceback" not in outcome.err
    assert signal.getsignal(number) is before


def namespace(press: object, run: object) -> argparse.Namespace:
    assert callable(run)
    return argparse.Namespace(run=press, quiet=False, debug=False)


STUCK = """
import hashlib, sys
from napari_nic.cli import main as cli

def run(args, console):
    print("working", flush=True)
    import hashlib
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)

cli.info.run.__code__ = run.__code__
sys.exit(cli.main(["info", "any"]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise there")
def test_a_library_that_never_returns_is_left_too() -> None:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", STUCK], **pipes) as process:  # noqa: S603 - our own lines
        try:
            assert process.stdout.readline() == "working\n"
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130
    assert "Traceback" not in told


WHILE_IT_IS_IMPORTED = """
import signal, sys

signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background is started without

class Presses:
    def find_spec(self, name, path=None, target=None):
        if name == "napari_nic.cli.arguments":
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Presses())
from napari_nic.cli.starting import start
sys.argv = ["napari-nic", "encoders", "list"]
start()
"""


def test_ctrl_c_while_the_program_is_still_read_is_an_ordinary_end() -> None:
    command = [sys.executable, "-c", WHILE_IT_IS_IMPORTED]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - our own text
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
