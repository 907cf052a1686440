"""``napari-nic view`` and ``demo`` up to the window, which has tests of its own in tests/plugin."""

from __future__ import annotations

import importlib.util
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from napari_nic import demo as recipes
from napari_nic.cli import demo
from napari_nic.demo import DemoDone
from napari_nic.jobs import Progress


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was asked of the window, which is not opened."""
    asked: list[Any] = []
    fake = ModuleType("napari_nic.plugin.launch")
    fake.ViewRequest = SimpleNamespace
    fake.view = asked.append
    fake.run_demo_window = lambda: asked.append("demo")
    fake.demo_window_pictures = lambda out: (out / "window.png",)
    monkeypatch.setitem(__import__("sys").modules, "napari_nic.plugin.launch", fake)
    return asked


@pytest.fixture
def quick_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    """A recipe that has nothing to do."""

    def run_demo(out: Path, **_: Any) -> Any:
        yield Progress(0, 1, "drawing", "pictures")
        yield DemoDone(1, 1, "done", "slides", files=(out / "1-slide.png",))

    monkeypatch.setattr(recipes, "run_demo", run_demo)


def without(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Make packages look as if they were not installed."""
    find = importlib.util.find_spec

    def find_spec(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name in names else find(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)


def test_view_hands_everything_to_the_window(cli, slide: Path, launched: list[Any]) -> None:
    outcome = cli(
        "view", slide.parent, "--model", "m", "--annotations", "a.xml", "--annotations", "b.geojson",
        "--mpp", "0.25", "--raw-color",
    )  # fmt: skip
    assert outcome.code == 0
    (request,) = launched
    assert request.paths == (slide,)
    assert request.model == "m"
    assert request.annotations == (Path("a.xml"), Path("b.geojson"))
    assert (request.mpp, request.color) == (0.25, "raw")


@pytest.mark.parametrize("missing", [("napari",), ("PySide6", "PyQt6")])
@pytest.mark.parametrize("command", ["view", "demo"])
def test_without_napari_the_install_line_is_given(
    cli, slide: Path, monkeypatch: pytest.MonkeyPatch, missing: tuple[str, ...], command: str
) -> None:
    without(monkeypatch, *missing)
    outcome = cli("view", slide) if command == "view" else cli("demo")
    assert outcome.code == 1
    assert 'pip install "napari-nic[all]"' in outcome.err


def test_demo_on_a_screen(cli, launched: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "screen_answers", lambda: True)
    assert cli("demo").code == 0
    assert launched == ["demo"]


@pytest.mark.parametrize(
    ("screen", "pictures"), [(True, ["1-slide.png", "window.png"]), (False, ["1-slide.png"])]
)
def test_demo_as_pictures(
    cli, launched: list[Any], quick_demo: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *,
    screen: bool, pictures: list[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(demo, "screen_answers", lambda: screen)
    outcome = cli("demo", "--offscreen", "--out", tmp_path)
    assert outcome.code == 0
    assert outcome.out.splitlines() == [str(tmp_path / name) for name in pictures]


def test_demo_without_a_screen_falls_back_to_pictures(
    cli, launched: list[Any], quick_demo: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "screen_answers", lambda: False)
    outcome = cli("demo")
    assert outcome.code == 0
    assert "no screen" in outcome.err
    assert outcome.out == "demo-output/1-slide.png\n"


def test_no_screen_is_found_where_none_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("QT_QPA_PLATFORM", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    assert not demo.screen_answers()
    monkeypatch.setenv("DISPLAY", ":987")  # named, but nobody answers there
    assert not demo.screen_answers()
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    assert not demo.screen_answers()
