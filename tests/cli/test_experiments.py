"""The experiments are a package of their own: their commands come with it; without it that is said."""

from __future__ import annotations

import pytest

from napari_nic.cli import experiments
from napari_nic.cli.main import build_parser, main


def test_their_commands_are_those_of_their_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["experiments", "--help"])
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("digits", "tissue", "recipe"))


@pytest.mark.parametrize("words", [[], ["digits", "--out", "folder"], ["recipe", "camelyon16"]])
def test_without_the_package_one_sentence_says_so(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(experiments, "PACKAGE", "napari_nic_experiments_that_are_not_there")
    assert main(["experiments", *words]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    first, hint = said.err.splitlines()
    assert first.startswith("error: the papers' experiments are not installed")
    assert "pip install -e" in hint
    assert "not installed" in " ".join(build_parser().format_help().split())
