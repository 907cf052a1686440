"""A cohort through all steps: what is done, what is named, and that nothing is done twice."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_nic.embeddings import CompressedSlide
from napari_nic.errors import CancelledError, InvalidParameterError, StoreError, UnknownNameError
from napari_nic.jobs import CancellationToken
from napari_nic.pipeline import GridOptions
from napari_nic.runs import RunFolder, iter_run, read_status, slide_work, write_summary
from napari_nic.runs.claims import Claim, Owner
from napari_nic.runs.steps import DOERS
from napari_nic.slides import open_slide

GRID = GridOptions(patch_size=32, stride=16)


def codes(folder, name: str = "s", encoder: str = "mean-rgb") -> np.ndarray:
    store = CompressedSlide.open(folder.stores / f"{name}.{encoder}.nic.zarr")
    assert store.status == "complete"
    return store.read()


def all_bytes(root: Path) -> dict[str, bytes]:
    """Files below a folder, but the summary, and the plan of the last run."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def test_good_slides_are_done_and_bad_ones_named(cohort, folder, run_all) -> None:
    found = run_all(cohort)
    outcomes = {name: result.outcome for name, result in found.items()}
    assert outcomes == {
        "s": "done",
        "other-s": "done",
        "renamed": "done",
        "glass": "empty",
        "cut": "failed",
        "bare": "failed",
        "text": "failed",
        "gone.svs": "failed",
    }
    reasons = {name: result.reason for name, result in found.items()}
    assert "no tissue was found" in reasons["glass"]
    assert "--mpp" in reasons["bare"]
    assert "no such file" in reasons["gone.svs"]
    assert all(reasons[name] for name in ("cut", "text"))
    np.testing.assert_array_equal(codes(folder), codes(folder, "other-s"))
    np.testing.assert_array_equal(codes(folder), codes(folder, "renamed"))
    assert not CompressedSlide.open(folder.stores / "glass.mean-rgb.nic.zarr").coverage.any()


def test_a_second_run_opens_and_writes_nothing(cohort, folder, run_all, monkeypatch) -> None:
    good = cohort[:4]
    run_all(good)
    before = all_bytes(folder.root)
    monkeypatch.setattr("napari_nic.runs.bench.open_slide", None)
    found = run_all(good)
    assert {result.worked for result in found.values()} == {False}
    assert all_bytes(folder.root) == before


def test_what_another_run_ended_just_now_is_not_said_to_be_done_by_this_one(
    slide, run_all, settings, monkeypatch
) -> None:
    claim = slide_work.take_claim
    others = []

    def late(folder: RunFolder, name: str) -> Claim | Owner:
        monkeypatch.setattr(slide_work, "take_claim", claim)
        others.append(run_all([slide])["s"])
        return claim(folder, name)

    monkeypatch.setattr(slide_work, "take_claim", late)
    found = run_all([slide])["s"]
    assert [result.worked for result in (*others, found)] == [True, False]
    assert found.outcome == "done"


def test_the_codes_are_those_of_one_slide_alone(slide, folder, run_all, tmp_path) -> None:
    from napari_nic import compress

    run_all([slide])
    alone = compress(slide, "mean-rgb", out=tmp_path / "alone.nic.zarr")
    np.testing.assert_array_equal(codes(folder), alone.read())
    assert CompressedSlide.open(folder.stores / "s.mean-rgb.nic.zarr").header.tissue == alone.header.tissue


def test_other_settings_are_done_anew_and_only_what_they_change(slide, folder, run_all, settings) -> None:
    run_all([slide])
    tissue = folder.read("s").tasks["tissue"]
    assert run_all([slide], replace(settings, grid=GRID))["s"].worked
    assert folder.read("s").tasks["tissue"] == tissue
    assert CompressedSlide.open(folder.stores / "s.mean-rgb.nic.zarr").grid.patch_size == GRID.patch_size


