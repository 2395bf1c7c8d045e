# shellcheck shell=bash
# scripts/test --inside: what is tested on real DAX mounts, in the machine of scripts/dax-vm. Sourced by scripts/test,
# outside to start machines (test_in_machine, test_mirror_in_machine), and inside (inside_suites, inside_page_cache).

# The suites that run again on ext4 and xfs with dax=always. Under emulation a second is a minute: a choice.
inside_filter='InterposeTests\.(Read|Write|InsideTests)|InsideExerciser|InsideSQLite'
# Those that change the mounts themselves, or want the same number and place for a file again, by themselves.
inside_alone_filter='InsideChangingMount|preallocatedAgain'

# On the host, after the suites: all is built.
test_in_machine() {
    local bundle
    bundle=$(echo "$ROOT"/.build/debug/*.xctest)
    [[ -x $bundle ]] || swift build --build-tests || return 1
    make --silent -C Tests/DatabaseTests/Programs OUT="$ROOT/.build/test-programs" || return 1
    scripts/dax-vm --timeout 900 scripts/test --inside
}

# A mirror on one of its devices of what lies on the other one: a machine of its own, for both are made anew.
test_mirror_in_machine() {
    scripts/dax-vm --timeout 1800 --no-mount --ext4 none --xfs none --legacy-size 512 --nvdimm-size 512 -- \
        "$ROOT/scripts/mirror-dax" inside ext4 short
}

inside_environment() {
    [[ -n ${DAX_VM_EXT4:-} && -n ${DAX_VM_XFS:-} ]] ||
        die "--inside is for the machine: scripts/dax-vm scripts/test --inside"
    export PMEMSHIM_LIBRARY=${PMEMSHIM_LIBRARY:-$ROOT/.build/release/libpmemshim.so}
    export PMEMSHIM_SHIMCTL=$ROOT/.build/release/shimctl
    export PMEMSHIM_PROGRAMS=$ROOT/.build/programs
}

# inside_suites [SWIFT TEST OPTIONS]
inside_suites() { inside_run --filter "$inside_filter" --skip "$inside_alone_filter" "$@"; }
inside_alone() { inside_run --filter "$inside_alone_filter" --no-parallel; }

inside_run() {
    local bundle
    bundle=$(echo "$ROOT"/.build/debug/*.xctest)
    [[ -x $bundle ]] || die "no $bundle: scripts/test builds it"
    # One line per test is enough here; failures print more.
    "$bundle" --testing-library swift-testing "$@" 2>&1 |
        grep --line-buffered --invert-match --extended-regexp 'started\.$|Testing Library|Target Platform'
}

cached_mebibytes() { awk '$1 == "Cached:" { print int($2 / 1024) }' /proc/meminfo; }

# read_through FILE [NAME=VALUE]...: sets `grown`, by how many MiB the page cache grew while a program read the file.
read_through() {
    local file=$1 before
    shift
    sync
    echo 3 > /proc/sys/vm/drop_caches
    env "$@" "$PMEMSHIM_PROGRAMS/read-often" /dev/null 1 # the program is in the page cache, too
    before=$(cached_mebibytes)
    env "$@" "$PMEMSHIM_PROGRAMS/read-often" "$file" 1
    grown=$(($(cached_mebibytes) - before))
}

# inside_page_cache [MIB]: reading a file on DAX, with the shim and without, leaves nothing in the page cache; elsewhere
# it leaves the file there.
inside_page_cache() {
    local size=${1:-64} plain directory grown=0 served status=0 image=/run/page-cache.image
    plain=$((size < 128 ? size : 128)) # image and cache of it are in memory
    truncate --size=$((plain + 64))M "$image"
    mkfs.ext4 -q -F "$image"
    mkdir -p /run/page-cache
    mount -o loop "$image" /run/page-cache
    dd if=/dev/zero of=/run/page-cache/large bs=1M count="$plain" status=none
    for directory in "$DAX_VM_EXT4" "$DAX_VM_XFS"; do
        dd if=/dev/zero of="$directory/large" bs=1M count="$size" status=none
    done
    free -m
    for directory in "$DAX_VM_EXT4" "$DAX_VM_XFS"; do
        read_through "$directory/large"
        printf '    %-60s %4d MiB\n' "$directory: $size MiB read, page cache grown by" "$grown"
        ((grown < size / 16)) || status=1
        rm -rf /run/page-cache.statistics
        mkdir -m 700 /run/page-cache.statistics
        read_through "$directory/large" LD_PRELOAD="$PMEMSHIM_LIBRARY" PMEMSHIM_MAP_AFTER=0 \
            PMEMSHIM_RUNTIME_DIR=/run/page-cache.statistics
        served=$("$PMEMSHIM_PROGRAMS/read-stats" /run/page-cache.statistics/stats |
            awk '$1 == "bytes" { print int($2 / 1048576) }')
        printf '    %-60s %4d MiB\n' "$directory: $served of $size MiB served by the shim, grown by" "$grown"
        ((grown < size / 16 && served > size * 3 / 4)) || status=1
        rm "$directory/large"
    done
    # Elsewhere it does grow: it is measured rightly.
    read_through /run/page-cache/large
    printf '    %-60s %4d MiB\n' "ext4 without DAX: $plain MiB read, grown by" "$grown"
    ((grown > plain * 3 / 4)) || status=1
    free -m
    umount /run/page-cache
    rm "$image"
    return "$status"
}

# inside_cgroup: in a memory cgroup (version 2) of 6 MiB a program reads a file of 768 MiB at random, natively and under
# the shim, with page tables and page arrays for all of it that would take 14. WeightTests has version 1.
inside_cgroup() {
    local group=/run/cgroup2/small mount=/run/cgroup-file status=0 side kibibytes served
    mkdir -p /run/cgroup2 "$mount"
    mount -t cgroup2 none /run/cgroup2
    mount --bind /run/cgroup2 /sys/fs/cgroup
    mount -t tmpfs -o size=800M none "$mount"
    echo +memory > /run/cgroup2/cgroup.subtree_control
    mkdir "$group"
    echo 6M > "$group/memory.max"
    python3 - "$mount/file" 768 <<'FILE'
import sys
with open(sys.argv[1], "wb") as file:
    for number in range(int(sys.argv[2]) << 8):
        file.write(number.to_bytes(8, "little") + bytes(4088))
FILE
    mkdir -m 700 /run/cgroup.statistics
    for side in native shim; do
        local -a environment=()
        if [[ $side == shim ]]; then
            environment=(LD_PRELOAD="$PMEMSHIM_LIBRARY" PMEMSHIM_MOUNTS="$mount"
                PMEMSHIM_RUNTIME_DIR=/run/cgroup.statistics)
        fi
        kibibytes=$(sh -c 'echo $$ > "$0/cgroup.procs" && exec "$@"' "$group" \
            env "${environment[@]}" "$PMEMSHIM_PROGRAMS/weight" "$mount/file" 150000) || status=1
        printf '    %-60s %4s KiB\n' "$side: page tables after 150,000 reads in a cgroup of 6 MiB" "${kibibytes:-none}"
    done
    served=$("$PMEMSHIM_PROGRAMS/read-stats" /run/cgroup.statistics/stats |
        awk '$1 == "bytes" { print int($2 / 1048576) }')
    printf '    %-60s %4s MiB\n' "served by the shim" "$served"
    ((served > 10)) || status=1
    umount "$mount" /sys/fs/cgroup
    return "$status"
}

# inside_device [EXT4 OR XFS]...: shimctl's device on persistent memory, by the device mapper: DAX is kept, the page
# arrays are device-side. Comes last: what is mounted there goes.
inside_device() {
    umount "$DAX_VM_EXT4" || return 1
    scripts/device-fs --no-build --dax "$DAX_VM_LEGACY" "$@"
}
