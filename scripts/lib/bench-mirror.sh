# shellcheck shell=bash
# shellcheck disable=SC2154 # programs: of scripts/bench
# scripts/bench mirror: what passes of shimctl mirror take, on a sparse image. Sourced by scripts/bench.

# mirror_cleanup: whatever has been made goes.
mirror_cleanup() {
    if [[ -n $mirror_writer ]]; then kill "$mirror_writer" 2> /dev/null || true; fi
    ! mountpoint --quiet "$scratch/mount" || umount "$scratch/mount" || warn "$scratch/mount is still mounted"
    [[ -z $mirror_loop ]] || losetup -d "$mirror_loop" || true
    "$SHIMCTL" detach "$mirror_name" > /dev/null 2>&1 || true
    cleanup
}

# mirror_seconds COMMAND...: elapsed and CPU time, ms.
mirror_time() { /usr/bin/time --quiet --output="$scratch/time" --format='%e %U %S' "$@"; }
mirror_times() { awk '{printf "%.0f ms | %.0f ms", $1 * 1000, ($2 + $3) * 1000}' "$scratch/time"; }

# mirror_field NAME: of the last pass's JSON.
mirror_field() {
    python3 -c 'import json, sys; print(json.loads(sys.stdin.readlines()[-1])[sys.argv[1]])' "$1" < "$scratch/json"
}

# mirror_row TITLE: the table's line for the last pass.
mirror_row() {
    local compared copied frozen
    compared=$(($(mirror_field compared_bytes) / 1048576)) copied=$(($(mirror_field copied_bytes) / 1048576))
    frozen=$(($(mirror_field frozen_ns) / 1000000))
    echo "| $1 | $(mirror_times) | $compared MiB | $copied MiB | $frozen ms |"
}

# bench_mirror [--size N] [--file-system NAME]
bench_mirror() {
    local size=64G file_system=ext4 count offset longest share
    mirror_writer='' mirror_loop='' mirror_name=bench-mirror-$$
    while (($# > 0)); do
        case $1 in
            --size) size=${2:?--size N} && shift 2 ;;
            --file-system) file_system=${2:?--file-system ext4 or xfs} && shift 2 ;;
            *) usage ;;
        esac
    done
    ((EUID == 0)) || die "bench mirror needs root: it attaches a device"
    "$ROOT/scripts/setup"
    build_release
    trap mirror_cleanup EXIT
    trap 'exit 130' INT TERM
    scratch=$(make_tmpfs_directory 6144)
    mkdir "$scratch/mount"
    "$SHIMCTL" create "$scratch/primary.img" --size "$size" > /dev/null 2>&1 || die "create failed"
    "$SHIMCTL" attach "$scratch/primary.img" --name "$mirror_name" > /dev/null
    "mkfs.$file_system" -q "/dev/pmemshim/$mirror_name"
    mount "/dev/pmemshim/$mirror_name" "$scratch/mount"
    # 1 % of the device, in files of 64 MiB.
    count=$(($(blockdev --getsize64 "/dev/pmemshim/$mirror_name") / 100 / (64 << 20) + 1))
    for ((i = 0; i < count; i++)); do head -c 64M /dev/urandom > "$scratch/mount/file.$i"; done
    "$SHIMCTL" mirror add "$mirror_name" "$scratch/mirror.img" > /dev/null 2>&1
    echo "| $size, $file_system, page cache | elapsed | CPU | compared | copied | standing still |"
    echo '|---|---:|---:|---:|---:|---:|'
    mirror_pass() { mirror_time "$SHIMCTL" mirror sync "$mirror_name" --freeze --json "$@" > "$scratch/json"; }
    mirror_pass && mirror_row 'first pass'
    sleep 0.1
    mirror_pass && sleep 0.1 && mirror_pass && mirror_row 'nothing changed'
    for ((i = 0; i < count; i++)); do
        dd if=/dev/urandom "of=$scratch/mount/file.$i" bs=1M count=64 conv=notrunc status=none
    done
    mirror_pass && mirror_row '1 % changed'
    mirror_pass --full && mirror_row 'everything compared'

    while :; do
        dd if=/dev/urandom "of=$scratch/mount/written" bs=1M count=10 seek=$((RANDOM % 30 * 10)) conv=notrunc \
            status=none
        sleep 0.05
    done &
    mirror_writer=$!
    "$SHIMCTL" mirror run "$mirror_name" --every 1 --freeze --passes 20 --json > "$scratch/json"
    kill "$mirror_writer"
    wait "$mirror_writer" || true
    mirror_writer=''
    read -r longest share < <(python3 -c '
import json, sys
passes = [json.loads(line) for line in sys.stdin][1:]
cpu = passes[-1]["cpu_ns"] - passes[0]["cpu_ns"]
# From the first of them to the last.
wall = 1e9 * (len(passes) - 1)
print(round(max(p["frozen_ns"] for p in passes) / 1e6), round(100 * cpu / wall, 1))
' < "$scratch/json")
    echo
    echo "mirror run --every 1 --freeze beside writes of 100 MiB/s, 20 passes: longest standing still $longest ms," \
        "$share % of a processor"
    umount "$scratch/mount"
    "$SHIMCTL" mirror sync "$mirror_name" > /dev/null
    offset=$("$SHIMCTL" inspect "$scratch/primary.img" --json |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["superblock"]["data_offset"])')
    mirror_loop=$(losetup --find --show --offset "$offset" "$scratch/mirror.img")
    mirror_time cmp --bytes="$(blockdev --getsize64 "/dev/pmemshim/$mirror_name")" "/dev/pmemshim/$mirror_name" \
        "$mirror_loop" || die "the two devices differ"
    echo "cmp of the two devices: $(mirror_times | sed 's/ |/, CPU/')"
}
