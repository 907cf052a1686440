"""Checkpoints of training: tensors in a safetensors file, options and counters in JSON beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from napari_nic.disk import replacing
from napari_nic.errors import NicError, WeightsError
from napari_nic.training.objectives.base import Objective
from napari_nic.training.options import RESUMABLE, TrainOptions

WEIGHTS_FILE, STATE_FILE, BEST_FILE = "checkpoint.safetensors", "checkpoint.json", "best.safetensors"

_BESIDE = ("objective", "learned_from")
"""What a record has beside the options that must be the same when a run goes on."""

Optimisers = Sequence[torch.optim.Optimizer]


def save_checkpoint(
    folder: Path,
    objective: Objective,
    optimisers: Optimisers,
    options: TrainOptions,
    counters: Mapping[str, Any],
) -> None:
    """Write a checkpoint; what was there stays whole until the new one is.

    The tensors' file carries the step, and the JSON file that names it comes last: a crash between the two
    is noticed, see :func:`load_checkpoint`.
    """
    tensors = _network(objective)
    for number, optimiser in enumerate(optimisers):
        for index, state in optimiser.state_dict()["state"].items():
            tensors |= {
                f"optimiser.{number}.{index}.{key}": torch.as_tensor(value).contiguous()
                for key, value in state.items()
            }
    record = {
        "objective": objective.name,
        "options": asdict(options),
        "learned_from": objective.learned_from(),
        "counters": dict(counters),
    }
    with replacing(folder / WEIGHTS_FILE) as temporary:
        save_file(tensors, temporary, metadata={"record": json.dumps(record)})
    with replacing(folder / STATE_FILE) as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def load_checkpoint(
    folder: Path, objective: Objective, optimisers: Optimisers, options: TrainOptions
) -> dict[str, Any]:
    """Put a checkpoint's state into an objective and its optimisers; return the counters, {} without one.

    Raises
    ------
    WeightsError
        If the checkpoint was made with other options, or is damaged.
    """
    if not (folder / WEIGHTS_FILE).is_file():
        return {}
    record = read_record(folder)
    with _resuming(folder / WEIGHTS_FILE):
        _check_same(record, objective, options, folder)
        tensors = load_file(folder / WEIGHTS_FILE)
        objective.load_state_dict(_with_prefix(tensors, "net."))
        for number, optimiser in enumerate(optimisers):
            _restore(optimiser, _with_prefix(tensors, f"optimiser.{number}."))
        return dict(record["counters"])


def _restore(optimiser: torch.optim.Optimizer, tensors: Mapping[str, torch.Tensor]) -> None:
    states: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in tensors.items():
        index, _, key = name.partition(".")
        states.setdefault(int(index), {})[key] = value
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": states, "param_groups": groups})


@contextmanager
def _resuming(file: Path) -> Iterator[None]:
    """Say that a checkpoint is damaged where what it holds does not fit the training."""
    try:
        yield
    except NicError:
        raise
    except (SafetensorError, OSError, LookupError, TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(
            "the checkpoint of the training is damaged",
            path=file,
            found=(str(error).splitlines() or [type(error).__name__])[0],
            hint="choose another name or folder, or delete it to train from the start",
        ) from error


def read_record(folder: Path) -> dict[str, Any]:
    """Return objective, options and counters of the checkpoint in a folder.

    Raises
    ------
    WeightsError
        If there is none, or it is damaged.
    """
    file = folder / WEIGHTS_FILE
    try:
        with safe_open(file, framework="pt") as stream:
            record: dict[str, Any] = dict(json.loads(stream.metadata()["record"]))
    except (OSError, SafetensorError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise WeightsError(
            "there is no checkpoint of a training here, or it is damaged",
            path=file,
            expected="a safetensors file that training wrote",
            found=str(error),
        ) from error
    return record


def save_best(folder: Path, objective: Objective) -> None:
    """Keep the weights of the best validation so far."""
    with replacing(folder / BEST_FILE) as temporary:
        save_file(_network(objective), temporary)


def load_best(folder: Path, objective: Objective) -> None:
    """Put the weights of the best validation into an objective."""
    file = folder / BEST_FILE
    with _resuming(file):
        objective.load_state_dict(_with_prefix(load_file(file), "net."))


def _network(objective: Objective) -> dict[str, torch.Tensor]:
    return {f"net.{name}": value.contiguous() for name, value in objective.state_dict().items()}


def _with_prefix(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}


def _as_json(options: TrainOptions) -> dict[str, Any]:
    described: dict[str, Any] = json.loads(json.dumps(asdict(options)))
    return described


def _check_same(record: Mapping[str, Any], objective: Objective, options: TrainOptions, folder: Path) -> None:
    asked = _as_json(options) | {"objective": objective.name, "learned_from": objective.learned_from()}
    # What an earlier version did not write was as it is by default.
    earlier = _as_json(TrainOptions()) | {"learned_from": []}
    stored = earlier | record["options"] | {key: record[key] for key in _BESIDE if key in record}
    wrong = [name for name in asked if name not in RESUMABLE and asked[name] != stored.get(name)]
    if wrong:
        raise WeightsError(
            "the checkpoint was made with other options",
            path=folder,
            expected=", ".join(f"{name}={stored.get(name)}" for name in wrong),
            found=", ".join(f"{name}={asked[name]}" for name in wrong),
            hint="choose another name or folder, or the same options",
        )
