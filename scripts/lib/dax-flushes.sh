#!/bin/bash
# Runs inside scripts/dax-vm, for scripts/crash flushes.
# Usage: dax-flushes.sh EXERCISER CASES RECORDER LIBRARY [SEQUENCES]
# The exerciser, and the cases of crash images that write much, on ext4-DAX and xfs-DAX with a libpmem that records
# (Tests/Programs/flush-recorder-library.c): every byte of every served write must be flushed and fenced when the write
# returns, and a sync may be left out only with nothing to do. Then once with a recorder that forgets a byte, which must
# be found.
set -euo pipefail
exerciser=$1 cases=$2 recorder=$3 library=$4 sequences=${5:-30}
directory=/dev/shm/flushes
mkdir -p "$directory/lib"
mkdir -m 700 "$directory/runtime"
cp "$recorder" "$directory/lib/libpmem.so.1"

exercise() { # MOUNT SEQUENCES [NAME=VALUE...]
    local mount=$1 sequences=$2
    shift 2
    rm -rf "$mount/flush"
    mkdir -p "$mount"/flush/{served,reference,outside}
    env "$@" LD_PRELOAD="$directory/lib/libpmem.so.1 $library" PMEMSHIM_RUNTIME_DIR="$directory/runtime" \
        PMEMSHIM_MAP_AFTER=0 FLUSH_RECORDER_REPORT="$directory/report" "$exerciser" --served "$mount/flush/served" \
        --reference "$mount/flush/reference" --outside "$mount/flush/outside" \
        --seed 7 --sequences "$sequences" --ops 400
}

write_much() { # MOUNT
    local case
    for case in overwrite-and-fdatasync small-writes implicit-offsets preallocated dsync-descriptor dsync-flag \
        dsync-beside; do
        rm -rf "$1/much"
        mkdir "$1/much"
        LD_PRELOAD="$directory/lib/libpmem.so.1 $library" PMEMSHIM_RUNTIME_DIR="$directory/runtime" \
            PMEMSHIM_MAP_AFTER=0 FLUSH_RECORDER_REPORT="$directory/report" "$cases" "$case" "$1/much" true ||
            { echo "$case: status $?" && status=1; }
    done
}

status=0
for mount in "$DAX_VM_EXT4" "$DAX_VM_XFS"; do
    rm -f "$directory/runtime/stats" "$directory/report"
    write_much "$mount"
    if exercise "$mount" "$sequences" > "$directory/out" 2>&1; then
        tail -1 "$directory/out"
    else
        tail -20 "$directory/out"
        status=1
    fi
    ! grep -h "flush-recorder" "$directory/out" || status=1
    awk '{copies += $2; flushes += $4; drains += $6
          served += $9; bytes += substr($11, 2); kernel += $13; ss += $18; sk += $20}
        END { printf "copies %d, flushes %d, drains %d; writes served %d (%d bytes), by the kernel %d; ", \
              copies, flushes, drains, served, bytes, kernel
              printf "syncs served %d, by the kernel %d\n", ss, sk
              exit !(served > 1000 && ss > 500) }' "$directory/report" || { echo "too little was served"; status=1; }
    if exercise "$mount" 2 FLUSH_RECORDER_LIES=1 > "$directory/out" 2>&1 ||
        ! grep -q "not flushed" "$directory/out"; then
        echo "a recorder that forgets a byte was not found out"
        status=1
    fi
done
exit "$status"
