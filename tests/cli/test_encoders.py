"""``napari-nic encoders``."""

from __future__ import annotations


def test_list_for_people_and_scripts(cli) -> None:
    assert "mean-rgb" in cli("encoders", "list").out
    names = [spec["name"] for spec in cli("encoders", "list", "--json").json]
    assert "mean-rgb" in names


def test_show(cli) -> None:
    outcome = cli("encoders", "show", "mean-rgb")
    assert "code size     3" in outcome.out
    assert cli("encoders", "show", "mean-rgb", "--json").json["code_size"] == 3


def test_unknown_encoder(cli) -> None:
    outcome = cli("encoders", "show", "none")
    assert outcome.code == 1
    assert "napari-nic encoders list" in outcome.err
