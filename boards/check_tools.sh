#!/bin/bash
# Checks that this machine has what `make setup` needs. As root on Debian or Ubuntu it installs what is missing;
# otherwise it says what to install.
#
#     boards/check_tools.sh            # for the Python package and sim:unix
#     boards/check_tools.sh boards     # also for the other virtual boards (compilers of their processors, QEMU), and the
#                                      # browser in which tests look at reports
set -eu

PYTHON=${PYTHON:-python3}
scope=${1:-}
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
    [ "$scope" != boards ] || check_boards
}

has_header() { # header, command with options
    echo "#include <$1>" | "${@:2}" -E - >/dev/null 2>&1
}

check_boards() {
    need cmake cmake
    need arm-none-eabi-gcc gcc-arm-none-eabi
    has_header stdlib.h arm-none-eabi-gcc || packages+=(libnewlib-arm-none-eabi)
    has_header cstdlib arm-none-eabi-g++ -x c++ || packages+=(libstdc++-arm-none-eabi-newlib)
    need riscv64-unknown-elf-gcc gcc-riscv64-unknown-elf
    has_header stdlib.h riscv64-unknown-elf-gcc -specs=picolibc.specs || packages+=(picolibc-riscv64-unknown-elf)
    need qemu-system-arm qemu-system-arm
    need qemu-system-riscv32 qemu-system-misc
    need chromium chromium
    [ -d /usr/share/fonts/truetype ] || packages+=(fonts-dejavu-core)
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

case $scope in '' | boards) ;; *) fail "unknown argument $scope; there is only: boards" ;; esac
[ "$PYTHON" = python3 ] || command -v "$PYTHON" >/dev/null || fail "there is no $PYTHON on this machine"
check_all
if [ ${#packages[@]} != 0 ]; then
    install_missing
    check_all
    [ ${#packages[@]} = 0 ] || fail "still missing after the installation: ${packages[*]}"
fi
python_can 'import sys; sys.exit(sys.version_info < (3, 10))' ||
    fail "$("$PYTHON" --version) is too old: smidgen needs Python 3.10; choose another with make PYTHON=python3.12"
