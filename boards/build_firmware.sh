#!/bin/bash
# Builds MicroPython firmware for the virtual boards, and for a Pico with smidgen inside: .cache/firmware/<board>/
#
#     boards/build_firmware.sh                                # all that the virtual boards need
#     boards/build_firmware.sh cortex-m3 riscv                # those that are named
#     boards/build_firmware.sh pico-smidgen --romfs kws.smg   # also firmware-romfs.uf2, with models in flash
#
#     pico           firmware.uf2   MicroPython's RP2 port for the Raspberry Pi Pico, nothing added
#     pico-smidgen   firmware.uf2   the same with smidgen inside and a ROMFS partition
#     cortex-m3      firmware.elf   for QEMU's mps2-an385
#     cortex-m4      firmware.elf   for QEMU's mps2-an386
#     riscv          firmware.elf   for QEMU's riscv32 virt
#
# Only what has changed is built. The sources are MicroPython's, as boards/fetch_micropython.sh finds them (MPY_DIR), and
# for a Pico those of boards/fetch_pico_sdk.sh if MicroPython's tree comes without these submodules. Nothing is written
# into either. What is known about each firmware is in boards/firmware/README.md.
set -eu

root="$(cd "$(dirname "$0")/.." && pwd)"
cache="$root/.cache/firmware"
jobs=${JOBS:-2}

fail() {
    printf 'build_firmware: %s\n' "$*" >&2
    exit 1
}

boards=()
romfs=()
while [ $# != 0 ]; do
    case $1 in
    pico | pico-smidgen | cortex-m3 | cortex-m4 | riscv) boards+=("$1") ;;
    --romfs)
        shift
        [ $# != 0 ] || fail '--romfs needs the files or folders that the ROMFS shall hold'
        romfs=("$@")
        break
        ;;
    *) fail "unknown board $1; there are: pico pico-smidgen cortex-m3 cortex-m4 riscv" ;;
    esac
    shift
done
[ ${#boards[@]} != 0 ] || boards=(pico cortex-m3 cortex-m4 riscv)
[ ${#romfs[@]} = 0 ] || [ "${boards[*]}" = pico-smidgen ] ||
    fail '--romfs is for pico-smidgen; QEMU loads a ROMFS itself (see boards/firmware/README.md)'

# Only one at a time: tests may ask for the same firmware at once.
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9

tree=$("$root/boards/fetch_micropython.sh")
export PATH="$root/.venv/bin:$PATH"

# MicroPython's makefiles do not work in a path with spaces: build elsewhere then.
sources=$root work=$cache/work
case $root in
*[[:space:]]*)
    sources=$(mktemp -d)
    trap 'rm -rf "$sources"' EXIT
    work=$sources/work
    cp -R "$root/boards" "$root/native" "$root/device" "$sources"
    ;;
esac
micropython=$work/micropython
export MICROPY_MPYCROSS=$work/mpy-cross/mpy-cross

# Without a repository of its own, MicroPython would take the project's for its version.
if [ ! -e "$tree/.git" ]; then
    MICROPY_GIT_TAG=v$(sed -n 's/^#define MICROPY_VERSION_M[A-Z]* //p' "$tree/py/mpconfig.h" | paste -sd .)
    export MICROPY_GIT_TAG MICROPY_GIT_HASH=unknown
fi

# MicroPython's sources, by their places and times: too many to read.
micropython_key() {
    (cd "$tree" && find -H py extmod shared drivers lib tools mpy-cross ports/rp2 ports/qemu \
        \( -path '*/build*' -o -name __pycache__ \) -prune -o -type f -printf '%p %s %T@\n' | sort | cat - <(pwd) | sha256sum)
}

# The project's sources that go into a board's firmware, by their contents.
board_key() { # board
    local folders=("boards/firmware/$1" boards/build_firmware.sh)
    case $1 in
    pico-smidgen) folders+=(boards/firmware/pico native device) ;;
    pico) ;;
    *) folders+=(boards/firmware/qemu) ;;
    esac
    (cd "$root" && find "${folders[@]}" -type f ! -name '*.pyc' -print0 | sort -z | xargs -0 sha256sum)
}

