"""One run works on a slide at a time: threads, processes, machines; whoever is gone holds nothing up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from napari_nic.errors import CancelledError, StoreError
from napari_nic.jobs import CancellationToken
from napari_nic.runs import RunFolder, claims
from napari_nic.runs.beating import beating
from napari_nic.runs.claims import Claim, Owner, claimed_by, take_claim


@pytest.fixture
def name(folder: RunFolder, tmp_path: Path) -> str:
    return folder.enrol(tmp_path / "s.tif").name


def held(folder: RunFolder, name: str) -> Claim:
    claim = take_claim(folder, name)
    assert isinstance(claim, Claim)
    return claim


def give_back(folder: RunFolder, name: str, claim: Claim) -> None:
    folder.write(replace(folder.read(name), released=claim.number))
    claim.give_back()


def leave(folder: RunFolder, name: str, number: int = 1, age: float = 0.0, **owner: object) -> Path:
    """Leave a claim as another process would, that was touched so many seconds ago."""
    file = folder.slide(name) / f"claim-{number}"
    file.write_text(json.dumps(asdict(replace(Owner.new(), **owner))))
    before = time.time() - age
    os.utime(file, (before, before))
    return file


def test_a_claim_is_had_once_and_again_when_it_was_given_back(folder, name) -> None:
    first = held(folder, name)
    owner = take_claim(folder, name)
    assert isinstance(owner, Owner)
    assert owner.pid == os.getpid()
    assert claimed_by(folder, name) == first.owner
    give_back(folder, name, first)
    assert claimed_by(folder, name) is None
    assert held(folder, name).number == first.number + 1


def test_of_many_at_once_one_has_it(folder, name) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: take_claim(folder, name), range(40)))
    assert sum(isinstance(claim, Claim) for claim in found) == 1


def test_one_name_is_given_once(folder, tmp_path) -> None:
    paths = [tmp_path / str(number) / "s.tif" for number in range(6)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: folder.enrol(paths[number % 6]), range(60)))
    names = {record.source.path: record.name for record in found}
    assert len(set(names.values())) == 6
    assert all(names[record.source.path] == record.name for record in found)


GONE = """
import sys
from napari_nic.runs import RunFolder
from napari_nic.runs.claims import take_claim
print(take_claim(RunFolder(__import__("pathlib").Path(sys.argv[1])), sys.argv[2]).number, flush=True)
"""


def test_what_a_process_left_that_is_gone_is_taken_over_at_once(folder, name) -> None:
    command = [sys.executable, "-c", GONE, str(folder.root), name]
    number = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)  # noqa: S603
    assert (folder.slide(name) / f"claim-{number}").exists()
    claim = held(folder, name)
    assert claim.number == number + 1
    give_back(folder, name, claim)
    assert not list(folder.slide(name).glob("claim-*"))


@pytest.mark.parametrize(
    ("owner", "age", "lives"),
    [
        ({}, 1e6, True),  # of this process, however long ago it was touched: it may have been stopped
        ({"pid": 2**22 + 1}, 0, False),  # no process of that number
        ({"started": "1"}, 0, False),  # another process has its number now
        ({"host": "elsewhere", "space": "elsewhere"}, 0, True),
        ({"host": "elsewhere", "space": "elsewhere"}, claims.EXPIRY_SECONDS - 60, True),
        (
            {"host": "elsewhere", "space": "elsewhere"},
            claims.EXPIRY_SECONDS + 60,
            True,
        ),  # before it is watched
        ({"space": ""}, 0, True),  # a system that does not tell
    ],
)
def test_who_lives(folder, name, owner, age, lives) -> None:
    file = leave(folder, name, age=age, **owner)
    found = take_claim(folder, name)
    assert isinstance(found, Owner) is lives
    assert lives or found.number == 2
    assert file.exists(), "a claim is never taken away from its owner"
    assert not list(folder.slide(name).glob(".clock-*"))


ELSEWHERE = {"host": "elsewhere", "space": "elsewhere"}


def watch(folder: RunFolder, name: str, token: CancellationToken | None = None) -> int:
    """Watch the claims on a slide; return how often it was said that this goes on."""
    return sum(1 for _ in claims.watch_abandoned(folder, [name], token or CancellationToken()))


@pytest.fixture
def short(monkeypatch) -> None:
    monkeypatch.setattr(claims, "WATCH_SECONDS", 0.05)
    monkeypatch.setattr(claims, "_LOOK_SECONDS", 0.005)


@pytest.mark.parametrize(
    ("owner", "age", "gone"),
    [
        ({}, claims.EXPIRY_SECONDS + 60, True),
        ({"expires_seconds": 5.0}, 60, True),
        ({}, -86_400, True),  # the disk's clock was set back by a day, after it was touched last
        ({}, claims.EXPIRY_SECONDS - 60, False),
        ({}, -30, False),
    ],
)
def test_a_claim_from_elsewhere_expires_once_it_was_watched(folder, name, short, owner, age, gone) -> None:
    file = leave(folder, name, age=age, **ELSEWHERE, **owner)
    assert isinstance(take_claim(folder, name), Owner)
    assert bool(watch(folder, name)) is gone
    found = take_claim(folder, name)
    assert isinstance(found, Claim) is gone
    assert file.exists()
    assert watch(folder, name) == 0
    if gone:
        assert (found.number, claims.deaths_before(found, 0)) == (3, 1)
        give_back(folder, name, found)
        assert not list(folder.slide(name).glob("claim-*"))


def test_a_clock_that_jumps_takes_no_slide_from_who_lives(folder, name, short) -> None:
    """The disk's clock is set on by a day: all claims look old, until their owners touch them again."""
    file = leave(folder, name, age=86_400, **ELSEWHERE)
    for _ in claims.watch_abandoned(folder, [name], CancellationToken()):
        os.utime(file)
    assert isinstance(take_claim(folder, name), Owner)


