"""What must not be missed reaches whoever listens, and nobody else."""

from __future__ import annotations

from napari_nic.telling import Event, LeftOut, Notices, tell, telling


def test_the_innermost_listener_hears() -> None:
    outer: list[Event] = []
    inner: list[Event] = []
    tell(LeftOut("nobody", "listens"))
    with telling(outer.append):
        tell(LeftOut("a", "damaged"))
        with telling(inner.append):
            tell(Notices("b", ("its size is odd",)))
        with telling(None):
            tell(LeftOut("c", "silence"))
        tell(LeftOut("d", "empty"))
    assert outer == [LeftOut("a", "damaged"), LeftOut("d", "empty")]
    assert inner == [Notices("b", ("its size is odd",))]
