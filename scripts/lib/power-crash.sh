# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # the variables of scripts/crash
# scripts/crash power: a machine that is killed while programs work on its nvdimm, whose file survives. Sourced by
# scripts/crash, on the host (power) and, as `scripts/crash power-inside`, in the machine of scripts/dax-vm.
#
# What a program has had acknowledged leaves the machine by a virtio port, so the record of it is the host's. Stores
# that never left the CPU's caches survive a killed qemu: that they are flushed is another test's affair; this one is
# about everything else, journals, sizes, names, mappings, recovery.

power_programs=$ROOT/.build/programs power_databases=$ROOT/.build/test-programs

# ---- on the host -----------------------------------------------------------------------------------------------
power() {
    local round acknowledged machine pid cluster status=0 wait_ms total=0
    make --silent -C "$ROOT/Tests/Programs" OUT="$power_programs" "$power_programs"/{power-writer,read-stats} ||
        die "power-writer does not build"
    make --silent -C "$ROOT/Tests/DatabaseTests/Programs" OUT="$power_databases" || die "power-sqlite does not build"
    scratch=$(mktemp -d "${TMPDIR:-/tmp}/pmemshim-power.XXXXXX")
    chmod 755 "$scratch"
    RANDOM=$seed
    if [[ ,$workloads, == *,postgres,* ]]; then
        # initdb takes minutes under emulation, and nothing is learnt from it: copied into the machine.
        postgres_scratch cluster "$scratch"
        postgres_init "$cluster"
        mv "$cluster" "$scratch/cluster"
    fi
    say "crash power: seed $seed, $kills kills, $file_system, workloads ${workloads//,/ }," \
        "$( ((native)) && echo native || echo under the shim)"
    : > "$scratch/acknowledged.0"
    local -a options
    for ((round = 1; round <= kills + 1; round++)); do
        acknowledged=$scratch/acknowledged.$round
        options=(--keep "$scratch/nvdimm" --pid "$scratch/pid" --log "$scratch/console" --timeout 900)
        if ((round == 1)); then
            options+=(--ext4 none --xfs none "--$file_system" nvdimm)
        else
            options+=(--no-mount)
        fi
        "$ROOT/scripts/dax-vm" "${options[@]}" "$ROOT/scripts/crash" power-inside "$round" "$((kills + 1))" \
            "$file_system" "$workloads" "$seed" "$native" "$PMEMSHIM_LIBRARY" "$scratch/acknowledged.$((round - 1))" \
            > "$acknowledged" 2> "$scratch/complaints" &
        machine=$!
        background=("$machine")
        if ((round <= kills)); then
            await_work "$machine" "$acknowledged" || break
            wait_ms=$((RANDOM % 4000))
            sleep "$((wait_ms / 1000)).$(printf %03d $((wait_ms % 1000)))"
            pid=$(< "$scratch/pid")
            kill -KILL "$pid"
        fi
        wait "$machine" || true
        background=() # of scripts/crash, for its trap
        grep -E '^(fsck|own:|sqlite:|postgres:|FAILED)' "$acknowledged" | sed "s/^/    /" || true
        if grep -q '^FAILED' "$acknowledged"; then status=1; fi
        if ((round <= kills)); then
            power_summary "$round" "$acknowledged"
            total=$((total + $(grep -cE '^(own|sqlite|postgres) [0-9]' "$acknowledged")))
        fi
    done
    if ((round <= kills + 1)) || ! grep -q '^all checked' "$acknowledged"; then
        cat "$scratch/complaints"
        tail -n 20 "$acknowledged" "$scratch/console"
        echo "FAILED: the test came to no end in round $round"
        status=1
    fi
    printf '%d kills, %d acknowledged commits, %s\n' "$kills" "$total" \
        "$( ((status)) && echo FAILED || echo "none lost")"
    return "$status"
}

