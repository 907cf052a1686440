#!/usr/bin/env bash
# Run a command on a virtual screen of its own where one can be had, else as it is.
set -euo pipefail

if command -v xvfb-run > /dev/null; then
    # Qt must not prefer a Wayland session of the desktop over the virtual screen.
    unset WAYLAND_DISPLAY
    export QT_QPA_PLATFORM=xcb
    # Two that look for a free screen at the same moment must not begin at one number.
    exec xvfb-run -a -n "${FIRST_SCREEN:-99}" -s "-screen 0 1600x1000x24" "$@"
fi
if [ "$(uname)" = Linux ] && [ -z "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then
    echo "note: no screen and no xvfb-run" >&2
fi
exec "$@"
