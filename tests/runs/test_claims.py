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

from napari_nic.errors import StoreError
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
        ({"host": "elsewhere", "space": "elsewhere"}, claims.EXPIRY_SECONDS + 60, False),
        ({"host": "elsewhere", "space": "elsewhere", "expires_seconds": 5.0}, 60, False),
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


def test_a_claim_that_is_being_written_holds(folder, name) -> None:
    file = folder.slide(name) / "claim-1"
    file.touch()
    assert isinstance(take_claim(folder, name), Owner)
    os.utime(file, (1, 1))
    assert held(folder, name).number == 2


def test_whoever_looked_too_early_overtakes_nobody(folder, name, monkeypatch) -> None:
    """Between the look at a dead claim and the next claim, another one takes it over and ends."""
    leave(folder, name, pid=2**22 + 1)
    look = claims.living_owner

    def while_another_works(file: Path) -> Owner | None:
        owner = look(file)
        monkeypatch.setattr(claims, "living_owner", look)
        other = held(folder, name)
        assert other.number == 2
        give_back(folder, name, other)
        return owner

    monkeypatch.setattr(claims, "living_owner", while_another_works)
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
