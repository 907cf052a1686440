"""The campaign over cohorts: its slides, and its simulation of very many, small."""

from __future__ import annotations

from pathlib import Path

import cohort_campaign as campaign
import pytest


def test_the_cohort_is_what_it_says(tmp_path: Path) -> None:
    campaign.make(tmp_path, 11)
    slides = campaign.slides_of(tmp_path)
    assert len(slides) == 11
    assert {Path(path).name for path in slides} >= set(campaign.BAD)
    assert len(campaign.slides_of(tmp_path, good=True)) == 5


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_many_that_sleep(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    campaign.simulate(40, 2)
    out = capsys.readouterr().out
    assert "40 slides on 2 workers: " in out
    assert "ms of a core a slide" in out