# A tree with MicroPython's layout in which the submodules are where its makefiles look. Only links, except for the
# folders in which a makefile finds the others by `..`.
link_sources() {
    local pico_sdk='' name path
    [ "$(cat "$work/key" 2>/dev/null)" != "$tree_key" ] || return 0
    rm -rf "$work"
    mkdir -p "$micropython/lib"
    tar -C "$tree" --exclude='build*' -cf - mpy-cross ports/rp2 ports/qemu | tar -C "$micropython" -xf -
    for path in "$tree"/*; do
        name=${path##*/}
        [ -e "$micropython/$name" ] || ln -s "$path" "$micropython/$name"
    done
    for path in "$tree"/lib/*; do
        name=${path##*/}
        case $name in
        pico-sdk | tinyusb | mbedtls)
            if [ ! -e "$path/CMakeLists.txt" ] && [ ! -e "$path/src/CMakeLists.txt" ]; then
                [ -n "$pico_sdk" ] || pico_sdk=$("$root/boards/fetch_pico_sdk.sh")
                path=$pico_sdk/$name
            fi
            ;;
        micropython-lib) # not used, but its absence would be refused
            if [ ! -e "$path/README.md" ]; then
                mkdir "$micropython/lib/$name"
                touch "$micropython/lib/$name/README.md"
                continue
            fi
            ;;
        esac
        ln -s "$path" "$micropython/lib/$name"
    done
    make --no-print-directory -j "$jobs" -C "$micropython/mpy-cross" BUILD="$work/mpy-cross" >"$cache/mpy-cross.log" 2>&1 || {
        tail -n 20 "$cache/mpy-cross.log" >&2
        fail "MicroPython's compiler mpy-cross could not be built; the whole log is $cache/mpy-cross.log"
    }
    printf '%s\n' "$tree_key" >"$work/key"
}

build_rp2() { # board
    local definition=$sources/boards/firmware/$1 options=()
    case $1 in
    pico) options=(-DMICROPY_BOARD=RPI_PICO -DMICROPY_FROZEN_MANIFEST="$definition/manifest.py") ;;
    *) options=(-DMICROPY_BOARD="$1" -DMICROPY_BOARD_DIR="$definition") ;;
    esac
    cmake -S "$micropython/ports/rp2" -B "$work/$1" -DPICO_NO_PICOTOOL=1 "${options[@]}" &&
        make --no-print-directory -j "$jobs" -C "$work/$1" &&
        python3 "$micropython/tools/uf2conv.py" -f 0xe48bff56 -b 0x10000000 -c -o "$work/$1/firmware.uf2" \
            "$work/$1/firmware.bin"
}

build_qemu() { # board
    rm -rf "${work:?}/$1" # its makefile does not see all that changes
    make --no-print-directory -j "$jobs" -C "$micropython/ports/qemu" BOARD="$1" BUILD="$work/$1" \
        BOARD_DIR="$sources/boards/firmware/$1" FROZEN_MANIFEST="$sources/boards/firmware/qemu/manifest.py"
}

build() { # board
    local output=$cache/$1 port=qemu image=firmware.elf key
    case $1 in pico*) port=rp2 image=firmware.uf2 ;; esac
    key=$(printf '%s\n' "$tree_key" && board_key "$1")
    [ ! -f "$output/$image" ] || [ "$(cat "$output/key" 2>/dev/null)" != "$key" ] || return 0
    printf 'build_firmware: %s, about a minute\n' "$1" >&2
    link_sources
    mkdir -p "$output"
    rm -f "$output/$image" "$output/key"
    build_$port "$1" >"$output/log" 2>&1 || {
        tail -n 20 "$output/log" >&2
        fail "the firmware for $1 could not be built; the whole log is $output/log. Is a compiler missing?" \
            "'boards/check_tools.sh boards' says so"
    }
    cp "$work/$1/$image" "$output/$image.new"
    mv "$output/$image.new" "$output/$image" # in place only when complete
    printf '%s\n' "$key" >"$output/key"
}

tree_key=$(micropython_key)
for board in "${boards[@]}"; do
    build "$board"
done
if [ ${#romfs[@]} != 0 ]; then
    python3 "$root/boards/add_romfs.py" "$cache/pico-smidgen/firmware.uf2" "$cache/pico-smidgen/firmware-romfs.uf2" \
        "${romfs[@]}" || fail 'the ROMFS could not be added'
fi
