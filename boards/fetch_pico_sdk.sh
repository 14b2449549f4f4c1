#!/bin/bash
# Gets what MicroPython's RP2 port needs besides MicroPython: pico-sdk, tinyusb and mbedtls, into .cache/pico-sdk, and
# prints the path of the folder that holds them under these names.
#
#     boards/fetch_pico_sdk.sh            # once; afterwards it only prints
#
# They are Debian's packages pico-sdk-source 2.1.1, tinyusb-source 0.18 and the source of mbedtls 3.6, which fit
# MicroPython 1.25 (see boards/debian_archive.sh).
set -eu

cache="$(cd "$(dirname "$0")/.." && pwd)/.cache/pico-sdk"
own='set MPY_DIR to the top of a MicroPython source tree with its submodules lib/pico-sdk, lib/tinyusb and lib/mbedtls'

fail() {
    printf 'fetch_pico_sdk: %s\n' "$*" >&2
    exit 1
}

. "$(dirname "$0")/debian_archive.sh"

fetch() {
    open_archive "$cache/apt"
    rm -rf "$cache/new"
    mkdir "$cache/new"
    (
        cd "$cache/new" &&
            apt-get "${apt_options[@]}" download pico-sdk-source tinyusb-source &&
            apt-get "${apt_options[@]}" source mbedtls &&
            dpkg-deb -x pico-sdk-source_*.deb packages &&
            dpkg-deb -x tinyusb-source_*.deb packages
    ) >"$cache/log" 2>&1 || fail "the packages could not be fetched: see $cache/log"
    # In place only when complete, so that an interrupted run is simply repeated.
    mkdir "$cache/new/tree"
    mv "$cache/new/packages/usr/src/pico-sdk" "$cache/new/packages/usr/src/tinyusb" "$cache/new/tree"
    mv "$cache/new"/mbedtls-*/ "$cache/new/tree/mbedtls"
    rm -rf "$cache/tree"
    mv "$cache/new/tree" "$cache/tree"
    rm -rf "$cache/new" "$cache/apt"
}

[ -d "$cache/tree" ] || fetch
printf '%s\n' "$cache/tree"
