#!/bin/bash
# Makes a compiler for xtensawin (ESP32, ESP32-S2, ESP32-S3) in .cache/xtensa, for machines without Espressif's, and
# prints how the names of its programs begin, as CROSS wants it.
#
#     boards/xtensa_compiler.sh            # once, 120 MB to download; afterwards it only prints
#
# It is Debian's compiler for another Xtensa processor, that of the ESP8266, with a plugin that says what to compile for:
# boards/xtensa_core.c. It comes with the libraries it needs, because this machine may have an older release of Debian
# than it (see boards/debian_archive.sh). It has no libgcc: what needs one does not link.
set -eu

boards="$(cd "$(dirname "$0")" && pwd)"
xtensa="$(dirname "$boards")/.cache/xtensa"
new="$xtensa.new"
own="install Espressif's compiler and let CROSS say how it is called"

fail() {
    printf 'xtensa_compiler: %s\n' "$*" >&2
    exit 1
}

. "$boards/debian_archive.sh"

download() {
    open_archive "$new/apt"
    mkdir "$new/packages"
    cd "$new/packages"
    apt-get "${apt_options[@]}" download gcc-xtensa-lx106 binutils-xtensa-lx106 picolibc-xtensa-lx106-elf \
        binutils-source libc6 libgcc-s1 libgmp10 libisl23 libmpc3 libmpfr6 libstdc++6 libzstd1 zlib1g
    apt-get "${apt_options[@]}" source --download-only qemu
}

# Of each package, what is needed: programs, their libraries, headers, and tables of instructions. The compiler's libgcc
# is for the other processor.
unpack() {
    cd "$new/packages"
    mkdir "$new/root" "$new/binutils" "$new/core"
    local package
    for package in [!b]*.deb binutils-xtensa*.deb; do
        dpkg-deb -x "$package" "$new/root"
    done
    rm -rf "$new"/root/usr/share "$new"/root/usr/bin/*-lto-dump "$new"/root/usr/lib/gcc/*/*/{cc1plus,d21,lto1,libgcc.a}
    dpkg-deb -x binutils-source*.deb "$new/binutils"
    tar -xf "$new"/binutils/usr/src/binutils/binutils-*.tar.* -C "$new/core" --strip-components=2 --wildcards \
        '*/include/ansidecl.h' '*/include/xtensa-*.h'
    tar -xf qemu_*.orig.tar.* -C "$new/core" --strip-components=4 --wildcards \
        '*/target/xtensa/core-dc233c/xtensa-modules.c.inc'
    sed -i '/qemu\/osdep.h/d' "$new/core/xtensa-modules.c.inc"
}

# A script that starts a program of root/ with its own libraries.
write_starter() { # script, program, options as the shell reads them
    local loader
    loader=$(cd "$new/root" && echo usr/lib/*-linux-gnu*/ld-linux*)
    cat >"$new/$1" <<END
#!/bin/sh
top="\$(dirname "\$0")/.."
: "\${XTENSA_GNU_CONFIG:=\$top/core.so}"
export XTENSA_GNU_CONFIG
exec "\$top/root/$loader" --library-path "\$top/root/$(dirname "$loader")" "\$top/root/$2" ${3:-} "\$@"
END
    chmod +x "$new/$1"
}

build() {
    gcc -O1 -w -fPIC -shared -I"$new/core" "$boards/xtensa_core.c" -o "$new/core.so"
    mkdir "$new/bin" "$new/tools"
    local gcc_folder program
    gcc_folder=$(cd "$new/root" && echo usr/lib/gcc/xtensa-lx106-elf/*)
    write_starter tools/cc1 "$gcc_folder/cc1"
    write_starter tools/as usr/bin/xtensa-lx106-elf-as
    for program in ld nm objdump; do
        write_starter bin/xtensa-lx106-elf-$program usr/bin/xtensa-lx106-elf-$program
    done
    write_starter bin/xtensa-lx106-elf-gcc usr/bin/xtensa-lx106-elf-gcc \
        '-B "$top/tools/" -mabi=windowed -isystem "$top/root/usr/lib/xtensa-lx106-elf/include"'
}

check() {
    echo 'int high(int a, int b) { return (int)((long long)a * b >> 32); }' |
        "$new/bin/xtensa-lx106-elf-gcc" -x c -O2 -c - -o "$new/check.o"
}

make_compiler() {
    rm -rf "$new"
    mkdir -p "$new"
    download
    unpack
    build
    check
    rm -rf "$xtensa" "$new/packages" "$new/binutils" "$new/apt" "$new/check.o"
    mv "$new" "$xtensa"
}

if [ "${1:-}" = make ]; then # in a process of its own, which ends at the first error
    make_compiler
    exit
fi
if [ ! -x "$xtensa/bin/xtensa-lx106-elf-gcc" ] || [ "$boards/xtensa_core.c" -nt "$xtensa/core.so" ]; then
    command -v gcc >/dev/null || fail 'gcc is missing: install the package gcc'
    echo 'xtensa_compiler: getting a compiler for xtensawin from Debian, 120 MB' >&2
    mkdir -p "$(dirname "$xtensa")"
    bash "$0" make >"$xtensa.log" 2>&1 || {
        tail -n 3 "$xtensa.log" >&2
        fail "the compiler could not be made; the whole log is $xtensa.log"
    }
fi
printf '%s\n' "$xtensa/bin/xtensa-lx106-elf-"
