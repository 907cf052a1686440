"""Every command and option is explained, where it stands, in today's words."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import pytest

from napari_nic.cli.main import build_parser


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from parsers(inner)


def cases() -> list[Any]:
    return [pytest.param(parser, id=parser.prog) for parser in parsers(build_parser())]


@pytest.mark.parametrize("parser", cases())
def test_every_option_is_explained(parser: argparse.ArgumentParser) -> None:
    silent = [
        action.option_strings or action.dest
        for action in parser._actions
        if action.help is None and not isinstance(action, argparse._SubParsersAction)
    ]
    assert not silent


@pytest.mark.parametrize("parser", cases())
def test_help_sends_nobody_elsewhere_and_uses_no_earlier_name(parser: argparse.ArgumentParser) -> None:
    text = " ".join(parser.format_help().split())
    for word in (
        "as in compress",
        "for the card",
        "its card",
        "judge",
        " turns",
        "--l2",
        "--rate",
        "--batch ",
    ):
        assert word not in text, word


@pytest.mark.parametrize("parser", cases())
def test_commands_say_what_they_do(parser: argparse.ArgumentParser) -> None:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            explained = {choice.dest for choice in action._choices_actions if choice.help}
            assert explained == set(action.choices)
        assert action.help != "", action.dest
