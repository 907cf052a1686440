#!/usr/bin/env bash
# Make the virtual environment and install the project in it with pinned packages.
#   scripts/venv.sh EXTRA [FOLDER]      EXTRA: all (to use it), dev (to work on it), or lint (what looks at
#                                       the source alone; the project itself is not installed)
# A stamp holds the hash of what was asked for, so that a second run does nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
extra=$1
venv=${2:-.venv}

python=$(scripts/python.sh)
wanted=$("$python" -c '
import hashlib, sys
digest = hashlib.sha256(sys.version.encode())
for name in ("pyproject.toml", "constraints.txt"):
    digest.update(open(name, "rb").read())
print(digest.hexdigest())')

for done in "$venv/.installed-$extra" "$venv/.installed-dev"; do # dev holds all
    if [ -x "$venv/bin/python" ] && [ "$(cat "$done" 2> /dev/null)" = "$wanted" ]; then exit 0; fi
done

# A half-made or foreign environment is made anew; one of the same Python is brought up to date.
rm -f "$venv"/.installed-*
version='import sys; print(sys.version)'
if [ "$("$venv/bin/python" -c "$version" 2> /dev/null)" != "$("$python" -c "$version")" ] ||
    ! "$venv/bin/python" -m pip --version > /dev/null 2>&1; then
    "$python" -m venv --clear "$venv"
fi

if [ "$extra" = lint ]; then
    what=(import-linter ruff)
    echo "Installing ${what[*]} into $venv"
else
    what=(--editable ".[$extra]")
    echo "Installing pinned Python packages into $venv (PyTorch is large: some minutes the first time)"
fi
if ! "$venv/bin/python" -m pip install --disable-pip-version-check --timeout 60 --retries 5 \
    --constraint constraints.txt "${what[@]}" > "$venv/install.log" 2>&1; then
    tail -n 20 "$venv/install.log" >&2
    echo "error: the Python packages could not be installed; all of pip's output is in $venv/install.log" >&2
    exit 1
fi
echo "$wanted" > "$venv/.installed-$extra"
