"""The toy slides and models of the slide models' tests."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

_FILE = Path(__file__).parents[1] / "slide_models" / "conftest.py"
_SPEC = spec_from_file_location("slide_models_conftest", _FILE)
assert _SPEC is not None
assert _SPEC.loader is not None
_MODULE = module_from_spec(_SPEC)
_SPEC.loader.exec_module(_MODULE)

toys = _MODULE.toys
one_thread = _MODULE.one_thread
