"""Keep Triton out of a process that already runs Mesa's LLVM.

Building any PyTorch optimiser imports ``torch._dynamo``, and that imports Triton where it is installed.
Triton brings an LLVM of its own; loaded beside the one that Mesa's OpenGL drivers have brought into a napari
window, it ends the program with a segmentation fault. Nothing here needs Triton: only ``torch.compile`` does.
"""

from __future__ import annotations

import sys
from pathlib import Path

MAPS = Path("/proc/self/maps")
"""What is loaded into this process; Linux, where alone Triton and Mesa meet."""


def keep_triton_out(maps: Path = MAPS) -> bool:
    """Let every later ``import triton`` fail cleanly if it would crash; return whether it does.

    Parameters
    ----------
    maps : Path
        The process' memory map.
    """
    if "triton" not in sys.modules and maps.is_file() and "libLLVM" in maps.read_text("utf-8", "replace"):
        # None makes Python's import raise ModuleNotFoundError, which PyTorch takes for "not installed".
        sys.modules["triton"] = None  # type: ignore[assignment]
    return "triton" in sys.modules and sys.modules["triton"] is None
