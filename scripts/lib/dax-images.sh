#!/bin/bash
# Runs inside scripts/dax-vm --no-mount, for scripts/crash image.
# Usage: dax-images.sh PROGRAM LIBRARY NOSYNC SHIMCTL [CASE...]
# Each case of PROGRAM (Tests/Programs/dax-crash.c) on ext4 and xfs: natively and under the shim, some with a library
# whose syncs do nothing; with IMAGE_MODES="shim exclusive" with PMEMSHIM_EXCLUSIVE=1 besides. When the case says that
# all is durable, the raw device is read past every cache while the file system is mounted, and the copy replayed
# elsewhere: that is what a crash at this moment would have left.
set -euo pipefail
program=$1 library=$2 nosync=$3 shimctl=$4
shift 4
cases=("$@")
((${#cases[@]})) || mapfile -t cases < <("$program" --cases)
work=/dev/shm/images
mkdir -p "$work/live" "$work/copy"
# Nothing may become durable by the mere passing of time.
echo 720000 > /proc/sys/fs/xfs/xfssyncd_centisecs
echo 720000 > /proc/sys/vm/dirty_writeback_centisecs

device_of() { [[ $1 == ext4 ]] && echo "$DAX_VM_LEGACY" || echo "$DAX_VM_NVDIMM"; }
make_file_system() {
    if [[ $1 == ext4 ]]; then
        mkfs.ext4 -q -F -b 4096 "$(device_of ext4)" 48m
        mount -o dax=always,commit=300 "$(device_of ext4)" "$work/live"
    else
        mkfs.xfs -q -f -m reflink=0 -d size=64m -l size=10m --unsupported "$(device_of xfs)"
        mount -o dax=always "$(device_of xfs)" "$work/live"
    fi
}

# What is in the files of the case, there and in the copy; the program runs this itself, at its moment.
cat > "$work/snapshot" << 'SNAPSHOT'
#!/bin/bash
set -euo pipefail
megabytes=$([[ $IMAGE_FS == ext4 ]] && echo 48 || echo 64)
dd if="$IMAGE_DEVICE" of="$IMAGE_WORK/image" bs=4M iflag=direct,count_bytes conv=sparse status=none \
    count="${megabytes}M"
"$IMAGE_PROGRAM" --look "$IMAGE_CASE" > "$IMAGE_WORK/then"
SNAPSHOT
chmod +x "$work/snapshot"

# One case on the file system that is mounted. Prints the lines of the live files that the image lacks.
lost() {
    local fs=$1 case=$2 options=loop
    local directory=$work/live/$case
    shift 2
    mkdir "$directory"
    sync -f "$work/live"
    rm -f "$work/image" "$work/then"
    if ! env "$@" IMAGE_FS="$fs" IMAGE_DEVICE="$(device_of "$fs")" IMAGE_WORK="$work" IMAGE_PROGRAM="$program" \
        IMAGE_CASE="$directory" "$program" "$case" "$directory" "$work/snapshot" >&2; then
        echo "the case failed"
        rm -rf "$directory"
        return
    fi
    [[ $fs == ext4 ]] || options=loop,nouuid
    mount -o "$options" "$work/image" "$work/copy"
    "$program" --look "$work/copy/$case" > "$work/after" || true
    umount "$work/copy"
    rm -rf "$directory"
    comm -23 <(sort "$work/then") <(sort "$work/after")
}

status=0
for fs in ${IMAGE_SYSTEMS:-ext4 xfs}; do
    make_file_system "$fs"
    declare -A found=()
    tested=0
    for case in "${cases[@]}"; do
        lost "$fs" "$case" IMAGE_MODE=native > "$work/native"
        for mode in ${IMAGE_MODES:-shim}; do
            runtime=$work/runtime-$mode
            [[ -d $runtime ]] || mkdir -m 700 "$runtime"
            exclusive=0
            [[ $mode == shim ]] || exclusive=1
            lost "$fs" "$case" LD_PRELOAD="$library" PMEMSHIM_MAP_AFTER=0 PMEMSHIM_RUNTIME_DIR="$runtime" \
                PMEMSHIM_EXCLUSIVE="$exclusive" > "$work/$mode"
            # What native loses as well is nobody's promise.
            comm -23 <(sort "$work/$mode") <(sort "$work/native") > "$work/worse"
            if [[ -s $work/worse ]]; then
                printf '%-5s %-28s %-10s LOST %d lines, such as: %s\n' "$fs" "$case" "$mode" \
                    "$(wc -l < "$work/worse")" "$(head -1 "$work/worse")"
                [[ $mode == exclusive ]] || status=1
            else
                printf '%-5s %-28s %-10s kept\n' "$fs" "$case" "$mode"
            fi
        done
        case $case in
            size-by-another | number-reused | preallocated | append-and-fdatasync | checkpointer-fsync | between-*) ;;
            *) continue ;;
        esac
        tested=$((tested + 1))
        lost "$fs" "$case" LD_PRELOAD="$nosync" > "$work/none"
        comm -23 <(sort "$work/none") <(sort "$work/native") > "$work/worse"
        [[ ! -s $work/worse ]] || found[$case]=1
    done
    echo "$fs: without any sync, ${#found[@]} of $tested cases lose something: ${!found[*]}"
    ((${#found[@]} == tested)) || status=1
    PMEMSHIM_RUNTIME_DIR=$work/runtime-shim "$shimctl" stats |
        grep -E "fsync|fdatasync|write|MOUNT|family|calls" | head -12 || true
    rm -rf "$work"/runtime-*
    umount "$work/live"
done
exit "$status"
