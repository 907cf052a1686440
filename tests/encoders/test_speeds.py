import json
import threading
from dataclasses import replace

import numpy as np
import pytest

from napari_nic.encoders import speeds
from napari_nic.encoders.mean_rgb import MEAN_RGB, MeanRgbEncoder
from napari_nic.encoders.speeds import (
    measure_speed,
    remember_cost,
    remember_speed,
    remembered_cost,
    remembered_speed,
    speeds_file,
)
from napari_nic.errors import CancelledError, InvalidParameterError
from napari_nic.jobs import CancellationToken, result_of


class Counted(MeanRgbEncoder):
    """Knows who encoded how much."""

    def __init__(self):
        super().__init__()
        self.batch_size = 4
        self.encoded, self.prepared = [], set()

    def prepare_thread(self):
        self.prepared.add(threading.get_ident())

    def encode(self, batch):
        self.encoded.append((threading.get_ident(), len(batch)))
        return super().encode(batch)


def test_every_thread_is_prepared_and_the_median_lies_between_the_quartiles():
    encoder = Counted()
    speed = result_of(measure_speed(encoder, threads=2, repeats=3, seconds=0.001))
    assert {thread for thread, _ in encoder.encoded} <= encoder.prepared
    assert {count for _, count in encoder.encoded} == {4}
    assert 0 < speed.low <= speed.median <= speed.high
    assert (speed.threads, speed.repeats, speed.batch_size, speed.device) == (2, 3, 4, "cpu")


def test_a_rate_is_patches_over_seconds(monkeypatch):
    """Every look at the clock is one second after the last: a round of b batches of 4 takes one second."""
    clock = iter(np.arange(100.0))
    monkeypatch.setattr(speeds.time, "perf_counter", lambda: next(clock))
    speed = result_of(measure_speed(Counted(), threads=2, repeats=3, seconds=5))
    # 2 threads x 4 patches in the trial's second; so 5 s are 5 batches a thread, 40 patches a round.
    assert (speed.low, speed.median, speed.high) == (40, 40, 40)


@pytest.mark.parametrize("wrong", [{"threads": 0}, {"repeats": 0}, {"seconds": 0}])
def test_nothing_to_measure_is_said(wrong):
    with pytest.raises(InvalidParameterError, match="nothing can be measured"):
        next(measure_speed(Counted(), **wrong))


def test_it_stops_between_repeats():
    token = CancellationToken()
    job = measure_speed(Counted(), repeats=5, seconds=0.001, token=token)
    assert next(job).done == 1
    token.cancel()
    with pytest.raises(CancelledError):
        next(job)


def test_the_last_figure_of_this_machine_is_remembered():
    speed = result_of(measure_speed(Counted(), repeats=1, seconds=0.001))
    assert remembered_speed(MEAN_RGB) is None
    remember_speed(MEAN_RGB, speed)
    remember_speed(MEAN_RGB, replace(speed, median=1.5))
    remember_speed(MEAN_RGB, replace(speed, median=7.0, machine="another"))
    assert remembered_speed(MEAN_RGB) == replace(speed, median=1.5)
    other = replace(MEAN_RGB, weights_sha256="0" * 64)
    assert remembered_speed(other) is None


def test_a_figure_of_other_versions_is_not_shown():
    speed = result_of(measure_speed(Counted(), repeats=1, seconds=0.001))
    remember_speed(MEAN_RGB, replace(speed, versions="napari-nic 0, PyTorch 0"))
    assert remembered_speed(MEAN_RGB) is None


@pytest.mark.parametrize("content", ["", "[1]", '{"a": 1', None])
def test_a_damaged_file_is_as_none(content):
    remember_cost(MEAN_RGB, 12)
    assert remembered_cost(MEAN_RGB) == 12
    text = json.dumps({key: {"median": "fast"} for key in json.loads(speeds_file().read_text())})
    speeds_file().write_text(text if content is None else content)
    assert remembered_cost(MEAN_RGB) is None
    assert remembered_speed(MEAN_RGB) is None


def test_the_file_does_not_grow_without_end(monkeypatch):
    monkeypatch.setattr(speeds, "MOST_KEPT", 3)
    for number in range(1, 6):
        remember_cost(replace(MEAN_RGB, code_size=number), number)
    kept = [remembered_cost(replace(MEAN_RGB, code_size=number)) for number in range(1, 6)]
    assert kept == [None, None, 3, 4, 5]
