"""How many patches a second encoders manage on this machine: measured, and remembered for lists of them."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

import napari_nic
from napari_nic.descriptions import is_finite, is_text, is_whole, read_json
from napari_nic.disk import write_text
from napari_nic.encoders.spec import MODEL_FILES, Encoder, EncoderSpec
from napari_nic.errors import InvalidParameterError, NicError, WeightsError
from napari_nic.jobs import CancellationToken, Progress
from napari_nic.weight_files import HOME

REPEATS, SECONDS = 7, 0.25
"""Unasked: how often is measured, and about how long each time."""

MOST_COST = 2**62

MOST_KEPT = 500
"""Figures in the file; the oldest go first."""


@dataclass(frozen=True)
class Speed:
    """Patches a second of an encoder on a machine.

    Attributes
    ----------
    median, low, high : float
        Patches a second: median and quartiles over the repeats.
    repeats : int
    threads : int
        Threads that encoded side by side, each with one kernel thread, as when a slide is compressed.
    batch_size : int
    device, precision : str
    machine : str
        Processor and number of cores.
    versions : str
        Of napari-nic and PyTorch.
    """

    median: float
    low: float
    high: float
    repeats: int
    threads: int
    batch_size: int
    device: str
    precision: str
    machine: str
    versions: str

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


_FIELDS = {
    **dict.fromkeys(("median", "low", "high"), is_finite),
    **dict.fromkeys(("repeats", "threads", "batch_size"), lambda value: is_whole(value, 2**31)),
    **dict.fromkeys(("device", "precision", "machine", "versions"), is_text),
}


def measure_speed(
    encoder: Encoder,
    *,
    threads: int = 1,
    repeats: int = REPEATS,
    seconds: float = SECONDS,
    token: CancellationToken | None = None,
) -> Generator[Progress, None, Speed]:
    """Encode batches of noise in threads, warm up first, and measure several times.

    Parameters
    ----------
    encoder : Encoder
    threads : int
        Threads side by side; a GPU wants one.
    repeats : int
    seconds : float
        That one repeat takes, about.
    token : CancellationToken, optional
        Asked before each repeat.

    Yields
    ------
    Progress
        After each repeat.

    Raises
    ------
    InvalidParameterError
        If there is nothing to do.
    CancelledError
    """
    if min(threads, repeats) < 1 or seconds <= 0:
        raise InvalidParameterError(
            "nothing can be measured",
            expected="at least 1 thread and 1 repeat, and some time",
            found=f"{threads} threads, {repeats} repeats of {seconds:g} s",
        )
    token = token or CancellationToken()
    side = encoder.spec.input_size
    batch = np.random.default_rng(0).integers(0, 256, (encoder.batch_size, side, side, 3), np.uint8)
    rates: list[float] = []
    with ThreadPoolExecutor(threads, "encoding", initializer=encoder.prepare_thread) as pool:
        token.checkpoint()
        _rate(pool, encoder, batch, threads, 1)  # warms up
        token.checkpoint()
        batches = max(1, round(seconds * _rate(pool, encoder, batch, threads, 1) / (threads * len(batch))))
        for number in range(repeats):
            token.checkpoint()
            rates.append(_rate(pool, encoder, batch, threads, batches))
            yield Progress(number + 1, repeats, f"measuring {encoder.spec.name}", "repeats")
    return _speed(encoder, rates, threads)


def _rate(pool: ThreadPoolExecutor, encoder: Encoder, batch: np.ndarray, threads: int, batches: int) -> float:
    """Return patches a second of all threads together."""

    def work(_: int) -> None:
        for _ in range(batches):
            encoder.encode(batch)

    started = time.perf_counter()
    for _ in pool.map(work, range(threads)):
        pass
    return threads * batches * len(batch) / (time.perf_counter() - started)


def _speed(encoder: Encoder, rates: list[float], threads: int) -> Speed:
    low, median, high = np.quantile(rates, (0.25, 0.5, 0.75))
    return Speed(
        median=float(median),
        low=float(low),
        high=float(high),
        repeats=len(rates),
        threads=threads,
        batch_size=encoder.batch_size,
        device=encoder.device,
        precision=encoder.precision,
        machine=this_machine(),
        versions=these_versions(),
    )


@cache
def this_machine() -> str:
    """Return processor and number of cores, by which figures of this machine are known."""
    name = platform.processor() or platform.machine()
    with suppress(OSError):  # Linux alone has it, and says there what the processor is
        lines = Path("/proc/cpuinfo").read_text("utf-8", errors="replace").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    return f"{name}, {os.cpu_count() or 1} cores"


@cache
def these_versions() -> str:
    """Return the versions that a speed depends on."""
    try:
        torch = metadata.version("torch")
    except metadata.PackageNotFoundError:
        torch = "none"
    return f"napari-nic {napari_nic.__version__}, PyTorch {torch}"


def speeds_file() -> Path:
    """File of the figures: in the user's cache, or where ``NAPARI_NIC_HOME`` says."""
    home = os.environ.get(HOME)
    return Path(home or platformdirs.user_cache_dir("napari-nic", appauthor=False)) / "encoder-speeds.json"


