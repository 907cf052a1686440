"""Several processes, and one that dies of a slide; what they make is what one process makes."""

from __future__ import annotations

import errno
import os
import signal
import socket
import ssl
import sys
from collections.abc import Iterator
from concurrent import futures
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import cloudpickle
import numpy as np
import pytest

from napari_nic.embeddings import CompressedSlide
from napari_nic.errors import CancelledError, InvalidParameterError, NicError, StoreError
from napari_nic.jobs import CancellationToken, Progress
from napari_nic.runs import RunFolder, cluster, iter_run, read_status
from napari_nic.runs.cluster import ClusterPlan, cluster_pool
from napari_nic.runs.copying import copying_ahead
from napari_nic.runs.handing_out import ClusterPool
from napari_nic.runs.remote import Teller, do_slide
from napari_nic.runs.stopping import FileToken
from napari_nic.telling import Event, Notices, telling

# A socket that its process left when it was killed is noticed when it is collected.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

DEADLY = "deadly"

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the processes know no tests


def dies_of_one(path: str, *more: Any) -> dict[str, Any]:
    """Do a slide, unless it is one that crashes the library that reads it."""
    if DEADLY in path:
        from napari_nic.runs.claims import take_claim

        take_claim(RunFolder(Path(more[0])), DEADLY)
        os.kill(os.getpid(), signal.SIGKILL)
    return do_slide(path, *more)


@pytest.fixture(scope="module")
def pool() -> Iterator[ClusterPool]:
    with cluster_pool(ClusterPlan(workers=2)) as found:
        yield found


def test_good_ones_are_done_bad_ones_named_and_one_kills_its_process(
    cohort, folder, run_all, pool, monkeypatch, settings
) -> None:
    monkeypatch.setattr(pool, "work", dies_of_one)
    deadly = cohort[0].with_name(f"{DEADLY}.tif")
    deadly.write_bytes(cohort[0].read_bytes())
    found = run_all([deadly, *cohort], pool=pool)
    outcomes = {name: result.outcome for name, result in found.items()}
    assert outcomes == {
        "deadly": "failed",
        "s": "done",
        "other-s": "done",
        "renamed": "done",
        "glass": "empty",
        "cut": "failed",
        "bare": "failed",
        "text": "failed",
        "gone.svs": "failed",
    }
    assert "each process that works on this slide ends: 2 times by now" in found["deadly"].reason
    assert read_status(folder).counts == {"done": 3, "empty": 1, "failed": 4}
    alone = RunFolder(folder.root.with_name("alone"))
    list(iter_run(cohort[:1], alone, settings))
    name = "s.mean-rgb.nic.zarr"
    ours, theirs = (CompressedSlide.open(place.stores / name).read() for place in (folder, alone))
    np.testing.assert_array_equal(ours, theirs)
    assert not list((folder.root / "slides").rglob("claim-*"))
    assert not list(folder.root.glob(".stop-*"))


def test_a_run_that_is_stopped_goes_on(cohort, folder, run_all, pool, settings) -> None:
    token = CancellationToken()
    reports = iter_run(cohort[:4], folder, settings, pool=pool, token=token)
    for report in reports:
        if report.result is not None:
            break
    token.cancel()
    with pytest.raises(CancelledError):
        list(reports)
    before = {state.name for state in read_status(folder).slides if state.state == "done"}
    assert not list(folder.root.glob(".stop-*"))
    found = run_all(cohort[:4], pool=pool)
    assert {result.outcome for result in found.values()} == {"done", "empty"}
    assert not any(found[name].worked for name in before)


def full_disk(path: str, *more: Any) -> dict[str, Any]:
    """Do a slide, but the last one, for which there is no space."""
    if "renamed" in path:
        raise StoreError("no space left on the disk", path=Path(path)) from OSError(errno.ENOSPC, "full")
    return do_slide(path, *more)


def test_a_full_disk_ends_the_run_and_the_same_command_goes_on(
    cohort, folder, run_all, pool, monkeypatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(pool, "work", full_disk)
        with pytest.raises(StoreError, match="no space left"):
            run_all(cohort[:3], pool=pool)
    assert not list(folder.root.glob(".stop-*"))
    before = {state.name for state in read_status(folder).slides if state.state == "done"}
    found = run_all(cohort[:3], pool=pool)
    assert {result.outcome for result in found.values()} == {"done"}
    assert not any(found[name].worked for name in before)


def test_processes_read_copies_of_this_machine(cohort, folder, run_all, pool, tmp_path) -> None:
    with copying_ahead(tmp_path / "near", 10**9) as copies:
        found = run_all(cohort[:4], pool=pool, copies=copies)
        assert copies.most > 0
    assert {name: result.outcome for name, result in found.items()} == {
        "s": "done",
        "other-s": "done",
        "renamed": "done",
        "glass": "empty",
    }
    assert not list((tmp_path / "near").iterdir())
    assert folder.read("s").source.path == str(cohort[0])


class Gone:
    """A client whose scheduler ends: at once, or with a slide at work."""

    def __init__(self, later: bool, error: BaseException | None = None) -> None:
        self.later = later
        self.error = error or futures.CancelledError("cancelled for reason: scheduler-connection-lost.")

    def nthreads(self) -> dict[str, int]:
        if not self.later:
            raise OSError("Timed out trying to connect")
        return {"worker": 1}

    def subscribe_topic(self, *_: Any) -> None:
        pass

    def submit(self, *_: Any, **__: Any) -> Gone:
        return self

    def add_done_callback(self, callback: Any) -> None:
        callback(self)

    def exception(self) -> BaseException:
        return self.error

    def release(self) -> None:
        pass


@pytest.mark.parametrize("later", [False, True])
def test_a_scheduler_that_ends_is_said(cohort, run_all, folder, later: bool) -> None:
    with pytest.raises(NicError, match="scheduler has ended") as error:
        run_all(cohort[:1], pool=ClusterPool(Gone(later), threads=1))
    assert "the same command goes on" in str(error.value)
    assert not list(folder.root.glob(".stop-*"))


class GoneBeforeItsResult(Gone):
    """A client whose scheduler ends when a slide is done, and its result is not fetched yet."""

    def add_done_callback(self, callback: Any) -> None:
        with suppress(OSError):  # the library logs what a callback raises
            callback(self)

    def exception(self) -> None:
        return None

    def result(self) -> dict[str, Any]:
        raise OSError("in <TCP (closed)>: Stream is closed")


def test_a_scheduler_that_ends_before_a_result_is_fetched_is_said(cohort, run_all) -> None:
    with pytest.raises(NicError, match="scheduler has ended"):
        run_all(cohort[:1], pool=ClusterPool(GoneBeforeItsResult(later=True), threads=1))


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("Error during deserialization of the task graph."),
        ModuleNotFoundError("No module named 'napari_nic'"),
    ],
)
def test_a_cluster_that_lacks_the_program_is_said(cohort, run_all, error: Exception) -> None:
    with pytest.raises(NicError, match="cannot load napari-nic") as found:
        run_all(cohort[:1], pool=ClusterPool(Gone(True, error), threads=1))
    assert str(error) in str(found.value)


