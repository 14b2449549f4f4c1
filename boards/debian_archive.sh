# Functions for scripts that fetch sources from the Debian archive this machine already uses: source this file.
#
# The sources are those of the released suite "trixie", which does not change. They come as an ordinary user, into a
# private apt state in the cache, and apt checks the archive's signature. Nothing on the machine outside the cache is
# changed (except that root's empty package lists are filled).
#
# The including script sets `own`, what to do on a machine that cannot do this, and has fail().

SUITE=trixie
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

archive_address() {
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 2>/dev/null |
        grep -v security | sort -u | head -n 1
}

check_archive_tools() {
    command -v apt-get >/dev/null || fail "this machine has no apt-get: $own"
    command -v dpkg-source >/dev/null || fail "dpkg-source is missing: install the package dpkg-dev, or $own"
    [ -f $KEYRING ] || fail "Debian's archive keys are missing: install the package debian-archive-keyring, or $own"
}

# Prepares `apt_options` for a private apt state in the folder $1.
open_archive() {
    local state=$1 address
    check_archive_tools
    address=$(archive_address)
    if [ -z "$address" ] && [ "$(id -u)" = 0 ]; then
        apt-get -qq update || fail 'apt-get update failed'
        address=$(archive_address)
    fi
    [ -n "$address" ] || fail "apt knows no Debian archive: run 'apt-get update' as root; on another distribution $own"
    mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
    printf '%s [signed-by=%s] %s %s main\n' deb $KEYRING "$address" $SUITE deb-src $KEYRING "$address" $SUITE \
        >"$state/sources.list"
    # APT::Sandbox::User is empty because apt's own user may not write here.
    apt_options=(
        -qq
        -o "Dir::Etc::sourcelist=$state/sources.list"
        -o Dir::Etc::sourceparts=-
        -o "Dir::State::lists=$state/lists"
        -o "Dir::Cache=$state/cache"
        -o APT::Sandbox::User=
    )
    apt-get "${apt_options[@]}" update || fail "could not read Debian's $SUITE from $address"
}