# Until each workload has had something acknowledged.
await_work() {
    local machine=$1 acknowledged=$2 name tries
    for ((tries = 0; tries < 6000; tries++)); do
        sleep 0.1
        kill -0 "$machine" 2> /dev/null || return 1
        for name in ${workloads//,/ }; do grep -q "^$name [0-9]" "$acknowledged" || continue 2; done
        return
    done
    return 1
}

# The last number of a workload that was acknowledged; 0 without any. A line that was cut short does not count.
power_last() { sed -n "s/^$1 \([0-9]*\)$/\1/p" "$2" | awk '{ if ($1 > last) last = $1 } END { print last + 0 }'; }

power_summary() {
    local name texts=()
    for name in ${workloads//,/ }; do texts+=("$name $(power_last "$name" "$2")"); done
    printf '  kill %d: acknowledged: %s; %s\n' "$1" "${texts[*]}" "$(grep '^served' "$2" | tail -n 1)"
}

# ---- in the machine --------------------------------------------------------------------------------------------
# power_inside ROUND LAST FILE-SYSTEM WORKLOADS SEED NATIVE LIBRARY ACKNOWLEDGED
power_inside() {
    local round=$1 last=$2 file_system=$3 workloads=$4 seed=$5 native=$6 library=$7 before=$8
    local place=/mnt/$file_system-dax name
    local -a served=()
    # shellcheck source=scripts/lib/postgres.sh
    source "$ROOT/scripts/lib/postgres.sh"
    mkdir -p "$place"
    if ((round > 1)); then
        power_fsck "$file_system" "$place"
        for name in ${workloads//,/ }; do
            "power_check_$name" "$place" "$((round - 1))" "$(power_last "$name" "$before")" ||
                echo "FAILED: $name after kill $((round - 1))"
        done
    fi
    if ((round == last)); then
        echo "all checked"
        return
    fi
    mkdir -m 1777 /run/power
    if ((!native)); then
        served=(LD_PRELOAD="$library" PMEMSHIM_RUNTIME_DIR=/run/power/statistics PMEMSHIM_MAP_AFTER=0)
    fi
    mkdir -m 700 /run/power/statistics
    if [[ ,$workloads, == *,postgres,* ]]; then power_start_postgres "$place" "$(dirname "$before")/cluster"; fi
    for name in ${workloads//,/ }; do "power_work_$name" "$place" "$round" & done
    while sleep 0.5; do
        ((native)) || "$power_programs/read-stats" /run/power/statistics/stats |
            awk '$1 == "call" { sum[$3 == "served"] += $4 }
                END { print "served " sum[1] + 0 " of " sum[0] + sum[1] " calls" }'
    done
}

# The journal is replayed by mounting, as it would be; then nothing may be wrong.
power_fsck() {
    local file_system=$1 place=$2
    mount -t "$file_system" -o dax=always "$DAX_VM_NVDIMM" "$place" || { echo "FAILED: mount" && return; }
    umount "$place"
    local -a check=(e2fsck -fn)
    if [[ $file_system == xfs ]]; then check=(xfs_repair -n); fi
    if "${check[@]}" "$DAX_VM_NVDIMM" > /run/fsck 2>&1; then
        echo "fsck: clean"
    else
        echo "FAILED: fsck"
        cat /run/fsck
    fi
    mount -t "$file_system" -o dax=always "$DAX_VM_NVDIMM" "$place"
}

power_work_own() {
    mkdir "$1/own.$2"
    env "${served[@]}" "$power_programs/power-writer" write "$1/own.$2" "$((seed + $2))"
}

power_check_own() {
    local status=0
    "$power_programs/power-writer" check "$1/own.$2" "$((seed + $2))" "$3" || status=1
    rm -rf "$1/own.$2"
    return "$status"
}

power_work_sqlite() { env "${served[@]}" "$power_databases/power-sqlite" write "$1/sqlite.$2.db"; }

power_check_sqlite() {
    local status=0
    "$power_databases/power-sqlite" check "$1/sqlite.$2.db" "$3" || status=1
    rm -f "$1/sqlite.$2.db"*
    return "$status"
}

# One cluster for all rounds, and one table that grows; numbers go on from round to round.
power_start_postgres() {
    local cluster=$1/postgres environment=()
    if [[ ! -e $cluster ]]; then
        cp -a "$2" "$cluster"
        sed -i "s|^unix_socket_directories.*|unix_socket_directories = '$cluster/socket'|" \
            "$cluster/data/postgresql.conf"
        sync
    fi
    if ((!native)); then
        environment=(LD_PRELOAD="$(postgres_readable "$cluster" "$library")" PMEMSHIM_MAP_AFTER=0)
    fi
    postgres_start "$cluster" "${environment[@]}"
    postgres_query "$cluster" "CREATE TABLE IF NOT EXISTS item (id bigint PRIMARY KEY, payload text)" 2> /dev/null
}

power_work_postgres() {
    local cluster=$1/postgres number
    number=$(postgres_query "$cluster" "SELECT coalesce(max(id), 0) FROM item")
    while :; do
        number=$((number + 1))
        printf "INSERT INTO item VALUES (%d, repeat('%d ', 200));\n\\\\echo postgres %d\n" "$number" "$number" "$number"
    done | postgres_run "$cluster" -- stdbuf -oL psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1
}

power_check_postgres() {
    local cluster=$1/postgres rows wrong status=0
    rm -f "$cluster/data/postmaster.pid"
    postgres_start "$cluster"
    rows=$(postgres_query "$cluster" "SELECT max(id) FROM item HAVING max(id) = count(*)")
    wrong=$(postgres_query "$cluster" "SELECT count(*) FROM item WHERE payload <> repeat(id || ' ', 200)")
    if [[ -z $rows ]] || ((rows < $3 || wrong > 0)); then
        echo "FAILED: postgres: $3 acknowledged, rows up to ${rows:-(some are missing)}, $wrong with other bytes"
        status=1
    fi
    # Of all databases it would take minutes here.
    if ! postgres_run "$cluster" -- pg_amcheck --install-missing --heapallindexed --table=item > /run/amcheck 2>&1; then
        echo "FAILED: pg_amcheck: $(tail -n 3 /run/amcheck)"
        status=1
    fi
    postgres_stop "$cluster"
    echo "postgres: commits up to $3 acknowledged, rows up to $rows, pg_amcheck $( ((status)) || echo clean)"
    return "$status"
}