def of_another_run(path: str, *more: Any) -> dict[str, Any]:
    """Do a slide, but say first what would be heard if another run on this cluster had it too."""
    Teller(path, "/another/.stop").tell(Progress(1, 2, "of another run"))
    return do_slide(path, *more)


def test_what_processes_say_is_heard_and_nothing_of_other_runs(
    cohort, folder, pool, settings, monkeypatch
) -> None:
    monkeypatch.setattr(pool, "work", of_another_run)
    reports = list(iter_run(cohort[:4], folder, settings, pool=pool))
    said = [report for report in reports if report.inner is not None]
    # Of a small slide the result may come first: then nothing is heard any more.
    assert said
    assert {report.name for report in said} <= {path.name for path in cohort[:4]}
    assert {report.stage for report in said} <= {"opening", "reading the whole slide", "compressing"}
    for name in {report.name for report in said}:  # nothing is heard of a slide that has ended
        of_it = [report for report in reports if report.name == name]
        assert len([report for report in of_it if report.result]) in (1, 2)  # two slides bear one name
        assert of_it[-1].result is not None


def test_nobody_without_the_certificate_is_let_in(pool) -> None:
    address = urlsplit(pool.client.scheduler.address)
    assert (address.scheme, address.hostname) == ("tls", "127.0.0.1")
    stranger = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    stranger.check_hostname, stranger.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((address.hostname, address.port), timeout=30) as plain,
        pytest.raises(ssl.SSLError, match=r"(?i)certificate"),
        stranger.wrap_socket(plain) as secure,
    ):
        secure.recv(1)


class Started:
    """A client of a cluster of which `there` processes have come up."""

    def __init__(self, there: int) -> None:
        self.there = there

    def nthreads(self) -> dict[str, int]:
        return {f"tcp://{number}": 1 for number in range(self.there)}


def test_the_work_goes_on_with_those_that_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_START_SECONDS", 0.0)
    told: list[Event] = []
    with telling(told.append):
        cluster._wait_for_processes(Started(1), ClusterPlan(workers=2), CancellationToken())
    assert told == [Notices("processes", ("1 of 2 have started: the work goes on with them",))]
    with pytest.raises(NicError, match="no processes that could work"):
        cluster._wait_for_processes(Started(0), ClusterPlan(workers=2), CancellationToken())


def test_one_process_a_gpu_that_sees_no_other() -> None:
    with cluster_pool(ClusterPlan(gpus=("3", "1"))) as found:
        seen = found.client.run(os.getenv, "CUDA_VISIBLE_DEVICES")
    assert sorted(seen.values()) == ["1", "3"]


@pytest.mark.parametrize(
    "wrong",
    [{}, {"workers": 2, "gpus": ("0",)}, {"gpus": ("0", "0")}, {"workers": 1, "scheduler": "tcp://a"}],
)
def test_one_way_is_chosen(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameterError):
        ClusterPlan(**wrong)


def test_a_scheduler_that_is_not_there_is_named(monkeypatch) -> None:
    monkeypatch.setattr(cluster, "_START_SECONDS", 4.0)
    with (
        pytest.raises(NicError, match="cannot be reached"),
        cluster_pool(ClusterPlan(scheduler="tcp://127.0.0.1:1")),
    ):
        pass


def test_a_slide_that_ended_three_processes_is_marked_and_then_tried_again(slide, folder, run_all) -> None:
    from napari_nic.runs.claims import Owner

    name = folder.enrol(slide).name
    for number in (1, 2, 3):
        owner = replace(Owner.new(), pid=2**22 + 1)
        file = folder.slide(name) / f"claim-{number}"
        file.write_text(__import__("json").dumps(owner.__dict__))
    assert "3 times by now" in run_all([slide])[name].reason
    assert not list(folder.slide(name).glob("claim-*"))
    assert run_all([slide])[name].outcome == "done"


def test_a_file_stops_those_who_look_for_it(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("napari_nic.runs.stopping.LOOK_SECONDS", 0.0)
    token = FileToken(tmp_path / "stop")
    child = CancellationToken(token)
    child.checkpoint()
    (tmp_path / "stop").touch()
    with pytest.raises(CancelledError):
        child.checkpoint()
