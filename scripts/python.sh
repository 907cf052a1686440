#!/usr/bin/env bash
# Print the path of a Python that is new enough: $PYTHON if set, else the first fit on the PATH.
set -euo pipefail

for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    if path=$(command -v "$candidate") &&
        "$path" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then
        echo "$path"
        exit 0
    fi
done
echo "Python 3.11 or newer is needed and was not found${PYTHON:+ at PYTHON=$PYTHON}." >&2
echo "Install it, or name it: make PYTHON=/path/to/python3.12 ..." >&2
exit 1
