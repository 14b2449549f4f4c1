#!/bin/bash
# Checks that this machine has what `make setup` needs. As root on Debian or Ubuntu it installs what is missing;
# otherwise it says what to install.
set -eu

PYTHON=${PYTHON:-python3}
packages=()

fail() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

need() { # command, package
    command -v "$1" >/dev/null || packages+=("$2")
}

python_can() {
    "$PYTHON" -c "$1" 2>/dev/null
}

check_all() {
    packages=()
    need "$PYTHON" python3
    # Debian's python3 has the module venv, but not the pip that goes into a new environment.
    ! command -v "$PYTHON" >/dev/null || python_can 'import venv, ensurepip' || packages+=(python3-venv)
    need gcc gcc
    need make make
    echo '#include <stdlib.h>' | gcc -E - >/dev/null 2>&1 || packages+=(libc6-dev)
    if [ -z "${MPY_DIR:-}" ]; then
        need dpkg-source dpkg-dev
        [ -f /usr/share/keyrings/debian-archive-keyring.gpg ] || packages+=(debian-archive-keyring)
    fi
}

install_missing() {
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        fail "please install: ${packages[*]} (Debian's package names); then run make again"
    fi
    echo "setup: installing ${packages[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq install --no-install-recommends -y "${packages[@]}" >/dev/null 2>&1 ||
        { apt-get -qq update && apt-get -qq install --no-install-recommends -y "${packages[@]}" >/dev/null; } ||
        fail "apt-get could not install: ${packages[*]}"
}

[ "$PYTHON" = python3 ] || command -v "$PYTHON" >/dev/null || fail "there is no $PYTHON on this machine"
check_all
if [ ${#packages[@]} != 0 ]; then
    install_missing
    check_all
    [ ${#packages[@]} = 0 ] || fail "still missing after the installation: ${packages[*]}"
fi
python_can 'import sys; sys.exit(sys.version_info < (3, 10))' ||
    fail "$("$PYTHON" --version) is too old: smidgen needs Python 3.10; choose another with make PYTHON=python3.12"
