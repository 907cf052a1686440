"""How long ``napari-nic --help`` and ``import napari_nic`` take, each in a fresh process.

python benchmarks/startup.py [--runs 20]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

AIM_SECONDS = 0.4
CASES = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import napari_nic": [sys.executable, "-c", "import napari_nic"],
    "napari-nic --help": [sys.executable, "-m", "napari_nic.cli", "--help"],
}


def seconds_of(command: list[str]) -> float:
    """Return the wall time of one run."""
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    """Print the median and the slowest of several runs of each case."""
    parser = argparse.ArgumentParser(description="Time the start of the program.")
    parser.add_argument("--runs", type=int, default=20)
    runs = parser.parse_args().runs
    for name, command in CASES.items():
        seconds_of(command)  # fills the file cache
        times = [seconds_of(command) for _ in range(runs)]
        print(f"{name:20}  median {statistics.median(times):.3f} s, slowest {max(times):.3f} s")
    print(f"aim for --help: under {AIM_SECONDS} s")


if __name__ == "__main__":
    main()
