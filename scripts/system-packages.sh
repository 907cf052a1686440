#!/usr/bin/env bash
# Install the system packages that the window, the virtual screen and the virtual environment need.
# Debian and Ubuntu only; does nothing where all are there, and says what is missing where it may not install.
#   scripts/system-packages.sh [PACKAGE...]      PACKAGE: more packages to install with these
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# Qt's xcb platform, OpenGL in software, fonts, and a virtual screen for tests and pictures.
packages=(
    ca-certificates
    libdbus-1-3 libegl1 libfontconfig1 libgl1 libgl1-mesa-dri libglib2.0-0
    libxcb-cursor0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0 libxcb-render-util0
    libxcb-shape0 libxcb-xinerama0 libxkbcommon-x11-0
    xauth xvfb
    "$@"
)

if ! command -v apt-get > /dev/null || ! command -v dpkg-query > /dev/null; then
    if [ "$(uname)" = Linux ]; then
        echo "note: not a Debian or Ubuntu system, so no system packages are installed. If the window does" >&2
        echo "      not open, install what these names stand for here: ${packages[*]}" >&2
    fi
    exit 0
fi

# Debian ships Python without its venv part.
if python=$("$here/python.sh" 2> /dev/null); then
    if ! "$python" -c 'import ensurepip, venv' 2> /dev/null; then
        packages+=("python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv")
    fi
else
    packages+=(python3 python3-venv)
fi

installed() { # a package of that name, or one that took its place (libglib2.0-0t64 for libglib2.0-0)
    local states
    states=$(dpkg-query -W -f '${db:Status-Status}\n' "$1" "$1t64" 2> /dev/null || true)
    grep -qx installed <<< "$states"
}

missing=()
for package in "${packages[@]}"; do
    installed "$package" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

root=()
if [ "$(id -u)" -ne 0 ]; then
    # With a terminal sudo may ask for the password; without one it must not need it.
    if command -v sudo > /dev/null && { [ -t 0 ] || sudo -n true 2> /dev/null; }; then
        root=(sudo)
    else
        echo "note: these system packages are missing and may only be installed by root:" >&2
        echo "      apt-get install ${missing[*]}" >&2
        echo "      Going on without them; what needs a window or a new environment may fail." >&2
        exit 0
    fi
fi

echo "Installing system packages: ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! {
    "${root[@]}" apt-get update -qq &&
        "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}"
} > "$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "error: apt-get could not install: ${missing[*]}" >&2
    exit 1
fi
