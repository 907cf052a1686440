#!/usr/bin/env bash
# Show the demonstration: in a window where there is a screen, else as pictures and arrays in demo-output/.
#   scripts/demo.sh [FOLDER of the virtual environment]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv=${1:-.venv}

# A variable that names a screen is no proof: only a window system that answers is one.
screen() {
    { [ "$(uname)" != Linux ] || [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; } &&
        "$venv/bin/python" -c 'from PySide6.QtGui import QGuiApplication as A; A([])' > /dev/null 2>&1
}

if screen; then
    exec "$venv/bin/napari-nic" demo
fi
echo "No screen found: the demonstration goes to demo-output/"
exec scripts/with-screen.sh "$venv/bin/napari-nic" demo --offscreen --out demo-output
