"""The thread that touches a claim while its slide is worked on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from napari_nic.jobs import CancellationToken
from napari_nic.runs import claims


@contextmanager
def beating(claim: claims.Claim, token: CancellationToken) -> Iterator[None]:
    """Touch a claim for the length of a ``with`` block; `token` is cancelled if the claim is lost.

    Steps may load or compute for minutes without coming back, so it is not done between them.
    """
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(claims.BEAT_SECONDS):
            if not claim.touch():
                token.cancel()
                return

    thread = threading.Thread(target=beat, name="claim", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
