"""Write constraints.txt: the newest versions that fit together, for Python 3.11 and for 3.12 and newer.

    python scripts/make_constraints.py /path/to/python3.11 /path/to/python3.12 > new.txt
    python scripts/make_constraints.py --keep /path/to/python3.11 /path/to/python3.12 > new.txt

With ``--keep`` what is pinned stays as it is, and only what is missing is added, for a new dependency.
The first interpreter is best the oldest 3.11 in use (Debian 12 has 3.11.2): some packages want a later one.
Each interpreter resolves a clean install of ``.[dev]`` without installing anything. torchvision is no
dependency, but it works with exactly one torch only, so a matching pair is pinned for those who add it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = """\
# Versions that were tested together; used by make, and by hand: pip install -c constraints.txt ".[all]"
# Made by scripts/make_constraints.py. torch and torchvision are a matching pair.
"""


def resolve(python: str, *, keep: bool) -> dict[str, str]:
    """Return name -> version of everything that `python` would install."""
    command = [python, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet", "--report", "-"]
    if keep:
        command += ["-c", str(ROOT / "constraints.txt")]
    answer = subprocess.run(
        [*command, f"{ROOT}[dev]", "torchvision"], check=True, stdout=subprocess.PIPE, text=True
    )
    found = (item["metadata"] for item in json.loads(answer.stdout)["install"])
    versions = {item["name"].lower().replace("_", "-"): item["version"] for item in found}
    del versions["napari-nic"]
    return versions


def merge(old: dict[str, str], new: dict[str, str]) -> list[str]:
    """Return one line per package, two where Python 3.11 and newer ones need different versions."""
    lines = []
    for name in sorted(old | new):
        if name in old and name in new and old[name] != new[name]:
            lines.append(f'{name}=={old[name]}; python_version < "3.12"')
            lines.append(f'{name}=={new[name]}; python_version >= "3.12"')
        else:
            lines.append(f"{name}=={old.get(name) or new[name]}")
    return lines


if __name__ == "__main__":
    pythons = [argument for argument in sys.argv[1:] if argument != "--keep"]
    if len(pythons) != 2:
        sys.exit(__doc__)
    rows = [resolve(python, keep="--keep" in sys.argv) for python in pythons]
    sys.stdout.write(HEADER + "\n".join(merge(*rows)) + "\n")
