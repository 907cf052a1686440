#!/usr/bin/env bash
# Run the tests in two processes at once, which two cores take little more than half as long for: those of the
# window, whose output is shown at the end, and all others. Each has a screen of its own.
#   scripts/tests.sh PYTHON [OPTIONS OF PYTEST]
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=$1
shift

log=$(mktemp)
trap 'kill "$window" 2> /dev/null; rm -f "$log"' EXIT
FIRST_SCREEN=150 scripts/with-screen.sh "$python" -m pytest -p no:cacheprovider "$@" tests/plugin > "$log" 2>&1 &
window=$!

scripts/with-screen.sh "$python" -m pytest --ignore=tests/plugin "$@"
others=$?
wait "$window"
code=$?
cat "$log"
[ "$code" -eq 0 ] || exit "$code"
exit "$others"
