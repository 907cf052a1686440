"""A PyTorch file of one tensor, written in bounded memory: ``.pt`` as CLAM and slideflow train on."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from napari_nic.disk import replacing
from napari_nic.jobs import CancellationToken


@contextmanager
def new_tensor(
    path: Path, token: CancellationToken, *, columns: int = 0
) -> Iterator[Callable[[np.ndarray], None]]:
    """Yield ``add(rows)``; when all were added, they become a file that holds one tensor.

    Parameters
    ----------
    path : Path
        Appears when it is whole.
    token : CancellationToken
        Heard while the file is written.
    columns : int
        Of a tensor to which no row is added; otherwise taken from the rows, float32 (n, C).

    Notes
    -----
    The format wants all rows in one piece. They wait on disk, beside the file, and are mapped from there.
    """
    shape = [0, columns]
    with replacing(path) as temporary, tempfile.TemporaryFile(dir=temporary.parent) as waiting:

        def add(rows: np.ndarray) -> None:
            shape[:] = shape[0] + len(rows), rows.shape[1]
            waiting.write(np.ascontiguousarray(rows, np.float32).data)

        yield add
        waiting.flush()
        token.checkpoint()
        # Mapped for writing, of which nothing reaches the disk: PyTorch warns of what it may not write.
        whole = tuple(shape)
        rows = np.memmap(waiting, np.float32, "c", shape=whole) if shape[0] else np.empty(whole, np.float32)
        _save(rows, temporary, token)


def _save(rows: np.ndarray, path: Path, token: CancellationToken) -> None:
    import torch  # only these formats need it

    with path.open("wb", buffering=0) as file:
        kept = _KeptStream(file, token)
        # Not given the path: torch would put its (temporary) name into the file.
        torch.save(torch.from_numpy(rows), cast(IO[bytes], kept))
    if kept.error is not None:
        raise kept.error
    token.checkpoint()


class _KeptStream:
    """A stream that never fails: PyTorch tells a full disk, or a cancelled job, by errors of its own.

    After the first error, or once the job was cancelled, what is written is dropped.
    """

    def __init__(self, file: IO[bytes], token: CancellationToken) -> None:
        self._file, self._token = file, token
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        """Write all of it."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        try:
            while rest and self.error is None and not self._token.cancelled:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            self.error = error
        return size

    def flush(self) -> None:
        """Nothing waits here."""
