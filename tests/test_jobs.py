"""Progress and the token that pauses and cancels."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from napari_nic.errors import CancelledError
from napari_nic.jobs import CancellationToken, Outcome, Progress, checked, result_of


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


def test_a_child_hears_its_parent_and_not_the_other_way_round():
    parent = CancellationToken()
    child = CancellationToken(parent)
    parent.pause()
    assert child.paused
    child.cancel()
    assert child.cancelled
    assert not parent.cancelled
    parent.resume()
    parent.checkpoint()
    assert CancellationToken(child).cancelled


def test_cancelling_a_child_wakes_its_threads_while_the_parent_stays_paused():
    parent = CancellationToken()
    child = CancellationToken(parent)
    parent.pause()
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(child.checkpoint) for _ in range(2)]
        child.cancel()
        assert not wait(waiting, timeout=10).not_done
    assert all(isinstance(future.exception(), CancelledError) for future in waiting)
    assert parent.paused


def test_a_pause_is_told_once_when_the_first_thread_waits():
    parent = CancellationToken()
    child = CancellationToken(parent)
    told = threading.Semaphore(0)
    parent.when_heard(told.release)
    parent.pause()
    assert not parent.heard
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(child.checkpoint) for _ in range(2)]
        assert told.acquire(timeout=10)
        assert parent.heard
        parent.resume()
        assert not wait(waiting, timeout=10).not_done
    assert not told.acquire(blocking=False)
    assert not parent.heard


def test_a_loop_ends_at_the_item_after_cancelling():
    token = CancellationToken()
    items = checked(range(5), token)
    assert [next(items), next(items)] == [0, 1]
    token.cancel()
    with pytest.raises(CancelledError):
        next(items)
    assert list(checked(range(3), None)) == [0, 1, 2]


def test_a_child_comes_to_its_parents_checkpoint_too():
    """So a token that counts, or that ends at its n-th checkpoint, works for threads of its job too."""

    class Third(CancellationToken):
        seen = 0

        def checkpoint(self):
            self.seen += 1
            if self.seen == 3:
                self.pause()
            super().checkpoint()

    parent = Third()
    child = CancellationToken(CancellationToken(parent))
    child.checkpoint()
    child.checkpoint()
    heard = threading.Event()
    parent.when_heard(heard.set)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(child.checkpoint)  # is paused within its parent's checkpoint
        assert heard.wait(10)
        child.cancel()
        assert isinstance(waiting.exception(timeout=10), CancelledError)
    assert parent.paused


def counting_job(token=None):
    for done in range(1, 4):
        if token is not None:
            token.checkpoint()
        yield Progress(done, 3)
    return "the result"


def test_a_job_that_reports_can_be_run_for_its_result_alone():
    assert result_of(counting_job()) == "the result"
    outcome = Outcome(counting_job())
    assert [report.done for report in outcome] == [1, 2, 3]
    assert outcome.value == "the result"


def test_a_cancelled_job_has_no_result():
    token = CancellationToken()
    token.cancel()
    with pytest.raises(CancelledError):
        result_of(counting_job(token))