def remember_speed(spec: EncoderSpec, speed: Speed) -> None:
    """Keep a figure for lists of encoders; the last one of an encoder and a machine counts."""
    _keep(_key(spec, speed.machine), speed.to_dict())


def remember_cost(spec: EncoderSpec, multiply_adds: int) -> None:
    """Keep how many multiply-adds a patch costs an encoder: to count them, PyTorch must be loaded."""
    _keep(_key(spec, these_versions()), multiply_adds)


def remembered_cost(spec: EncoderSpec) -> int | None:
    """Return the multiply-adds of a patch that were counted with these versions, if they were."""
    entry = _entries().get(_key(spec, these_versions()))
    return entry if is_whole(entry, MOST_COST) else None


def known_cost(spec: EncoderSpec) -> int | None:
    """Return the multiply-adds of a patch: as counted before, or, of networks of this package, counted now.

    Returns
    -------
    int or None
        None for another's network that was not measured yet, see :func:`measure_speed`, and for one that
        cannot be counted.
    """
    known = remembered_cost(spec)
    others = spec.weights_sha256 is None or spec.architecture in {"timm", *MODEL_FILES} or spec.options
    if known is not None or others:
        return known
    from napari_nic.encoders.cost import architecture_cost

    cost = architecture_cost(spec.architecture, spec.code_size)
    remember_cost(spec, cost)
    return cost


def _keep(key: str, entry: Any) -> None:
    entries = _entries()
    entries.pop(key, None)
    kept = dict(list(entries.items())[-MOST_KEPT + 1 :]) | {key: entry}
    file = speeds_file()
    with suppress(NicError, OSError):  # a list without the figure is no fault
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, json.dumps(kept, indent=1) + "\n")


def remembered_speed(spec: EncoderSpec) -> Speed | None:
    """Return what was last measured of an encoder on this machine with these versions, if anything was."""
    entry = _entries().get(_key(spec, this_machine()))
    if not isinstance(entry, dict) or set(entry) != set(_FIELDS):
        return None
    if not all(check(entry[name]) for name, check in _FIELDS.items()):
        return None
    speed = Speed(**entry)
    return speed if speed.versions == these_versions() else None


def _entries() -> dict[str, Any]:
    file = speeds_file()
    try:
        entries = read_json(file, WeightsError, what="the file of speeds")
    except NicError:  # none yet, or damaged: measured anew
        return {}
    return entries if isinstance(entries, dict) else {}


def _key(spec: EncoderSpec, where: str) -> str:
    described = json.dumps([spec.identity(), where], sort_keys=True)
    return hashlib.sha256(described.encode()).hexdigest()
