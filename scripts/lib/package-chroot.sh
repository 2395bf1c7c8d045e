#!/bin/bash
# The Debian package where a user has it: in a fresh Debian of its own, made by debootstrap once and kept in .build, it
# is installed, used, upgraded while a program runs, removed and purged (scripts/lib/package-inside.sh), and no file may
# be more or fewer than before. Usage: scripts/lib/package-chroot.sh PACKAGE.deb; scripts/package --test calls it.
#
# Needs root and a Debian mirror. Exit status: 0 all is as it must be; 1 something is not; 77 it cannot be had here.
set -euo pipefail
# shellcheck source=scripts/lib/common.sh
source "$(dirname "$0")/common.sh"

SUITE=bookworm
MIRROR=${PMEMSHIM_MIRROR:-http://deb.debian.org/debian}
# Programs that run under the library there, and perl, which reads figures in JSON.
PROGRAMS=(perl postgresql sqlite3)

[[ $# == 1 && -f $1 ]] || die "usage: scripts/lib/package-chroot.sh PACKAGE.deb"
deb=$1

unavailable() {
    say "package: no test of the package: $1"
    exit 77
}
((EUID == 0)) || unavailable "debootstrap and chroot need root"
command -v debootstrap > /dev/null || unavailable "no debootstrap: scripts/setup installs it"
unshare --mount --pid --fork true 2> /dev/null || unavailable "no mount namespace can be made here"

# in_root ROOT COMMAND...: in a mount and a process namespace of its own: nothing is left mounted, nothing goes on.
in_root() {
    # shellcheck disable=SC2016
    unshare --mount --pid --fork --kill-child bash -euc '
        root=$1
        shift
        mount -t proc proc "$root/proc"
        mount --rbind /dev "$root/dev"
        # The figures of programs lie there: not among those of the machine.
        mount -t tmpfs tmpfs "$root/dev/shm"
        mount -t tmpfs tmpfs "$root/mnt"
        mount -t tmpfs tmpfs "$root/tmp"
        chmod 1777 "$root/dev/shm" "$root/tmp"
        exec chroot "$root" env --ignore-environment PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
            DEBIAN_FRONTEND=noninteractive "$@"' bash "$@"
}

# The packages that ours depends on, by name.
dependencies() { dpkg-deb --field "$deb" Depends | sed 's/ *([^)]*)//g; s/,/ /g'; }

make_base() {
    local base=$1
    say "package: debootstrap $SUITE"
    rm -rf "$base"
    debootstrap --variant=minbase "$SUITE" "$base" "$MIRROR" > "$base.log" 2>&1 ||
        unavailable "debootstrap: $(tail -n 1 "$base.log")"
    # No service is started there, and no cluster is made.
    printf '#!/bin/sh\nexit 101\n' > "$base/usr/sbin/policy-rc.d"
    chmod 755 "$base/usr/sbin/policy-rc.d"
    mkdir -p "$base/etc/postgresql-common/createcluster.d"
    echo "create_main_cluster = false" > "$base/etc/postgresql-common/createcluster.d/none.conf"
    # What our package needs is fetched, and not installed: apt is to do that.
    # shellcheck disable=SC2046
    {
        in_root "$base" apt-get update --quiet &&
            in_root "$base" apt-get install --yes --quiet --no-install-recommends "${PROGRAMS[@]}" &&
            in_root "$base" apt-get install --yes --quiet --no-install-recommends --download-only $(dependencies)
    } >> "$base.log" 2>&1 || unavailable "apt-get: $(tail -n 1 "$base.log")"
    echo "$wanted" > "$base/package-base"
}

# next_version FILE VERSION: the package again, as a later version, with a line more in a document.
next_version() {
    local file=$1 version=$2
    dpkg-deb --raw-extract "$deb" "$work/next"
    sed -i "s/^Version: .*/Version: $version/" "$work/next/DEBIAN/control"
    echo "Of version $version." >> "$work/next/usr/share/doc/pmemshim/README.md"
    (cd "$work/next" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | xargs --null md5sum > DEBIAN/md5sums)
    # Compressing it well is not what is tested.
    dpkg-deb --root-owner-group -Zgzip -z1 --build "$work/next" "$file" > /dev/null
}

base=$ROOT/.build/package-base
wanted="$SUITE: ${PROGRAMS[*]}: $(dependencies)"
if [[ $(cat "$base/package-base" 2> /dev/null || true) != "$wanted" ]]; then make_base "$base"; fi

root=$ROOT/.build/package-root
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rm -rf "$root"
cp --archive "$base" "$root"
version=$(dpkg-deb --field "$deb" Version)
mkdir "$root/package-test"
cp "$deb" "$root/package-test/pmemshim.deb"
next_version "$root/package-test/next.deb" "$version+next"
cp "$ROOT/scripts/lib/package-inside.sh" "$root/package-test/"
in_root "$root" bash /package-test/package-inside.sh "$version" "$version+next"
rm -rf "$root"
