"""Run the Python and shell blocks of documentation pages, and compare what they print with what is shown.

    python scripts/run_docs.py docs/tutorials/annotate.md ...

All blocks of a page run in one folder and one namespace, in their order. ``napari-nic`` is called in this
process. Comments before a block, which no reader sees, say what is special about it:

``<!-- not run: REASON -->``
    It is shown only.
``<!-- fails: CODE -->``
    It ends with this exit code.

A ``text`` block right after one that ran holds what it prints; ``...`` in it stands for anything.

Of a notebook (``.ipynb``) the code cells run, and what a cell shows is made as a notebook makes it.
"""

from __future__ import annotations

import ast
import doctest
import glob
import io
import json
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import chdir, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt

PYTHON, SHELL, SHOWN = "python", "bash", "text"
KNOWN = (PYTHON, SHELL, SHOWN, "json")
PROGRAM = "napari-nic"
LOOSELY = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
MARK = re.compile(r"<!--\s*(not run|fails):\s*(.+?)\s*-->")

Call = Callable[[list[str]], int]


class PageError(AssertionError):
    """A block does something else than its page says."""


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes
    ----------
    language : str
    text : str
    line : int
        Of its first line in the page, from 1.
    skipped : str
        Why it is not run; empty if it is.
    exit_code : int
        That its commands end with.
    follows : bool
        Nothing stands between this block and the one before it.
    """

    language: str
    text: str
    line: int
    skipped: str = ""
    exit_code: int = 0
    follows: bool = False


@dataclass
class _World:
    """What the blocks of a page leave behind for the next ones."""

    call: Call
    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "__main__"})


def read_blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page, without those of directives (``{...}``); of a notebook its code."""
    if page.suffix == ".ipynb":
        cells = json.loads(page.read_text(encoding="utf-8"))["cells"]
        return [
            Block(PYTHON, _shown("".join(cell["source"])), number)
            for number, cell in enumerate(cells, start=1)
            if cell["cell_type"] == "code"
        ]
    marks: dict[str, str] = {}
    blocks = []
    follows = False
    for token in MarkdownIt().parse(page.read_text(encoding="utf-8")):
        if token.type == "html_block":
            marks = dict(MARK.findall(token.content))
        elif token.type == "fence" and token.map is not None:
            if not token.info.startswith("{"):
                failing = int(marks.get("fails", "0"))
                skipped = marks.get("not run", "")
                line = token.map[0] + 2
                blocks.append(Block(token.info, token.content, line, skipped, failing, follows))
            marks, follows = {}, True
        elif token.level == 0:
            marks, follows = {}, False
    return blocks


def _shown(code: str) -> str:
    """Make a cell's last expression into what a notebook does with it."""
    tree = ast.parse(code)
    if not tree.body or not isinstance(tree.body[-1], ast.Expr):
        return code
    last = ast.unparse(tree.body.pop())
    return f"{ast.unparse(tree)}\n_ = {last}\ngetattr(_, '_repr_html_', _.__repr__)()\n"


def run_page(page: Path, call: Call) -> int:
    """Run a page's blocks in the current folder; return how many ran.

    Parameters
    ----------
    page : Path
    call : callable
        Takes the arguments of ``napari-nic`` and returns its exit code.

    Raises
    ------
    PageError
        At the first block that fails, or prints something else than the page shows.
    """
    world, count = _World(call), 0
    printed: str | None = None  # by the block before
    for block in read_blocks(page):
        place = f"{page.name}, line {block.line}"
        if block.language not in KNOWN:
            raise PageError(f"{place}: a block needs one of the languages {', '.join(KNOWN)}")
        if block.language == SHOWN and block.follows and printed is not None:
            _compare(block.text, printed, place)
        printed = None
        if block.language in (PYTHON, SHELL) and not block.skipped:
            printed = _run(block, world, str(page), place)
            count += 1
    return count


def _run(block: Block, world: _World, file: str, place: str) -> str:
    output = io.StringIO()
    with redirect_stdout(output):
        if block.language == PYTHON:
            padded = "\n" * (block.line - 1) + block.text  # so that a traceback names the page's line
            exec(compile(padded, file, "exec"), world.names)  # noqa: S102 - our own pages
        else:
            for command in commands(block.text):
                code = world.call(command)
                if code != block.exit_code:
                    raise PageError(f"{place}: {shlex.join(command)} ended with {code}")
    return output.getvalue()


def commands(text: str) -> Iterator[list[str]]:
    """Yield the arguments of each ``napari-nic`` command of a shell block, patterns of files resolved.

    Raises
    ------
    PageError
        If a line is anything else: such a block cannot run here and must say why it is not run.
    """
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if not words:
            continue
        if words[0] != PROGRAM:
            raise PageError(f"{line!r} is no command of {PROGRAM}: say why it is not run")
        arguments = []
        for word in words[1:]:
            arguments += sorted(glob.glob(word)) or [word]  # noqa: PTH207 - words as they are typed
        yield arguments


def _compare(wanted: str, printed: str, place: str) -> None:
    if not doctest.OutputChecker().check_output(wanted, printed, LOOSELY):
        raise PageError(f"{place}: shown is\n{wanted}\nprinted is\n{printed}")


def _command_line(arguments: list[str]) -> int:
    from napari_nic.cli.main import main

    return main(arguments)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        here = Path(name).resolve()
        with tempfile.TemporaryDirectory() as folder, chdir(folder):
            os.environ["NAPARI_NIC_HOME"] = str(Path(folder) / "home")
            sys.stderr.write(f"{name}: {run_page(here, _command_line)} blocks ran\n")
