# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # the variables of scripts/crash
# scripts/crash mirror-power: a machine that is killed while `shimctl mirror run --freeze` makes one pass after the
# other on its nvdimm, whose file survives: the first of its two partitions is mirrored on the second. Sourced by
# scripts/crash, on the host and, as `scripts/crash mirror-power-inside`, in the machine of scripts/dax-vm.
#
# What a program has had acknowledged leaves the machine with the time at which it was known. On the host a copy of the
# mirror takes the primary's place: everything must be there whose time is before the epoch that the mirror names.

# ---- on the host -----------------------------------------------------------------------------------------------
mirror_power() {
    local round=0 boot stop machine cluster status=0 wait_ms total=0 before known counted
    ((EUID == 0)) || die "crash mirror-power needs root: it attaches the mirror"
    make --silent -C "$ROOT/Tests/Programs" OUT="$power_programs" "$power_programs"/power-writer ||
        die "power-writer does not build"
    make --silent -C "$ROOT/Tests/DatabaseTests/Programs" OUT="$power_databases" || die "power-sqlite does not build"
    scratch=$(mktemp -d "${TMPDIR:-/tmp}/pmemshim-mirror-power.XXXXXX")
    chmod 755 "$scratch"
    mkdir "$scratch/point"
    trap 'mirror_power_release; cleanup' EXIT
    RANDOM=$seed
    if [[ ,$workloads, == *,postgres,* ]]; then
        postgres_scratch cluster "$scratch"
        postgres_init "$cluster"
        postgres_start "$cluster"
        postgres_query "$cluster" 'CREATE TABLE item (id bigint PRIMARY KEY, payload text)'
        postgres_query "$cluster" 'CREATE EXTENSION amcheck'
        postgres_stop "$cluster"
        mv "$cluster" "$scratch/cluster"
    fi
    say "crash mirror-power: seed $seed, $kills kills, $file_system, workloads ${workloads//,/ }"
    while ((round < kills)); do
        boot=$((round + 1))
        rm -f "$scratch/nvdimm"
        "$ROOT/scripts/dax-vm" --keep "$scratch/nvdimm" --pid "$scratch/pid" --log "$scratch/console" --timeout 1800 \
            --no-mount --ext4 none --xfs none --legacy-size 64 "$ROOT/scripts/crash" mirror-power-inside "$boot" \
            "$file_system" "$workloads" "$seed" "$PMEMSHIM_LIBRARY" "${SHIMCTL:?}" "$scratch/cluster" "$scratch/point" \
            > "$scratch/acknowledged" 2> "$scratch/complaints" &
        machine=$!
        background=("$machine")
        before=0
        for ((stop = 1; stop <= stops && round < kills; stop++)); do
            round=$((round + 1))
            if ((stop == 1)) && ! mirror_power_await "$machine"; then
                cat "$scratch/complaints"
                tail -n 20 "$scratch/acknowledged" "$scratch/console"
                echo "FAILED: the machine came to no work in round $round"
                return 1
            fi
            wait_ms=$((RANDOM % 5000))
            sleep "$((wait_ms / 1000)).$(printf %03d $((wait_ms % 1000)))"
            mirror_power_lose "$machine" $((stop == stops || round == kills))
            counted=$(mirror_power_look "$round" "$boot") || status=1
            printf '%s\n' "$counted"
            known=$(sed -n 's/.*: \([0-9]*\) acknowledged.*/\1/p' <<< "$counted" | tail -n 1)
            total=$((total + ${known:-$before} - before))
            before=${known:-$before}
        done
    done
    printf '%d times lost, %d commits acknowledged before the epochs, %s\n' "$kills" "$total" \
        "$( ((status)) && echo FAILED || echo "none lost")"
    return "$status"
}

# mirror_power_lose MACHINE KILLED: what the machine's nvdimm holds at this moment, and what was acknowledged by then.
# Nobody in the machine is asked: a processor that stands still has written what one that is killed has.
mirror_power_lose() {
    local pid
    pid=$(< "$scratch/pid")
    if (($2)); then
        kill -KILL "$pid"
        wait "$1" || true
        background=()
    else
        kill -STOP "$pid"
        while kill -0 "$pid" 2> /dev/null && ! grep -q '^State:.T' "/proc/$pid/status"; do sleep 0.01; done
    fi
    cp --sparse=always "$scratch/nvdimm" "$scratch/lost"
    cp "$scratch/acknowledged" "$scratch/known"
    if ((!$2)); then kill -CONT "$pid"; fi
}

