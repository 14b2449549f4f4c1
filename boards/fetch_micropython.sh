#!/bin/bash
# Gets MicroPython's source into .cache/micropython and prints the path of its tree.
#
#     boards/fetch_micropython.sh            # once; afterwards it only prints
#     MPY_DIR=~/micropython boards/fetch_micropython.sh    # use that tree, fetch nothing
#
# The source is Debian's source package of MicroPython 1.25.0, from the released suite "trixie", which does not change.
# It comes from the archive this machine already uses, as an ordinary user, into a private apt state in the cache, and
# apt checks its signature. Nothing on the machine outside .cache is changed (except that root's empty package lists
# are filled).
set -eu

SUITE=trixie
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
cache="$(cd "$(dirname "$0")/.." && pwd)/.cache/micropython"
tree="$cache/tree"

fail() {
    printf 'fetch_micropython: %s\n' "$*" >&2
    exit 1
}

is_tree() {
    [ -f "$1/py/dynruntime.mk" ] && [ -f "$1/tools/mpy_ld.py" ]
}

archive_address() {
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 2>/dev/null |
        grep -v security | sort -u | head -n 1
}

check_tools() {
    local own='set MPY_DIR to the top of a MicroPython source tree (1.24 or newer)'
    command -v apt-get >/dev/null || fail "this machine has no apt-get: $own"
    command -v dpkg-source >/dev/null || fail "dpkg-source is missing: install the package dpkg-dev, or $own"
    [ -f $KEYRING ] || fail "Debian's archive keys are missing: install the package debian-archive-keyring, or $own"
}

# Says in $address where this machine gets Debian from.
find_archive() {
    address=$(archive_address)
    if [ -z "$address" ] && [ "$(id -u)" = 0 ]; then
        apt-get -qq update || fail 'apt-get update failed'
        address=$(archive_address)
    fi
    [ -n "$address" ] || fail "apt knows no Debian archive: run 'apt-get update' as root; on another distribution set" \
        'MPY_DIR to the top of a MicroPython source tree (1.24 or newer)'
}

fetch() {
    mkdir -p "$cache/apt/lists/partial" "$cache/apt/cache/archives/partial"
    printf 'deb-src [signed-by=%s] %s %s main\n' $KEYRING "$address" $SUITE >"$cache/apt/sources.list"
    # APT::Sandbox::User is empty because apt's own user may not write here.
    local options=(
        -qq
        -o "Dir::Etc::sourcelist=$cache/apt/sources.list"
        -o Dir::Etc::sourceparts=-
        -o "Dir::State::lists=$cache/apt/lists"
        -o "Dir::Cache=$cache/apt/cache"
        -o APT::Sandbox::User=
    )
    apt-get "${options[@]}" update || fail "could not read Debian's $SUITE from $address"
    rm -rf "$cache/new"
    mkdir "$cache/new"
    (cd "$cache/new" && apt-get "${options[@]}" source micropython) >"$cache/log" 2>&1 ||
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
    check_tools
    find_archive
    fetch
fi
printf '%s\n' "$tree"
