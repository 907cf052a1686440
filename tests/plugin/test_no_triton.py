"""Triton stays out exactly where it would crash."""

from __future__ import annotations

import importlib
import sys

import pytest

from napari_nic.plugin.no_triton import keep_triton_out


@pytest.fixture
def maps(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "triton", raising=False)
    return tmp_path / "maps"


def test_beside_mesas_llvm_it_cannot_be_imported(maps, monkeypatch):
    maps.write_text("7f00-7f01 r-xp 00000000 08:01 12 /usr/lib/libLLVM-15.so.1\n")
    assert keep_triton_out(maps)
    assert keep_triton_out(maps), "a second time"
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("triton")
    monkeypatch.delitem(sys.modules, "triton")


def test_elsewhere_it_is_left_alone(maps):
    assert not keep_triton_out(maps)
    maps.write_text("7f00-7f01 r-xp 00000000 08:01 12 /usr/lib/libGLX_nvidia.so.0\n")
    assert not keep_triton_out(maps)
    assert "triton" not in sys.modules


def test_once_imported_it_is_left_alone(maps, monkeypatch):
    loaded = object()
    monkeypatch.setitem(sys.modules, "triton", loaded)
    maps.write_text("/usr/lib/libLLVM.so")
    assert not keep_triton_out(maps)
    assert sys.modules["triton"] is loaded
