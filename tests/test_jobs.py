"""Progress and the token that pauses and cancels."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from napari_nic.errors import CancelledError
from napari_nic.jobs import CancellationToken, Progress


@pytest.mark.parametrize(("done", "total", "fraction"), [(0, 4, 0.0), (1, 4, 0.25), (4, 4, 1.0), (3, 0, 0.0)])
def test_fraction(done, total, fraction):
    assert Progress(done, total).fraction == fraction


def test_a_fresh_token_lets_pass():
    token = CancellationToken()
    token.checkpoint()
    assert not token.cancelled
    assert not token.paused


def test_cancelling():
    token = CancellationToken()
    token.cancel()
    assert token.cancelled
    with pytest.raises(CancelledError, match="resume"):
        token.checkpoint()


def test_a_cancelled_job_cannot_be_paused():
    token = CancellationToken()
    token.cancel()
    token.pause()
    assert not token.paused
    with pytest.raises(CancelledError):
        token.checkpoint()


def run_paused(then: str) -> tuple[bool, bool]:
    """Pause, let four threads come to a checkpoint, then call a method; (any done before, cancelled)."""
    token = CancellationToken()
    token.pause()
    assert token.paused
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(token.checkpoint) for _ in range(4)]
        passed, _ = wait(waiting, timeout=0.05)
        getattr(token, then)()
        wait(waiting, timeout=10)
        return bool(passed), all(isinstance(future.exception(), CancelledError) for future in waiting)


def test_pausing_holds_until_resumed():
    assert run_paused("resume") == (False, False)


def test_cancelling_wakes_a_paused_job():
    assert run_paused("cancel") == (False, True)
