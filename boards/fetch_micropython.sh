#!/bin/bash
# Gets MicroPython's source into .cache/micropython and prints the path of its tree.
#
#     boards/fetch_micropython.sh            # once; afterwards it only prints
#     MPY_DIR=~/micropython boards/fetch_micropython.sh    # use that tree, fetch nothing
#
# The source is Debian's source package of MicroPython 1.25.0 (see boards/debian_archive.sh).
set -eu

cache="$(cd "$(dirname "$0")/.." && pwd)/.cache/micropython"
tree="$cache/tree"
own='set MPY_DIR to the top of a MicroPython source tree (1.24 or newer)'

fail() {
    printf 'fetch_micropython: %s\n' "$*" >&2
    exit 1
}

. "$(dirname "$0")/debian_archive.sh"

is_tree() {
    [ -f "$1/py/dynruntime.mk" ] && [ -f "$1/tools/mpy_ld.py" ]
}

fetch() {
    open_archive "$cache/apt"
    rm -rf "$cache/new"
    mkdir "$cache/new"
    (cd "$cache/new" && apt-get "${apt_options[@]}" source micropython) >"$cache/log" 2>&1 ||
        fail "the source package could not be fetched: see $cache/log"
    # In place only when complete, so that an interrupted run is simply repeated.
    local unpacked=("$cache/new"/micropython-*/)
    is_tree "${unpacked[0]}" || fail "the source package does not hold a MicroPython tree: see $cache/log"
    rm -rf "$tree"
    mv "${unpacked[0]}" "$tree"
    rm -rf "$cache/new" "$cache/apt"
}

if [ -n "${MPY_DIR:-}" ]; then
    is_tree "$MPY_DIR" || fail "MPY_DIR=$MPY_DIR is not the top of a MicroPython source tree: py/dynruntime.mk is missing"
    tree="$(cd "$MPY_DIR" && pwd)"
elif ! is_tree "$tree"; then
    # Only one at a time: several builds may want it at once.
    mkdir -p "$cache"
    exec 9>"$cache/lock"
    flock 9
    is_tree "$tree" || fetch
fi
printf '%s\n' "$tree"
