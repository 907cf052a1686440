"""Slides are copied ahead within a bound, never half, and nothing of them stays."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from napari_nic.embeddings import CompressedSlide
from napari_nic.errors import CancelledError
from napari_nic.jobs import CancellationToken
from napari_nic.runs import RunFolder, bench, copying, iter_run
from napari_nic.runs.claims import Owner
from napari_nic.runs.copying import CopyAhead, copying_ahead

LARGE = 10**9


@pytest.fixture
def near(tmp_path: Path) -> Path:
    return tmp_path / "near"


@pytest.fixture
def copies(near: Path) -> Iterator[CopyAhead]:
    with copying_ahead(near, LARGE) as made:
        yield made


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Four files of 1000 bytes, in two folders of which each holds one of each name."""
    made = [tmp_path / place / name for place in ("a", "b") for name in ("s.tif", "t.tif")]
    for number, file in enumerate(made):
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(bytes([number]) * 1000)
    return made


def all_wanted(_path: Path) -> bool:
    return True


def test_a_run_reads_copies_and_makes_the_same(cohort, folder, run_all, near, settings, monkeypatch) -> None:
    opened: list[Path] = []
    whole = bench.open_slide

    def noting(path: Path, **more: object):
        opened.append(path)
        return whole(path, **more)

    with copying_ahead(near, LARGE) as copies, monkeypatch.context() as patch:
        patch.setattr(bench, "open_slide", noting)
        found = run_all(cohort, copies=copies)
        assert not any(near.rglob("*.tif")), "each copy goes when its slide is done"
    assert not list(near.iterdir())
    read = [path for path in opened if path.is_relative_to(near)]
    assert {path.name for path in read} >= {"s.tif", "renamed.ndpi", "glass.tif", "cut.tif"}
    assert {path.name for path in opened} - {path.name for path in read} == {"gone.svs"} - {"gone.svs"}
    assert not any(str(near) in result.reason for result in found.values())
    assert str(cohort[4]) in found["cut"].reason
    alone = RunFolder(folder.root.with_name("alone"))
    reasons = {r.result.name: r.result for r in iter_run(cohort, alone, settings) if r.result}
    assert {name: r.outcome for name, r in found.items()} == {name: r.outcome for name, r in reasons.items()}
    for name in ("s", "other-s"):
        ours, theirs = (CompressedSlide.open(f.stores / f"{name}.mean-rgb.nic.zarr") for f in (folder, alone))
        np.testing.assert_array_equal(ours.read(), theirs.read())
        assert replace(ours.header, created="") == replace(theirs.header, created="")
    assert folder.read("s").source == alone.read("s").source
    assert not any(result.worked for result in run_all(cohort[:4]).values()), "done, copied or not"


def test_copies_keep_within_the_bound(near, files) -> None:
    with copying_ahead(near, 2500) as copies:
        copies.begin(files, all_wanted)
        for number, file in enumerate(files):
            copy = copies.take(file, CancellationToken())
            assert copy is not None
            assert copy.name == file.name
            assert copy.read_bytes() == bytes([number]) * 1000
            lying = [path for path in near.rglob("*.tif*") if path.is_file()]
            assert sum(path.stat().st_size for path in lying) <= 2500
            copies.drop(file)
        assert 1000 < copies.most <= 2500


@pytest.mark.parametrize("name", ["s.vms", "s.dcm", "s"])
def test_what_is_one_of_several_files_is_read_where_it_lies(copies, tmp_path, name) -> None:
    file = tmp_path / name
    file.write_bytes(b"x")
    copies.begin([file], all_wanted)
    assert copies.take(file, CancellationToken()) is None


def test_a_slide_beyond_the_bound_or_not_wanted_is_not_copied(near, files) -> None:
    with copying_ahead(near, 999) as copies:
        copies.begin(files[:1], all_wanted)
        assert copies.take(files[0], CancellationToken()) is None
    with copying_ahead(near, LARGE) as copies:
        copies.begin(files[:1], lambda _path: False)
        assert copies.take(files[0], CancellationToken()) is None
        assert copies.most == 0


def test_of_mirax_the_folder_comes_along(copies, tmp_path) -> None:
    slide = tmp_path / "m.mrxs"
    (tmp_path / "m").mkdir()
    slide.write_bytes(b"index")
    (tmp_path / "m" / "Data0000.dat").write_bytes(b"data")
    copies.begin([slide], all_wanted)
    copy = copies.take(slide, CancellationToken())
    assert copy is not None
    assert (copy.parent / "m" / "Data0000.dat").read_bytes() == b"data"
    (tmp_path / "m" / "Data0000.dat").write_bytes(b"more data")
    assert not copying.is_copy_of(copy, slide)


def test_a_slide_that_changes_while_it_is_copied_is_read_where_it_lies(near, files, monkeypatch) -> None:
    stamp = copying._Stamp.of.__func__

    def another_time(kind, file: Path):
        found = stamp(kind, file)
        file.write_bytes(b"longer than it was" * 100)
        return found

    monkeypatch.setattr(copying._Stamp, "of", classmethod(another_time))
    with copying_ahead(near, LARGE) as copies:
        copies.begin(files[:1], all_wanted)
        assert copies.take(files[0], CancellationToken()) is None
        assert not list(near.rglob("*.tif*"))


def test_a_slide_that_changed_since_is_read_where_it_lies(copies, files) -> None:
    copies.begin(files[:1], all_wanted)
    assert copies.take(files[0], CancellationToken()) is not None
    files[0].write_bytes(b"another one")
    assert copies.take(files[0], CancellationToken()) is None


def test_a_near_disk_that_is_full_does_no_harm(copies, files, monkeypatch) -> None:
    def full(self: Path, *_: object) -> None:
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "rename", full)
    copies.begin(files[:1], all_wanted)
    assert copies.take(files[0], CancellationToken()) is None


def test_who_waits_for_a_copy_can_be_cancelled(near, files) -> None:
    token = CancellationToken()
    with copying_ahead(near, 1500) as copies:
        copies.begin(files[:2], all_wanted)
        assert copies.take(files[0], token) is not None
        token.cancel()
        with pytest.raises(CancelledError):
            copies.take(files[1], token)  # there is no room for it yet


def test_what_a_killed_run_left_is_removed_and_no_others(near, files) -> None:
    with copying_ahead(near, LARGE) as alive:
        alive.begin(files[:1], all_wanted)
        copy = alive.take(files[0], CancellationToken())
        dead = near / "nic-copies-dead"
        dead.mkdir()
        (dead / "claim-1").write_text(json.dumps(asdict(replace(Owner.new(), pid=2**22 + 1))))
        (dead / "left.tif").write_bytes(b"x")
        stranger = near / "of somebody.tif"
        shutil.copy(files[0], stranger)
        with copying_ahead(near, LARGE):
            assert not dead.exists()
            assert copy.exists()
    assert list(near.iterdir()) == [stranger]
