"""A short run of the monkey: scripts/monkey.py does the long one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.gui, pytest.mark.timeout(1200)]

SCRIPT = Path(__file__).parents[2] / "scripts" / "monkey.py"
ACTIONS = 300
ALLOWED_MB = 200
"""As the long run."""


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the monkey in a process of its own: what it finds must not be caught by anything of pytest's."""
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(  # noqa: S603 -- our own script
        command, env=os.environ | environment, capture_output=True, text=True, timeout=1_100, check=False
    )


def test_window_bears_whatever_is_done_to_it():
    ended = run("--seed", "20", "--actions", str(ACTIONS), "--allowed", str(ALLOWED_MB))
    assert ended.returncode == 0, ended.stderr[-6_000:]
    told = json.loads(ended.stdout.splitlines()[-1])
    assert told["actions"] == ACTIONS
    assert sum(told["done"].values()) == ACTIONS
    assert told["rss_after_mb"] - told["rss_before_mb"] < ALLOWED_MB


def test_monkey_finds_an_error_in_a_click(tmp_path):
    """Else a run without findings says nothing."""
    (tmp_path / "sitecustomize.py").write_text(
        "import napari_nic.plugin.controllers.overlays as module\n"
        "def fail(*_, **__):\n"
        "    raise LookupError('a fault for the monkey')\n"
        "module.OverlayController.set_opacity = fail\n"
        "module.OverlayController.describe = fail\n",
        "utf-8",
    )
    paths = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
    ended = run("--seed", "20", "--actions", str(ACTIONS), PYTHONPATH=paths)
    assert ended.returncode == 1
    assert "a fault for the monkey" in ended.stderr
    assert "seed 20, the last actions:" in ended.stderr
