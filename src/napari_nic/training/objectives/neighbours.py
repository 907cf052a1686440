"""How well codes tell labelled patches of slides that training never saw: by their nearest neighbours."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from napari_nic.patches import PatchBatch

NEIGHBOURS = 10


def neighbour_accuracy(
    known: torch.Tensor,
    known_sets: Sequence[PatchBatch],
    asked: torch.Tensor,
    asked_sets: Sequence[PatchBatch],
) -> float:
    """Return the balanced accuracy of nearest neighbours, the mean over the sets with labels.

    Parameters
    ----------
    known, asked : Tensor, (n, C) and (m, C)
        Codes of training and of held-out patches, of all sets in order.
    known_sets, asked_sets : sequence of PatchBatch
        The sets' patches and labels, in the same order.
    """
    found, start, begin = [], 0, 0
    for one, other in zip(known_sets, asked_sets, strict=True):
        end, stop = start + len(one.images), begin + len(other.images)
        if one.labels is not None and other.labels is not None:
            said = neighbour_labels(known[start:end], torch.from_numpy(one.labels), asked[begin:stop])
            found.append(balanced_accuracy(said, torch.from_numpy(other.labels)))
        start, begin = end, stop
    return sum(found) / len(found)


def neighbour_labels(known: torch.Tensor, labels: torch.Tensor, asked: torch.Tensor) -> torch.Tensor:
    """Return the commonest label among the nearest patches of each, (m,); codes are standardised first."""
    mean, spread = known.mean(0), known.std(0).clamp(min=1e-6)
    distances = torch.cdist((asked - mean) / spread, (known - mean) / spread)
    nearest = distances.topk(min(NEIGHBOURS, len(known)), largest=False).indices.cpu()
    votes = torch.nn.functional.one_hot(labels[nearest], int(labels.max()) + 1).sum(1)
    return votes.argmax(1)


def balanced_accuracy(said: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the mean over the classes that are there of the share that is told right."""
    shares = [(said[labels == label] == label).float().mean() for label in labels.unique()]
    return float(torch.stack(shares).mean())