def test_another_slide_under_the_same_name_is_done_anew(
    slide, folder, run_all, make_tiff, make_tissue
) -> None:
    run_all([slide])
    before = codes(folder)
    make_tiff(slide, make_tissue(600, 700, seed=7))
    assert run_all([slide])["s"].worked
    assert not np.array_equal(codes(folder), before)


def test_a_slide_that_was_touched_or_moved_is_the_same(slide, folder, run_all, tmp_path) -> None:
    run_all([slide])
    slide.touch()
    stores = all_bytes(folder.stores)
    run_all([slide])
    moved = Path(shutil.move(slide, tmp_path / "elsewhere.tif"))
    moved = moved.rename(tmp_path / "s.tif")
    assert set(run_all([moved])) == {"s"}
    assert all_bytes(folder.stores) == stores


@pytest.mark.parametrize("lost", ["stores/s.mean-rgb.nic.zarr", "slides/s/tissue.png"])
def test_what_was_lost_is_made_anew(slide, folder, run_all, lost: str) -> None:
    run_all([slide])
    before = codes(folder)
    path = folder.root / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert run_all([slide])["s"].worked
    assert path.exists()
    np.testing.assert_array_equal(codes(folder), before)


def test_a_cut_off_output_is_made_anew(slide, folder, run_all) -> None:
    run_all([slide])
    mask = folder.slide("s") / "tissue.png"
    whole = mask.read_bytes()
    mask.write_bytes(whole[:50])
    run_all([slide])
    assert mask.read_bytes() == whole


def test_a_store_that_no_run_made_is_never_replaced(slide, folder, run_all, settings) -> None:
    from napari_nic import compress

    place = folder.stores / "s.mean-rgb.nic.zarr"
    compress(slide, "mean-rgb", out=place, options=GRID)
    before = all_bytes(place)
    for _ in range(2):
        assert "other settings" in run_all([slide])["s"].reason
    assert all_bytes(place) == before
    assert run_all([slide], replace(settings, grid=GRID))["s"].outcome == "done"


def test_several_encoders_formats_and_steps(slide, folder, run_all, settings) -> None:
    wanted = replace(settings, steps=("export",), formats=("npy", "trident"))
    assert run_all([slide], wanted)["s"].outcome == "done"
    files = [path for path in (folder.root / "exports").rglob("*") if path.is_file()]
    assert {path.relative_to(folder.root).parts[1] for path in files} == {"npy", "trident"}
    assert all(path.name.startswith(("s.", "s_")) for path in files if "npy" in path.parts)


def test_what_is_cancelled_goes_on(slide, folder, run_all, settings) -> None:
    fine = replace(settings, grid=GRID)
    token = CancellationToken()
    reports = iter_run([slide], folder, fine, token=token)
    for report in reports:
        if report.inner is not None and report.inner.stage == "compressing" and report.inner.done:
            break
    token.cancel()
    with pytest.raises(CancelledError):
        list(reports)
    (state,) = read_status(folder).slides
    assert state.state == "stopped"
    assert not list(folder.slide("s").glob("claim-*"))
    assert run_all([slide], fine)["s"].outcome == "done"
    assert read_status(folder).counts == {"done": 1}


def test_a_full_disk_ends_the_run_and_the_same_command_goes_on(cohort, folder, run_all, monkeypatch) -> None:
    def full(*_: object) -> Iterator[None]:
        raise StoreError("no space left on the disk") from OSError(errno.ENOSPC, "No space left on device")
        yield

    with monkeypatch.context() as patch:
        patch.setattr(DOERS, "_entries", {**DOERS._entries, "compress": replace_run(full)})
        with pytest.raises(StoreError, match="no space left"):
            run_all(cohort[:2])
    assert read_status(folder).counts == {"stopped": 1, "waiting": 1}
    assert {result.outcome for result in run_all(cohort[:2]).values()} == {"done"}


