"""Consent is each test's own, in this process too."""

from __future__ import annotations

import pytest

from napari_nic.encoders.external import trust


@pytest.fixture(autouse=True)
def no_consent(monkeypatch):
    """Forget what other tests let run."""
    monkeypatch.setattr(trust, "_given", set())