def test_our_own_clock_matters_not(folder, name, short, monkeypatch) -> None:
    leave(folder, name, **ELSEWHERE)
    now = time.time()
    for jump in (-86_400, 86_400):
        monkeypatch.setattr(time, "time", lambda jump=jump: now + jump)
        assert watch(folder, name) == 0
        assert isinstance(take_claim(folder, name), Owner)


def test_of_many_that_watch_one_has_the_slide(folder, name, short) -> None:
    leave(folder, name, age=1e6, **ELSEWHERE)

    def once(_: int) -> Claim | Owner:
        watch(folder, name)
        return take_claim(folder, name)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(once, range(24)))
    assert sum(isinstance(claim, Claim) for claim in found) == 1


def test_who_watches_can_be_cancelled(folder, name) -> None:
    leave(folder, name, age=1e6, **ELSEWHERE)
    token = CancellationToken()
    token.cancel()
    with pytest.raises(CancelledError):
        watch(folder, name, token)
    assert isinstance(take_claim(folder, name), Owner)


def test_who_may_only_look_sees_who_works(folder, name, monkeypatch) -> None:
    """The folder of somebody else: no file can be made beside the claim to learn the disk's time."""
    leave(folder, name, age=30, **ELSEWHERE)

    def refused(self: Path, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "touch", refused)
    assert claimed_by(folder, name).host == "elsewhere"


def test_a_claim_that_is_being_written_holds(folder, name) -> None:
    file = folder.slide(name) / "claim-1"
    file.touch()
    assert isinstance(take_claim(folder, name), Owner)
    os.utime(file, (1, 1))
    assert held(folder, name).number == 2


def test_whoever_looked_too_early_overtakes_nobody(folder, name, monkeypatch) -> None:
    """Between the look at a dead claim and the next claim, another one takes it over and ends."""
    leave(folder, name, pid=2**22 + 1)
    look = claims._holder

    def while_another_works(file: Path) -> Owner | None:
        owner = look(file)
        monkeypatch.setattr(claims, "_holder", look)
        other = held(folder, name)
        assert other.number == 2
        give_back(folder, name, other)
        return owner

    monkeypatch.setattr(claims, "_holder", while_another_works)
    claim = held(folder, name)
    assert claim.number == 3
    assert [file.name for file in folder.slide(name).glob("claim-*")] == ["claim-3"]


def test_a_claim_that_was_overtaken_is_noticed(folder, name) -> None:
    claim = held(folder, name)
    assert claim.touch()
    leave(folder, name, claim.number + 1)
    assert not claim.touch()
    with pytest.raises(StoreError, match="took over this slide"):
        claim.check()


def test_the_thread_touches_and_tells_of_a_loss(folder, name, monkeypatch) -> None:
    monkeypatch.setattr(claims, "BEAT_SECONDS", 0.001)
    claim, token, lost = held(folder, name), CancellationToken(), threading.Event()
    monkeypatch.setattr(token, "cancel", lost.set)
    os.utime(claim.file, (1, 1))
    with beating(claim, token):
        while claim.file.stat().st_mtime == 1:
            assert not lost.is_set()
        claim.file.unlink()
        assert lost.wait(30)


def test_no_links_no_matter(folder, tmp_path, monkeypatch) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    name = folder.enrol(tmp_path / "s.tif").name
    assert folder.enrol(tmp_path / "s.tif").name == name
    held(folder, name)
    assert isinstance(take_claim(folder, name), Owner)
