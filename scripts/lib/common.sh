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

# Builds the release .so and shimctl, strips the .so, and exports where they are (no other PMEMSHIM_ names: shimctl
# refuses unknown ones). SwiftPM locks its directory, so that two scripts at once wait for one another rather than build
# over one another. A caller may add to BUILD_FLAGS, which go to `swift build`.
BUILD_FLAGS=()
build_release() {
    require_swift
    local product
    for product in pmemshim shimctl; do
        (cd "$ROOT" && swift build -c release --product "$product" "${BUILD_FLAGS[@]}") ||
            die "building $product failed"
    done
    find_release
}

# The same without building.
find_release() {
    BUILD=$(cd "$ROOT" && swift build -c release --show-bin-path)
    [[ -f $BUILD/libpmemshim.so ]] || die "there is no $BUILD/libpmemshim.so"
    strip_library "$BUILD/libpmemshim.so" "$BUILD/stripped"
    PMEMSHIM_LIBRARY=$BUILD/stripped/libpmemshim.so
    SHIMCTL=$BUILD/shimctl
    [[ -x $SHIMCTL ]] || die "there is no $SHIMCTL"
    export BUILD PMEMSHIM_LIBRARY SHIMCTL
}

# strip_library FILE DIRECTORY: FILE as it is shipped, in a directory of its own, since SwiftPM links again whatever has
# been changed in its own: without debug information, which lies beside it as FILE.debug and is found by gdb through the
# name and checksum that the library holds. Symbols stay: backtraces, perf and the symbol test read them. Programs may
# have the old file mapped, and another script may be doing the same: both files are put in place by rename, the debug
# information first. A library whose debug information is another one's for that moment has none, for the checksum is
# wrong.
strip_library() {
    local file=$1 directory=$2 name work
    name=$(basename "$file")
    # Made from this very file if it bears its time: the copy is given it, and a file that is linked again has a new
    # one.
    if [[ -f $directory/$name && -f $directory/$name.debug &&
        ! $directory/$name -nt $file && ! $directory/$name -ot $file ]]; then
        return
    fi
    mkdir -p "$directory"
    work=$(mktemp -d "$directory/.new.XXXXXX")
    if ! {
        # A copy first: the linker may be at work again.
        cp --preserve=mode,timestamps "$file" "$work/linked" &&
            # gold joins the indices of all compile units into one that gdb cannot read, and says so each time.
            objcopy --only-keep-debug --remove-section=.debug_names "$work/linked" "$work/$name.debug" &&
            chmod a-x "$work/$name.debug" &&
            (cd "$work" && objcopy --strip-debug --add-gnu-debuglink="$name.debug" linked "$name") &&
            touch --reference="$work/linked" "$work/$name" &&
            mv "$work/$name.debug" "$directory/" && mv "$work/$name" "$directory/"
    }; then
        rm -rf "$work"
        die "$file cannot be stripped"
    fi
    rm -r "$work"
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
