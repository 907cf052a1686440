"""What several files of the project state, they state alike."""

from __future__ import annotations

import importlib.metadata
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import napari_nic

ROOT = Path(__file__).parents[1]


def project() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return found


def read(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text("utf-8"))


def pythons() -> list[str]:
    """Versions of Python in the classifiers."""
    found = [re.fullmatch(r".*:: (3\.\d+)", line) for line in project()["classifiers"]]
    return [match[1] for match in found if match]


def test_the_citation_has_the_version() -> None:
    assert read("CITATION.cff")["version"] == napari_nic.__version__


def test_pythons_are_the_same_everywhere() -> None:
    matrix = read(".github/workflows/ci.yml")["jobs"]["tests"]["strategy"]["matrix"]
    assert matrix["python"] == pythons()
    assert re.findall(r'"(3\.\d+)"', (ROOT / "noxfile.py").read_text("utf-8")) == pythons()
    assert project()["requires-python"] == f">={pythons()[0]}"


def test_ruff_before_a_commit_is_the_pinned_one() -> None:
    hooks = {repo["repo"]: repo["rev"] for repo in read(".pre-commit-config.yaml")["repos"]}
    pinned = re.search(r"^ruff==(.+)$", (ROOT / "constraints.txt").read_text("utf-8"), re.MULTILINE)
    assert pinned
    assert hooks["https://github.com/astral-sh/ruff-pre-commit"] == f"v{pinned[1]}"


@pytest.mark.parametrize(
    "workflow", sorted((ROOT / ".github" / "workflows").glob("*.yml")), ids=lambda p: p.name
)
def test_workflows_call_sessions_that_there_are(workflow: Path) -> None:
    sessions = set(re.findall(r"^def (\w+)\(session", (ROOT / "noxfile.py").read_text("utf-8"), re.MULTILINE))
    for job in yaml.safe_load(workflow.read_text("utf-8"))["jobs"].values():
        for step in job["steps"]:
            called = re.match(r"nox -s ([\w ]+)", step.get("run", ""))
            assert not called or set(called[1].split()) <= sessions


def test_the_project_says_where_it_lives() -> None:
    home = project()["urls"]["Homepage"]
    assert read("CITATION.cff")["repository-code"] == home
    assert (ROOT / "docs" / "conf.py").read_text("utf-8").count(home) == 1


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="of the versions that are pinned for Python 3.11")
def test_what_is_pinned_installs_on_every_python_3_11() -> None:
    """Debian 12 has 3.11.2; there pip would search for hours for a version that is not pinned."""
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pinned = {line.partition("==")[0] for line in lines if "==" in line}
    needs = {
        f"{found.name} {found.version}": found.metadata.get("Requires-Python") or ""
        for found in importlib.metadata.distributions()
        if canonicalize_name(found.name) in pinned
    }
    assert {name: python for name, python in needs.items() if "3.11.2" not in SpecifierSet(python)} == {}