def replace_run(run):
    return replace(DOERS.get("compress"), run=run)


def test_an_error_that_nobody_foresaw_is_of_one_slide(cohort, folder, run_all, monkeypatch) -> None:
    def surprise(task, bench):
        if bench.name == "s":
            raise ZeroDivisionError("by zero")
        return (yield from whole.run(task, bench))

    whole = DOERS.get("compress")
    with monkeypatch.context() as patch:
        patch.setattr(DOERS, "_entries", {**DOERS._entries, "compress": replace_run(surprise)})
        found = run_all(cohort[:2])
    assert "ZeroDivisionError" in found["s"].reason
    assert found["other-s"].outcome == "done"
    assert run_all(cohort[:2])["s"].outcome == "done"


def test_a_slide_that_vanishes_meanwhile_is_named(cohort, folder, settings) -> None:
    results = []
    for report in iter_run(cohort[:2], folder, settings):
        if report.result is not None:
            results.append(report.result)
            cohort[1].unlink(missing_ok=True)
    assert [result.outcome for result in results] == ["done", "failed"]
    assert str(cohort[1]) in results[1].reason


def test_parts_share_the_slides_out(cohort, folder, run_all) -> None:
    first, second = run_all(cohort[:4], part=(1, 2)), run_all(cohort[:4], part=(2, 2))
    assert set(first) == {"s", "renamed"}
    assert set(second) == {"other-s", "glass"}


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"steps": ("bake",)}, InvalidParameterError),
        ({"encoders": ()}, InvalidParameterError),
        ({"encoders": ("nobody",)}, UnknownNameError),
        ({"steps": ("export",), "formats": ("nothing",)}, UnknownNameError),
        ({"steps": ("predict",), "models": ("lesion-demo",)}, InvalidParameterError),
    ],
)
def test_what_does_not_fit_together_is_refused_at_once(
    slide, folder, run_all, settings, change, error
) -> None:
    with pytest.raises(error):
        run_all([slide], replace(settings, **change))
    assert not folder.root.exists()


def test_the_summary_escapes_and_shows_all(cohort, folder, run_all) -> None:
    hostile = cohort[0].with_name("<b>&'.tif")
    cohort[0].rename(hostile)
    run_all([hostile, *cohort[3:]])
    page = write_summary(folder).read_text("utf-8")
    assert "<b>" not in page
    assert "4 failed" not in page  # gone.svs was never there: it has no name in the run
    assert "3 failed" in page
    ended = max(task.ended for name in folder.names() for task in folder.read(name).tasks.values())
    assert f"the last of it ended {ended[:10]} {ended[11:16]} UTC" in page
    assert 'src="slides/' in page
    for part in page.split('src="')[1:]:
        from urllib.parse import unquote

        assert (folder.root / unquote(part.partition('"')[0])).is_file()


def test_the_mask_and_pictures_are_right(slide, folder, run_all) -> None:
    from napari_nic.tissue import find_tissue

    run_all([slide])
    facts = folder.read("s").tasks["tissue"].facts
    with open_slide(slide) as opened:
        mask = find_tissue(opened)
    assert facts["area_mm2"] == pytest.approx(mask.area_um2 / 1e6)
    assert json.loads(json.dumps(dict(facts))) == facts


def test_a_slide_written_anew_gives_the_original_back(slide, folder, run_all, settings, tmp_path) -> None:
    from napari_nic.jobs import result_of
    from napari_nic.recompression import restore

    before = slide.read_bytes()
    wanted = replace(settings, steps=("recompress",), encoders=(), recompression="repack")
    assert run_all([slide], wanted)["s"].outcome == "done"
    assert slide.read_bytes() == before
    result_of(restore(folder.root / "recompressed" / "s.tif", tmp_path / "back.tif", workers=1))
    assert (tmp_path / "back.tif").read_bytes() == before
    assert not run_all([slide], wanted)["s"].worked