# mirror_power_await MACHINE: until each workload has had something acknowledged, and a pass has ended since.
mirror_power_await() {
    local tries name line
    for ((tries = 0; tries < 6000; tries++)); do
        sleep 0.1
        kill -0 "$1" 2> /dev/null || return 1
        for name in ${workloads//,/ }; do grep -q "^[0-9]* $name [0-9]" "$scratch/acknowledged" || continue 2; done
        line=$(grep -n "^[0-9]* ${workloads##*,} [0-9]" "$scratch/acknowledged" | head -n 1 | cut -d : -f 1)
        tail -n "+${line:-1}" "$scratch/acknowledged" | grep -q '^pass ' && return
    done
    return 1
}

# mirror_power_look ROUND BOOT: what a copy of the mirror is worth; BOOT is what the machine was started with.
mirror_power_look() {
    local round=$1 boot=$2 status=0 start size epoch state name last sum=0 texts=() check=(e2fsck -fn)
    mirror_power_release
    # Where the second partition is: behind what the namespace of an nvdimm keeps for itself.
    read -r start size < <(python3 - "$scratch/lost" << 'PYTHON'
import os, struct, sys
with open(sys.argv[1], "rb") as nvdimm:
    end = os.fstat(nvdimm.fileno()).st_size
    for offset in range(0, 64 << 20, 4096):
        nvdimm.seek(offset)
        record = nvdimm.read(512)
        first, second = (struct.unpack_from("<II", record, 446 + 16 * entry + 8) for entry in (0, 1))
        if record[510:512] == b"\x55\xaa" and first == (4096, 819200) and second[0] == 823296:
            start = offset + second[0] * 512
            print(start >> 12, min(second[1] * 512, end - start) >> 12)
            break
PYTHON
    )
    dd if="$scratch/lost" of="$scratch/mirror" bs=4096 skip="${start:-0}" count="${size:-0}" conv=sparse status=none
    truncate --size $((${size:-0} * 4096)) "$scratch/mirror"
    state=$("$SHIMCTL" mirror status "$scratch/mirror" --json 2> "$scratch/said" || true)
    epoch=$(python3 -c 'import json, sys; found = json.load(sys.stdin)
print(found["epoch_unix_ns"] if found["is_usable"] else 0)' <<< "$state" 2> /dev/null || echo 0)
    if ((epoch == 0)) ||
        ! "$SHIMCTL" attach "$scratch/mirror" --name mirror-power --promote > "$scratch/said" 2>&1; then
        echo "FAILED: round $round: the mirror has no state: $state $(< "$scratch/said")"
        return 1
    fi
    # As after a power cut: mounting replays the log of xfs, which a frozen one has.
    if ! { mount /dev/pmemshim/mirror-power "$scratch/point" && umount "$scratch/point"; }; then
        echo "FAILED: round $round: not mounted"
        return 1
    fi
    if [[ $file_system == xfs ]]; then check=(xfs_repair -n); fi
    "${check[@]}" /dev/pmemshim/mirror-power > "$scratch/said" 2>&1 ||
        { cat "$scratch/said" && echo "FAILED: round $round: ${check[*]}" && status=1; }
    mount /dev/pmemshim/mirror-power "$scratch/point"
    for name in ${workloads//,/ }; do
        last=$(awk -v epoch="$epoch" -v name="$name" '$2 == name && NF == 3 && $1 <= epoch && $3 > last { last = $3 }
            END { print last + 0 }' "$scratch/known")
        sum=$((sum + last))
        texts+=("$name $last")
        if ! "power_check_$name" "$scratch/point" "$boot" "$last" > "$scratch/said" 2>&1; then
            cat "$scratch/said"
            echo "FAILED: round $round: $name"
            status=1
        fi
    done
    umount "$scratch/point"
    epoch=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["epoch"])' <<< "$state")
    echo "  kill $round: $sum acknowledged (${texts[*]}) before epoch $epoch," \
        "$(grep -c '^pass ' "$scratch/known") passes"
    return "$status"
}

# shellcheck disable=SC2317 # a trap calls it
mirror_power_release() {
    ! mountpoint --quiet "$scratch/point" || umount "$scratch/point" || true
    "$SHIMCTL" detach mirror-power > /dev/null 2>&1 || true
    rm -f "$scratch/mirror"
}

# ---- in the machine --------------------------------------------------------------------------------------------
# mirror_power_inside ROUND FILE-SYSTEM WORKLOADS SEED LIBRARY SHIMCTL CLUSTER POINT
mirror_power_inside() {
    local round=$1 file_system=$2 workloads=$3 seed=$4 library=$5 shimctl=$6 cluster=$7 place=$8 native=0 name
    local -a served options=(-b 4096)
    # shellcheck source=scripts/lib/postgres.sh
    source "$ROOT/scripts/lib/postgres.sh"
    mount -t tracefs tracefs /sys/kernel/tracing 2> /dev/null || true
    mkdir -p "$place" && mkdir -m 1777 /run/power && mkdir -m 700 /run/power/statistics
    served=(LD_PRELOAD="$library" PMEMSHIM_RUNTIME_DIR=/run/power/statistics PMEMSHIM_MAP_AFTER=0)
    printf 'label: dos\nstart=4096, size=819200\nstart=823296\n' | sfdisk --quiet "$DAX_VM_NVDIMM" >&2
    if [[ $file_system == xfs ]]; then options=(-m "reflink=0"); fi
    {
        "$shimctl" create "$DAX_VM_NVDIMM"p1
        "$shimctl" attach "$DAX_VM_NVDIMM"p1 --name first
        "mkfs.$file_system" -q "${options[@]}" /dev/pmemshim/first
        mount -o dax=always /dev/pmemshim/first "$place" || return 1
        "$shimctl" mirror add first "$DAX_VM_NVDIMM"p2
    } >&2
    if [[ ,$workloads, == *,postgres,* ]]; then power_start_postgres "$place" "$cluster" >&2; fi
    for name in ${workloads//,/ }; do
        "power_work_$name" "$place" "$round" | while read -r line; do echo "${EPOCHREALTIME/./}000 $line"; done &
    done
    # One pass after the other, so that the machine is lost in the middle of one. However slow the host is.
    "$shimctl" mirror run first --every 0.1 --freeze --freeze-limit 20000 --json |
        while read -r line; do
            if [[ ${line// /} == *'"is_point":true'* ]]; then echo "pass $line"; fi
        done
}
