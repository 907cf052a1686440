"""The checks as sessions that need neither a shell nor system packages: ``nox -s lint types tests docs``.

The Makefile does the same in environments that it keeps, and adds the window, which needs a screen.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import nox

PYTHONS = ("3.11", "3.12", "3.13")
PINNED = ("-c", "constraints.txt")

nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["lint", "types", "tests", "docs"]
nox.needs_version = ">=2024.10"


@nox.session
def lint(session: nox.Session) -> None:
    """Style, formatting, and which room may import which; the project itself is not installed."""
    session.install(*PINNED, "import-linter", "ruff")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports", env={"PYTHONPATH": "src"})


@nox.session
def types(session: nox.Session) -> None:
    """Types: mypy."""
    session.install(*PINNED, "-e", ".[dev]")
    session.run("mypy")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """All tests that need no window."""
    session.install(*PINNED, "-e", ".[all,test,docs]", "npe2")
    session.run("npe2", "validate", "napari-nic")
    session.run("pytest", "-m", "not gui", *session.posargs, env={"QT_QPA_PLATFORM": "offscreen"})


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation site in ``site/``; a warning is an error."""
    session.install(*PINNED, "-e", ".[docs]")
    strict = ("--fail-on-warning", "--keep-going", "--quiet", "-E")
    session.run("python", "-W", "error:::numpydoc", "-m", "sphinx", *strict, "docs", "site")


@nox.session
def build(session: nox.Session) -> None:
    """Wheel and sdist in ``dist/``, built and checked."""
    session.install(*PINNED, "build", "twine")
    shutil.rmtree("dist", ignore_errors=True)
    session.run("python", "-m", "build")
    made = sorted(str(path) for path in Path("dist").iterdir())
    session.run("twine", "check", "--strict", *made)
    session.run("python", "scripts/check_dist.py", "dist")


@nox.session
def version(session: nox.Session) -> None:
    """Fail unless the tag that is given (``v1.2.3``) is the version that the sources state."""
    session.install(*PINNED, "hatchling", "hatch-fancy-pypi-readme")
    stated = session.run("python", "-m", "hatchling", "version", silent=True)
    if session.posargs != [f"v{str(stated).strip()}"]:
        session.error(f"{' '.join(session.posargs)} is not the version of the sources, {stated}")
