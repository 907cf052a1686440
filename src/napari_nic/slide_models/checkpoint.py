"""The state of a training between two epochs in one file; only imported when a model is trained."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from napari_nic.disk import replacing
from napari_nic.errors import NicError, WeightsError

_ENTRY = "napari_nic"
_SEPARATOR = "/"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Tensors by name, grouped, and a record of all else.

    Attributes
    ----------
    tensors : mapping of str to mapping of str to Tensor
        Groups of tensors: the network, the optimiser, the best network.
    record : mapping
        What JSON can hold: counters, history, and what the training was asked to do.
    """

    tensors: Mapping[str, Mapping[str, torch.Tensor]]
    record: Mapping[str, Any]

    def save(self, file: Path) -> None:
        """Replace the file as a whole, so that one that is there is always good.

        Raises
        ------
        StoreError
            If it cannot be written; the older one is kept.
        """
        flat = {
            f"{group}{_SEPARATOR}{name}": tensor.detach().cpu().contiguous()
            for group, tensors in self.tensors.items()
            for name, tensor in tensors.items()
        }
        with replacing(file) as temporary:
            save_file(flat, temporary, metadata={_ENTRY: json.dumps(self.record)})

    @classmethod
    def load(cls, file: Path) -> Self | None:
        """Read a checkpoint; None if there is none.

        Raises
        ------
        WeightsError
            If the file is damaged.
        """
        if not file.is_file():
            return None
        tensors: dict[str, dict[str, torch.Tensor]] = {}
        try:
            with safe_open(file, framework="pt") as content:
                record = json.loads(content.metadata()[_ENTRY])
                for key in content.keys():  # noqa: SIM118 - no mapping, it only has this method
                    group, _, name = key.partition(_SEPARATOR)
                    tensors.setdefault(group, {})[name] = content.get_tensor(key)
        except (SafetensorError, OSError, LookupError, TypeError, ValueError, RecursionError) as error:
            raise _damaged(file, error) from error
        return cls(tensors, record)


@contextmanager
def resuming(file: Path) -> Iterator[None]:
    """Say that a checkpoint is damaged where what it holds does not fit the training."""
    try:
        yield
    except NicError:
        raise
    except (LookupError, TypeError, ValueError, RuntimeError, AttributeError, OverflowError) as error:
        raise _damaged(file, error) from error


def _damaged(file: Path, error: Exception) -> WeightsError:
    return WeightsError(
        "the checkpoint of the training is damaged",
        path=file,
        found=(str(error).splitlines() or [type(error).__name__])[0],
        hint="delete it to train from the start",
    )


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """Flatten an optimiser's moments to ``"parameter.moment"``."""
    states = optimiser.state_dict()["state"]
    return {
        f"{index}.{name}": torch.as_tensor(value)
        for index, state in states.items()
        for name, value in state.items()
    }


def restore_optimiser(
    optimiser: torch.optim.Optimizer, tensors: Mapping[str, torch.Tensor], learning_rate: float
) -> None:
    """Put moments and the learning rate back."""
    states: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in tensors.items():
        index, _, name = key.partition(".")
        states.setdefault(int(index), {})[name] = value
    groups = [group | {"lr": learning_rate} for group in optimiser.state_dict()["param_groups"]]
    optimiser.load_state_dict({"state": states, "param_groups": groups})
