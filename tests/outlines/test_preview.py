"""Pictures of a file that is still being read: when they come, and what they show."""

from __future__ import annotations

import numpy as np
import pytest
from shapely.geometry import box

from napari_nic.annotations import PartRead
from napari_nic.errors import CancelledError
from napari_nic.jobs import CancellationToken, Outcome, Progress
from napari_nic.outlines.preview import FIRST_SECONDS, WORTH_SECONDS, Glimpse, OutlinePreview
from napari_nic.outlines.values import NOTHING

SIZE = (3000, 4000)


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def preview(clock):
    return OutlinePreview(SIZE, clock=clock)


def part(number: int, total: int = 1000, label: str = "Tumor", **options) -> PartRead:
    areas = [box(number * 100, 100, number * 100 + 80, 180)]
    return PartRead(
        number, total, "Reading", "bytes", areas=areas, labels=[label], colors={"Tumor": (1, 2, 3)}, **options
    )


def pictures(preview, clock, reports, seconds):
    """Numbers of outlines in the pictures that come of reports at steady times."""
    found = []
    for report in reports:
        clock.now += seconds
        glimpse = preview.take(report)
        found.append(None if glimpse is None else len(glimpse.pyramid.index))
    return found


def test_pictures_come_ever_more_rarely_and_show_all_that_was_read(preview, clock):
    found = pictures(preview, clock, [part(n + 1) for n in range(34)], FIRST_SECONDS)
    assert [number for number in found if number] == [1, 2, 4, 8, 16, 32]
    assert [n for n, number in enumerate(found, 1) if number] == [1, 2, 4, 8, 16, 32]


def test_what_is_about_to_end_is_not_worth_one(preview, clock):
    clock.now += 2 * WORTH_SECONDS
    assert preview.take(part(80, 100)) is None
    assert preview.take(part(10, 100)) is not None


def test_no_picture_is_made_once_the_user_cancelled(clock):
    token = CancellationToken()
    preview = OutlinePreview(SIZE, token, clock=clock)
    clock.now += 1
    assert preview.take(part(3)) is not None
    token.cancel()
    clock.now += 5
    with pytest.raises(CancelledError):
        preview.take(part(5))


def test_a_picture_shows_the_places_and_colours_of_what_was_read(preview, clock):
    clock.now += 1
    glimpse = preview.take(part(3))
    assert glimpse.colors == {"Tumor": (1, 2, 3)}
    assert (glimpse.done, glimpse.total, glimpse.stage) == (3, 1000, "Reading")
    picture = glimpse.pyramid.read(0, (slice(0, 400), slice(0, 600)))
    rows, cols = np.nonzero(picture != NOTHING)
    assert (rows.min(), rows.max() + 1) == pytest.approx((100, 180), abs=2)
    assert (cols.min(), cols.max() + 1) == pytest.approx((300, 380), abs=2)


def test_nothing_of_a_file_that_is_read_afresh_is_shown_any_more(preview, clock):
    again = PartRead(0, 1000, "Reading", "bytes", is_afresh=True)
    assert preview.take(again) is None, "nothing was shown"
    clock.now += 1
    preview.take(part(3))
    gone = preview.take(again)
    assert isinstance(gone, Glimpse)
    assert gone.pyramid is None
    clock.now += 5
    assert len(preview.take(part(5)).pyramid.index) == 1


def test_other_reports_and_the_result_pass(preview, clock):
    def reading():
        yield Progress(0, 0, "Looking")
        clock.now += 1
        yield part(1)
        yield Progress(1, 2, "Checking")
        return "found"

    watched = Outcome(preview.watch(reading()))
    assert [type(report) for report in watched] == [Progress, Glimpse, Progress]
    assert watched.value == "found"


@pytest.mark.parametrize(("seconds", "expected"), [(0, 0), (2 * FIRST_SECONDS, 1)])
def test_a_picture_of_all_passes_unless_all_goes_too_quickly(preview, clock, seconds, expected):
    def reading():
        clock.now += seconds
        yield Glimpse(0, 0, "Making objects")

    assert len(list(preview.watch(reading()))) == expected
