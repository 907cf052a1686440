"""Who works on a slide: one run at a time, on any number of machines, without a lock of the file system.

Locks lie on network file systems: they hold on one machine only, or are granted to everybody. So a claim is a
small file that can be made once only (``O_CREAT | O_EXCL``, which the server decides). It says who made it,
and is touched as long as its owner lives. Of an owner on this machine the system tells whether the process
still runs. One elsewhere whose claim seems not to have been touched for :data:`EXPIRY_SECONDS` may be gone,
or the clock of the disk was set: so the claim is watched for as long as an owner that lives needs to touch
it twice, by a clock that is never set, and only if nothing happens the owner is declared gone.

Claims are numbered, and none is ever taken from its owner: who finds claim 3 abandoned makes claim 4, which
again one only can. The slide's record says up to which number all were given back. So nobody who looked a
moment too early takes a living claim for the dead one that was there before.

A machine that stands still for longer than the expiry and then goes on finds its claim overtaken, and stops.
What two runs write of one slide in between is the same, and each file is replaced as a whole.
"""

from __future__ import annotations

import errno
import functools
import json
import os
import platform
import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from napari_nic.disk import write_new
from napari_nic.errors import StoreError
from napari_nic.jobs import CancellationToken
from napari_nic.runs.folder import RunFolder

EXPIRY_SECONDS = 600.0
"""A claim that its owner on another machine has not touched for so long is abandoned."""

BEAT_SECONDS = 30.0
"""So often a claim is touched."""

WATCH_SECONDS = 2.5 * BEAT_SECONDS
"""A claim that seems abandoned is watched for so long before its owner is declared gone."""

_SET_BACK_SECONDS = 60.0
"""A claim that was touched later than this from now says that the disk's clock was set back."""

_LOOK_SECONDS = 0.2
_GONE = "gone"
"""Token of a claim that says of the one before it that its owner is gone, and is nobody's."""

_UNWRITTEN_SECONDS = 60.0
"""A claim without content, of a file system without links, is being written for no longer than this."""

_MOST_CLAIMS = 10_000


@dataclass(frozen=True)
class Owner:
    """Who made a claim.

    Attributes
    ----------
    host : str
        The machine.
    space : str
        Machine, its start and the container: where process numbers mean the same. Empty where the system
        does not tell.
    pid : int
        The process.
    started : str
        When the system says that the process began, in its own measure; empty where it does not tell.
    token : str
        Of this claim alone.
    since : str
        ISO 8601, UTC.
    expires_seconds : float
        Without a touch for so long the claim is abandoned.
    """

    host: str
    space: str
    pid: int
    started: str
    token: str
    since: str
    expires_seconds: float = EXPIRY_SECONDS

    @classmethod
    def new(cls) -> Owner:
        """Describe this process, for a new claim."""
        since = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(
            platform.node(), _space(), os.getpid(), _started(os.getpid()) or "", uuid.uuid4().hex, since
        )

    def __str__(self) -> str:
        where = "" if self.host == platform.node() else f" on {self.host}"
        return f"process {self.pid}{where}, since {self.since}"


@dataclass(frozen=True)
class Claim:
    """A slide that this process works on.

    Attributes
    ----------
    file : Path
    number : int
    owner : Owner
    """

    file: Path
    number: int
    owner: Owner

    def touch(self) -> bool:
        """Give a sign of life; False if the claim is lost: somebody took this process for gone."""
        try:
            os.utime(self.file)
        except OSError as error:
            # A server that does not answer just now is not the end: the claim may still be there.
            return error.errno != errno.ENOENT
        return self.is_ours()

    def is_ours(self) -> bool:
        """Whether nobody has overtaken the claim."""
        owner = _read_owner(self.file)
        return owner is not None and owner.token == self.owner.token and not _next(self.file).exists()

    def check(self) -> None:
        """Raise :class:`StoreError` if the claim is lost."""
        if not self.is_ours():
            raise StoreError(
                "another run took over this slide, since this one gave no sign of life",
                path=self.file.parent,
                hint="let the other one do it; if this happens often, look at the network disk",
            )

    def give_back(self) -> None:
        """Remove the claim and all before it; the slide's record must name it as released by now."""
        for number in range(self.number, 0, -1):
            file = self.file.with_name(f"claim-{number}")
            try:
                file.unlink()
            except FileNotFoundError:
                break
            except OSError:
                continue  # it stays behind; the record says that it is void


def take_claim(folder: RunFolder, name: str) -> Claim | Owner:
    """Claim a slide.

    Parameters
    ----------
    folder : RunFolder
    name : str
        Of the slide, which has a record.

    Returns
    -------
    Claim or Owner
        The claim; or who works on the slide.

    Raises
    ------
    StoreError
        If the folder cannot be written.
    """
    place = folder.slide(name)
    for number in _numbers(folder, name):
        file = place / f"claim-{number}"
        owner = Owner.new()
        if write_new(file, json.dumps(asdict(owner)).encode()):
            if folder.read(name).released < number:
                return Claim(file, number, owner)
            file.unlink(missing_ok=True)  # it is of a row of claims that has ended meanwhile
        elif not _next(file).exists() and (other := _holder(file)) is not None:
            return other
    raise StoreError(
        "too many claims were left behind", path=place, hint=f"remove the files claim-... in {place}"
    )


