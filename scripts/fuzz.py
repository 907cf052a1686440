"""Open thousands of damaged files, and count crashes, hangs, tracebacks and silent wrong openings.

    python scripts/fuzz.py [--slides 2000] [--others 500] [--seed 0] [--workers 2]
        [--keep FOLDER] [--data FOLDER]

Mutants of slides of all readers, annotation files, documents of annotations, stores, model bundles, encoders
and features of other programs, made by code; the same seed makes the same mutants. Exit code 1 if
anything was found.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from fuzzing.campaign import Plan, run
from fuzzing.originals import KINDS, real_originals


def main() -> int:
    """Run a campaign and print what it found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--slides", type=int, default=2000)
    parser.add_argument("--others", type=int, default=500, help="mutants of each other kind")
    parser.add_argument("--only", choices=KINDS, help="one kind only")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="folder for mutants with faults")
    parser.add_argument("--data", type=Path, help="folder of real files, whose mutants are opened too")
    args = parser.parse_args()
    counts = {kind: args.slides if kind == "slide" else args.others for kind in KINDS}
    if args.only:
        counts = {args.only: counts[args.only]}
    start = time.monotonic()
    extra = real_originals(args.data) if args.data else ()
    plan = Plan(counts, args.seed, args.workers, args.keep, extra)
    tally = run(plan, tell=lambda line: print(line, flush=True))
    for line in tally.lines():
        print(line)
    print(f"seed {args.seed}, {time.monotonic() - start:.0f} s")
    return 1 if tally.faults else 0


if __name__ == "__main__":
    sys.exit(main())
