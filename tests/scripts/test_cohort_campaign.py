"""The campaign over cohorts: the acceptance of a small one, and the simulation of very many, small."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cohort_campaign as campaign
import cohort_slides
import pytest

ROOT = Path(campaign.__file__).parents[1]


def test_the_cohort_is_what_it_says(tmp_path: Path) -> None:
    cohort_slides.make(tmp_path, 11)
    slides = cohort_slides.slides_of(tmp_path)
    assert len(slides) == 11
    assert {Path(path).name for path in slides} >= set(cohort_slides.BAD)
    assert Path(slides[-1]).name == cohort_slides.GONE
    assert len(cohort_slides.slides_of(tmp_path, good=True)) == 5


def test_good_and_bad_ones_by_two_processes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One crashes its process and is tried alone, one vanishes before its turn, one may not be read."""
    cohort_slides.make(tmp_path, 20)
    campaign.accept(tmp_path)
    campaign.check_folder(tmp_path / "all")
    out = capsys.readouterr().out
    assert out.count("20 slides: 14 done, 6 failed, exit code 1") == 2
    assert "computes none of them" in out


def test_what_is_not_as_it_must_be_ends_the_script() -> None:
    with pytest.raises(SystemExit, match="not as it must be: two are four"):
        cohort_slides.expect(False, "two are four")


def test_many_that_sleep() -> None:
    words = [sys.executable, ROOT / "benchmarks" / "run_simulation.py", "--slides", "40", "--workers", "4"]
    done = subprocess.run(words, check=True, capture_output=True, text=True)  # noqa: S603
    assert "40 slides of 0.1 s on 4 workers: " in done.stdout
    assert "scheduler: " in done.stdout
    assert "client: " in done.stdout
