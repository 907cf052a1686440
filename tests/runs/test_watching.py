"""A run that is watched: what changed is read anew, and its rate is told by the times of its files."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace

import pytest

from napari_nic.errors import CancelledError, StoreError
from napari_nic.jobs import CancellationToken
from napari_nic.runs import RunFolder, RunWatch, read_status, store_paths, watching
from napari_nic.runs.claims import Owner


def test_it_sees_what_the_status_says_and_reads_only_what_changed(
    cohort, folder, run_all, monkeypatch
) -> None:
    run_all(cohort[:4])
    watch = RunWatch(folder)
    assert watch.look().status == read_status(folder)
    read: list[str] = []
    whole = watching.read_slide_status

    def noting(folder: RunFolder, name: str, tasks):
        read.append(name)
        return whole(folder, name, tasks)

    monkeypatch.setattr(watching, "read_slide_status", noting)
    again = watch.look()
    assert (again.changed, read) == (False, [])
    run_all(cohort[:6])
    later = watch.look()
    assert later.changed
    assert later.status == read_status(folder)
    assert set(read) == {"cut", "bare"}


def test_who_is_gone_is_seen_without_a_change_of_its_files(slide, folder, run_all) -> None:
    run_all([slide])
    record = folder.read("s")
    file = folder.slide("s") / f"claim-{record.released + 1}"
    file.write_text(json.dumps(asdict(Owner.new())))
    watch = RunWatch(folder)
    assert [slide.state for slide in watch.look().status.slides] == ["running"]
    file.write_text(json.dumps(asdict(replace(Owner.new(), pid=2**22 + 1))))
    assert [slide.state for slide in watch.look().status.slides] == ["done"]


def test_the_rate_is_of_the_last_command(cohort, folder, run_all) -> None:
    run_all(cohort[:2])
    began = (folder.root / "run.json").stat().st_mtime
    for number, name in enumerate(("s", "other-s"), 1):
        os.utime(folder.record_file(name), (began, began + 60 * number))
    folder.enrol(cohort[2])
    view = RunWatch(folder).look()
    assert view.per_hour == pytest.approx(60)
    assert view.left == 1
    assert view.seconds_left == pytest.approx(60)
    for name in ("s", "other-s"):
        os.utime(folder.record_file(name), (began, began - 60))
    assert RunWatch(folder).look().per_hour is None, "all were done before it began"


def test_a_damaged_record_is_one_slide_that_failed(slide, folder, run_all) -> None:
    run_all([slide])
    folder.record_file("s").write_text("{")
    assert [slide.state for slide in RunWatch(folder).look().status.slides] == ["failed"]


def test_stores_of_a_slide(slide, folder, run_all) -> None:
    run_all([slide])
    (status,) = RunWatch(folder).look().status.slides
    assert store_paths(folder, status) == (folder.stores / "s.mean-rgb.nic.zarr",)


def test_what_is_no_run_is_told_and_a_look_can_be_cancelled(slide, folder, run_all, tmp_path) -> None:
    with pytest.raises(StoreError, match="no folder of a run"):
        RunWatch(RunFolder(tmp_path)).look()
    run_all([slide])
    token = CancellationToken()
    token.cancel()
    with pytest.raises(CancelledError):
        RunWatch(folder).look(token)
