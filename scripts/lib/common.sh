# shellcheck shell=bash
# What every script of ours needs: where the repository is, how to speak, how to build, where scratch files may live.
# Sourced, never run; the caller has set -euo pipefail.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export ROOT

say() { printf '\033[1m==> %s\033[0m\n' "$*"; }
warn() { printf 'warning: %s\n' "$*" >&2; }
die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# Swift is the one thing setup does not install: Debian has no package of it.
require_swift() {
    command -v swift > /dev/null || die "no 'swift' in PATH: install Swift 6.3 (https://www.swift.org/install/linux/debian/12)"
    local version
    version=$(swift --version 2>&1 | sed -n 's/.*Swift version \([0-9]*\.[0-9]*\).*/\1/p' | head -n 1)
    [[ -n $version ]] || die "'swift --version' gives no version: $(swift --version 2>&1 | head -n 1)"
    if [[ $(printf '%s\n' 6.2 "$version" | sort -V | head -n 1) != 6.2 ]]; then
        die "Swift $version is too old: 6.2 is the least, 6.3 is what we test with"
    fi
}

# Builds the release .so and shimctl and exports where they are (no other PMEMSHIM_ names: shimctl refuses unknown ones). SwiftPM locks its directory, so that two scripts at
# once wait for one another rather than build over one another.
build_release() {
    require_swift
    local product
    for product in pmemshim shimctl; do
        (cd "$ROOT" && swift build -c release --product "$product") || die "building $product failed"
    done
    find_release
}

# The same without building.
find_release() {
    BUILD=$(cd "$ROOT" && swift build -c release --show-bin-path)
    PMEMSHIM_LIBRARY=$BUILD/libpmemshim.so
    SHIMCTL=$BUILD/shimctl
    [[ -f $PMEMSHIM_LIBRARY ]] || die "there is no $PMEMSHIM_LIBRARY"
    [[ -x $SHIMCTL ]] || die "there is no $SHIMCTL"
    export BUILD PMEMSHIM_LIBRARY SHIMCTL
}

file_system_of() { stat --file-system --format=%T "$1"; }

# A new directory on a tmpfs, for this run only, named after the script. No root needed: /dev/shm, or the user's own
# $XDG_RUNTIME_DIR, or any directory given in SCRATCH_PARENT.
make_tmpfs_directory() {
    local megabytes=$1 parent free
    for parent in "${SCRATCH_PARENT:-}" /dev/shm "${XDG_RUNTIME_DIR:-}"; do
        [[ -n $parent && -d $parent && -w $parent && $(file_system_of "$parent") == tmpfs ]] || continue
        free=$(df --output=avail --block-size=1M "$parent" | tail -n 1)
        if ((free < megabytes)); then
            warn "$parent has $free MiB free, $megabytes are needed"
            continue
        fi
        mktemp -d "$parent/pmemshim-$(basename "$0").XXXXXX"
        return
    done
    die "no writable tmpfs with $megabytes MiB free (tried SCRATCH_PARENT, /dev/shm, XDG_RUNTIME_DIR)"
}
