# shellcheck shell=bash
# shellcheck disable=SC2154 # programs: of scripts/bench
# scripts/bench mirror-dax: what passes of shimctl mirror cost the programs beside them, on a DAX mount, by
# instructions, in the machine of scripts/dax-vm. Sourced by scripts/bench, outside and (bench mirror-dax-inside) in it.

mirror_dax_rows=(pread-4k pwrite-64 pwrite-4k pwrite-4k-sync append-4k append-4k-sync prealloc-4k prealloc-4k-sync
    msync-page sqlite-commit)

# bench_mirror_dax [--no-build] [--every "SECONDS..."] [--lines FILE] [ROW...]
bench_mirror_dax() {
    local build=1 every='1 30' kept='' lines status=0 cluster
    local -a rows=()
    while (($# > 0)); do
        case $1 in
            --no-build) build=0 && shift ;;
            --every) every=${2:?--every "SECONDS..."} && shift 2 ;;
            --lines) kept=$(realpath "${2:?--lines FILE}") && shift 2 ;;
            -*) usage ;;
            *) rows+=("$1") && shift ;;
        esac
    done
    if ((${#rows[@]} == 0)); then rows=("${mirror_dax_rows[@]}" pgbench); fi
    "$ROOT/scripts/setup"
    if ((build)); then build_release; fi
    make --silent -C "$ROOT/Benchmarks/dax" OUT="$programs" || die "building the benchmark failed"
    trap cleanup EXIT
    trap 'exit 130' INT TERM
    scratch=$(mktemp -d "${TMPDIR:-/tmp}/pmemshim-bench.XXXXXX")
    chmod 755 "$scratch"
    if [[ " ${rows[*]} " == *' pgbench '* ]]; then
        # initdb takes minutes under emulation, and nothing is learnt from it: copied into the machine.
        # shellcheck source=scripts/lib/postgres.sh
        source "$ROOT/scripts/lib/postgres.sh"
        postgres_scratch cluster "$scratch"
        postgres_init "$cluster"
        postgres_start "$cluster"
        postgres_run "$cluster" -- pgbench --initialize --quiet --scale=1 > "$scratch/fill.log" 2>&1
        postgres_stop "$cluster"
        mv "$cluster" "$scratch/cluster"
    fi
    lines=${kept:-$scratch/lines}
    "$programs/dax-rows" --list | sed 's/^/title\t/' > "$lines"
    printf 'title\tpgbench\tpgbench transaction (TPC-B, one client)\n' >> "$lines"
    say "bench mirror-dax: ${rows[*]}, ext4 with DAX, passes every ${every// / and } s, by instructions"
    "$ROOT/scripts/dax-vm" --icount --timeout 7200 --no-mount --ext4 none --xfs none --legacy-size 512 \
        --nvdimm-size 512 "$ROOT/scripts/bench" mirror-dax-inside "$scratch/cluster" "$every" "${rows[@]}" |
        tee -a "$lines" | sed -u 's/^figure\t/    /' || status=1
    "$ROOT/Benchmarks/report/mirror.py" "$lines" || status=1
    return "$status"
}

# In the machine: bench_mirror_dax_inside CLUSTER "SECONDS..." ROW... prints lines
# "figure<tab>SIDE<tab>ROW<tab>NS<tab>CPU-NS<tab>SHARE": SIDE is alone, or the period; SHARE the copier's of the
# processor.
bench_mirror_dax_inside() {
    local cluster=$1 period row
    local -a periods
    read -ra periods <<< "alone $2"
    shift 2
    SHIMCTL=$ROOT/.build/release/shimctl mirror_library=$ROOT/.build/release/libpmemshim.so mirror_point=/mnt/primary
    mount -t tracefs tracefs /sys/kernel/tracing 2> /dev/null || true
    mkdir -p "$mirror_point" /run/cgroup
    mkdir -m 700 /run/statistics
    mount -t cgroup2 cgroup2 /run/cgroup
    mkdir /run/cgroup/programs
    mirror_dax_set_up > /run/set-up 2>&1 || { cat /run/set-up >&2 && die "no mirror in the machine"; }
    if [[ " $* " == *' pgbench '* ]]; then mirror_dax_postgres "$cluster"; fi
    for row in "$@"; do
        for period in "${periods[@]}"; do mirror_dax_side "$period" "$row"; done
    done
}

mirror_dax_set_up() {
    "$SHIMCTL" create "$DAX_VM_LEGACY" --force --size 400M &&
        "$SHIMCTL" attach "$DAX_VM_LEGACY" --name first &&
        mkfs.ext4 -q -b 4096 /dev/pmemshim/first &&
        mount -o dax=always /dev/pmemshim/first "$mirror_point" &&
        "$SHIMCTL" mirror add first "$DAX_VM_NVDIMM" --force
}

# mirror_dax_side PERIOD ROW
mirror_dax_side() {
    local period=$1 row=$2 copier='' measured share=0 seconds=6
    rm -f /run/begin /run/end /run/passes
    if [[ $period != alone ]]; then
        if ((period > 3)); then seconds=$((period + 3)); fi
        "$SHIMCTL" mirror run first --every "$period" --freeze --json > /run/passes 2> /run/complaints &
        copier=$!
        while [[ ! -s /run/passes ]]; do sleep 0.1; done
    fi
    if [[ $row == pgbench ]]; then
        measured=$(mirror_dax_pgbench "$seconds" "$copier")
    else
        measured=$(mirror_dax_row "$row" "$seconds" "$copier")
    fi
    if [[ -n $copier ]]; then
        share=$(mirror_dax_share "$period")
        kill "$copier"
        wait "$copier" || true
        if [[ -s /run/complaints ]]; then warn "$(< /run/complaints)" && share=nan; fi
    fi
    printf 'figure\t%s\t%s\t%s\t%s\n' "$period" "$row" "$measured" "$share"
}

# mirror_dax_row ROW SECONDS COPIER: ns per operation, elapsed and of the program's own. What the row has set up before
# is copied before the copier's work is measured, where a pass comes soon.
mirror_dax_row() {
    local worker passes deadline
    rm -f /run/hold /run/measured
    env LD_PRELOAD="$mirror_library" PMEMSHIM_RUNTIME_DIR=/run/statistics "$programs/dax-rows" --seconds "$2" \
        --hold /run/hold "$mirror_point" "$1" > /run/measured &
    worker=$!
    while [[ ! -e /run/hold ]]; do
        kill -0 "$worker" 2> /dev/null || die "$1 ended before it began"
        sleep 0.1
    done
    if [[ -n $3 ]]; then
        passes=$(wc -l < /run/passes) deadline=$(($(mirror_dax_clock) + 3000000000))
        while (($(wc -l < /run/passes) < passes + 2 && $(mirror_dax_clock) < deadline)); do sleep 0.1; done
        mirror_dax_mark > /run/begin
    fi
    rm /run/hold
    wait "$worker" || die "$1 failed"
    if [[ -n $3 ]]; then mirror_dax_mark > /run/end; fi
    cut -f 2- /run/measured
}

# mirror_dax_share PERIOD: the copier's share of the processor, from the first pass that ended after the row had begun
# to the last one before its end, so that these are whole periods: by how many there are, a pass more or less in three
# seconds would be a third of it. Where only one has ended since, from the one before.
mirror_dax_share() {
    sed 's/.*"cpu_ns":\([0-9]*\).*/\1/' /run/passes |
        awk -v before="$(< /run/begin)" -v last="$(< /run/end)" -v period="$1" '
            { worked[NR] = $1 }
            END {
                first = last > before + 1 ? before + 1 : before
                if (last <= first || first < 1) { print "nan"; exit }
                printf "%.4f", (worked[last] - worked[first]) / ((last - first) * period * 1e9)
            }'
}

# How many passes there have been.
mirror_dax_mark() { wc -l < /run/passes; }
mirror_dax_clock() { awk '{ printf "%.0f", $1 * 1e9 }' /proc/uptime; }

mirror_dax_postgres() {
    # shellcheck source=scripts/lib/postgres.sh
    source "$ROOT/scripts/lib/postgres.sh"
    mirror_cluster=$mirror_point/postgres
    cp -a "$1" "$mirror_cluster"
    sed -i "s|^unix_socket_directories.*|unix_socket_directories = '$mirror_cluster/socket'|" \
        "$mirror_cluster/data/postgresql.conf"
    sync
}

# mirror_dax_pgbench SECONDS COPIER: latency and processor time of server and client, ns per transaction.
mirror_dax_pgbench() {
    local before after process transactions
    transactions=/run/transactions
    postgres_start "$mirror_cluster" LD_PRELOAD="$(postgres_readable "$mirror_cluster" "$mirror_library")"
    for process in $(pgrep -u "$(postgres_user)" postgres); do echo "$process" > /run/cgroup/programs/cgroup.procs; done
    postgres_run "$mirror_cluster" -- pgbench --no-vacuum --transactions=300 > /dev/null 2>&1
    if [[ -n $2 ]]; then mirror_dax_mark > /run/begin; fi
    before=$(mirror_dax_usage)
    (
        echo "$BASHPID" > /run/cgroup/programs/cgroup.procs
        postgres_run "$mirror_cluster" -- pgbench --no-vacuum --time="$1" 2> /dev/null > "$transactions"
    )
    after=$(mirror_dax_usage)
    if [[ -n $2 ]]; then mirror_dax_mark > /run/end; fi
    postgres_stop "$mirror_cluster"
    awk -v usage=$((after - before)) '/^number of transactions actually processed/ { count = $NF + 0 }
        /^latency average/ { latency = $4 * 1e6 } END { printf "%.0f\t%.0f", latency, usage * 1000 / count }' \
        "$transactions"
}
mirror_dax_usage() { awk '$1 == "usage_usec" { print $2 }' /run/cgroup/programs/cpu.stat; }
