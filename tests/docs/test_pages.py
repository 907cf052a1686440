"""What the documentation tells users to type does what it says."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from run_docs import PROGRAM, SHELL, PageError, commands, read_blocks, run_page

from napari_nic.cli.main import build_parser, main

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    if page.name != "CHANGELOG.md" and "api" not in page.parts
)
NOTEBOOKS = sorted((ROOT / "docs").rglob("*.ipynb"))
RUN = [
    page
    for page in [*PAGES, *NOTEBOOKS]
    if any(b.language in ("python", SHELL) and not b.skipped for b in read_blocks(page))
]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", RUN, ids=name_of)
def test_blocks_run_and_print_what_is_shown(
    page: Path, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = tmp_path / "world"
    if page.parent.name in ("tutorials", "coming-from"):
        world.mkdir()
    else:
        shutil.copytree(request.getfixturevalue("few_slides"), world)
    monkeypatch.chdir(world)
    monkeypatch.setenv("NAPARI_NIC_HOME", str(tmp_path / "home"))
    assert run_page(page, main) > 0


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_is_one(page: Path) -> None:
    """Those that are not run here too: no option that was renamed, no command that is gone."""
    for block in read_blocks(page):
        if block.language != SHELL:
            continue
        for line in block.text.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words and Path(words[0]).name == PROGRAM:
                build_parser().parse_args(words[1:])


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_has_a_language_and_every_reason_is_one(page: Path) -> None:
    for block in read_blocks(page):
        assert block.language, f"line {block.line}: a block without a language"
        if "not run" in page.read_text(encoding="utf-8").splitlines()[block.line - 3]:
            assert block.skipped, f"line {block.line}: not run, but why?"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_to_files_lead_somewhere(page: Path) -> None:
    tokens = [
        t
        for block in MarkdownIt().enable("table").parse(page.read_text("utf-8"))
        for t in block.children or []
    ]
    targets = [str(t.attrGet("href") or t.attrGet("src")) for t in tokens if t.type in ("link_open", "image")]
    gone = [
        target
        for target in targets
        if not re.match(r"[a-z]+:|#", target) and not (page.parent / target.split("#")[0]).exists()
    ]
    assert not gone


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("```python\n1 / 0\n```\n", "ZeroDivisionError"),
        ("```python\nprint(1)\n```\n\n```text\n2\n```\n", "shown is"),
        ("```python\nx = 1\n```\n\n```text\n2\n```\n", "shown is"),
        ("```bash\nnapari-nic info no-such-slide.svs\n```\n", "ended with"),
        ("```bash\nrm file\n```\n", "say why it is not run"),
        ("<!-- fails: 1 -->\n```bash\nnapari-nic encoders list\n```\n", "ended with 0"),
        ("```\nx\n```\n", "needs one of the languages"),
    ],
)
def test_a_page_that_is_wrong_is_found(text: str, reason: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises((PageError, ZeroDivisionError)) as found:
        run_page(page, main)
    assert reason in f"{found.type.__name__} {found.value}"


def test_commands_are_taken_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "b.svs").touch()
    (tmp_path / "a.svs").touch()
    text = 'napari-nic info *.svs --name "two words" \\\n    --json  # why\n\n'
    assert list(commands(text)) == [["info", "a.svs", "b.svs", "--name", "two words", "--json"]]
