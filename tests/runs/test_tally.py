from __future__ import annotations

from napari_nic.jobs import Progress
from napari_nic.runs import RunProgress, SlideResult, Tally


def test_rate_and_time_left_are_of_slides_that_were_worked_on() -> None:
    now = [100.0]
    tally = Tally(lambda: now[0])
    assert (tally.per_hour, tally.seconds_left, tally.left) == (None, None, 0)
    tally.add(RunProgress(1, 6, "", name="a", result=SlideResult("a", "a", "done", worked=False)))
    assert tally.per_hour is None
    tally.add(RunProgress(1, 6, "compressing", name="b", inner=Progress(1, 4)))
    now[0] += 30
    tally.add(RunProgress(1, 6, "compressing", name="b", inner=Progress(2, 4)))
    assert (tally.at_work["b"].fraction, tally.at_work["b"].since) == (0.5, 100.0)
    now[0] += 30
    tally.add(RunProgress(2, 6, "", name="b", result=SlideResult("b", "b", "empty")))
    assert tally.at_work == {}
    assert tally.counts == {"done": 1, "empty": 1}
    assert (tally.per_hour, tally.left, tally.seconds_left) == (60, 4, 240)
    tally.add(RunProgress(3, 6, "", name="c", result=SlideResult("c", "c", "failed")))
    assert tally.per_hour == 60