def _numbers(folder: RunFolder, name: str) -> Iterator[int]:
    """Yield the numbers to try, from the first that is not given back; the record is looked at again."""
    number = 0
    for _ in range(_MOST_CLAIMS):
        number = max(number, folder.read(name).released) + 1
        yield number


def claimed_by(folder: RunFolder, name: str) -> Owner | None:
    """Return who works on a slide now; None if nobody does. Reads, and looks at the clock of the disk."""
    number = folder.read(name).released + 1
    found = None
    while (file := folder.slide(name) / f"claim-{number}").exists():
        found = living_owner(file)
        number += 1
    return found


def deaths_before(claim: Claim, released: int) -> int:
    """Count the processes that ended while they held the slide, since a claim was given back last.

    Parameters
    ----------
    claim : Claim
    released : int
        Of the slide's record.
    """
    owners = [
        _read_owner(claim.file.with_name(f"claim-{number}")) for number in range(released + 1, claim.number)
    ]
    return sum(owner is None or owner.token != _GONE for owner in owners)


def living_owner(file: Path) -> Owner | None:
    """Return the owner of a claim; None if it seems abandoned, or is not there."""
    owner = _holder(file)
    if owner is None or _is_known(owner):
        return owner
    age = _age(file)
    return owner if age is not None and age < owner.expires_seconds else None


def _holder(file: Path) -> Owner | None:
    """Return who holds a claim as far as is known for sure: others elsewhere may be gone, and are watched."""
    owner = _read_owner(file)
    if owner is None:
        age = _age(file)
        return _UNKNOWN if age is not None and age < _UNWRITTEN_SECONDS else None
    if owner.token == _GONE:
        return None
    return owner if not _is_known(owner) or _started(owner.pid) == owner.started else None


def _is_known(owner: Owner) -> bool:
    """Whether the system tells if the owner's process still runs."""
    return owner is _UNKNOWN or bool(owner.space and owner.space == _space() and owner.started)


def watch_abandoned(folder: RunFolder, names: Iterable[str], token: CancellationToken) -> Iterator[None]:
    """Declare owners elsewhere gone whose claims seem abandoned, once those were watched in vain.

    Parameters
    ----------
    folder : RunFolder
    names : iterable of str
        Of slides that others hold.
    token : CancellationToken

    Yields
    ------
    None
        A few times a second while claims are watched; nothing where none seems abandoned.

    Raises
    ------
    CancelledError
    """
    watched = {file: _touched(file) for file in map(partial(_last_claim, folder), names) if _seems_left(file)}
    end = time.monotonic() + WATCH_SECONDS
    while watched and time.monotonic() < end:
        token.checkpoint()
        yield
        time.sleep(_LOOK_SECONDS)
    for file, before in watched.items():
        if _touched(file) == before is not None:
            write_new(_next(file), json.dumps(asdict(replace(Owner.new(), token=_GONE))).encode())


def _last_claim(folder: RunFolder, name: str) -> Path:
    file = folder.slide(name) / f"claim-{folder.read(name).released + 1}"
    while _next(file).exists():
        file = _next(file)
    return file


def _seems_left(file: Path) -> bool:
    """Whether the owner of a claim may be gone although no system tells."""
    owner, age = _read_owner(file), _age(file)
    if owner is None or age is None or owner.token == _GONE or _is_known(owner):
        return False
    return not -_SET_BACK_SECONDS < age < owner.expires_seconds


def _touched(file: Path) -> int | None:
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return None


_UNKNOWN = Owner("", "", 0, "", "", "now")


def _read_owner(file: Path) -> Owner | None:
    try:
        data = json.loads(file.read_bytes()[:4096])
        return Owner(
            str(data["host"]),
            str(data["space"]),
            int(data["pid"]),
            str(data["started"]),
            str(data["token"]),
            str(data["since"]),
            float(data["expires_seconds"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _next(file: Path) -> Path:
    return file.with_name(f"claim-{int(file.name.rpartition('-')[2]) + 1}")


def _age(file: Path) -> float | None:
    """Seconds since a file was touched, by the clock of the disk that it lies on; None if it is gone.

    Clocks of machines differ, so another file is touched beside it and the two times are compared.
    """
    probe = file.with_name(f".clock-{uuid.uuid4().hex}")
    try:
        try:
            probe.touch()
            now = probe.stat().st_mtime
        finally:
            probe.unlink(missing_ok=True)
    except OSError:  # of somebody who may only look: by this machine's clock
        now = time.time()
    try:
        return now - file.stat().st_mtime
    except FileNotFoundError:
        return None


@functools.cache
def _space() -> str:
    """Name of what process numbers are unique in: this start of this machine, this container."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{platform.node()} {boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _started(pid: int) -> str | None:
    """When a process began, as the system counts; None if it does not run."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()  # behind the program's name, which may hold anything
    state, started = fields[0], fields[19]
    return None if state in "ZX" else started
