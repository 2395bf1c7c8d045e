# shellcheck shell=bash
# scripts/bench estimates: sourced by it. Uses what it has: say, die, cleanup, programs, scratch.

# bench_estimates [--runs N]: what shimctl advise expects of a native run, beside the truth.
bench_estimates() {
    local runs=3 load work figures
    if [[ ${1:-} == --runs ]]; then runs=${2:?--runs N}; fi
    "$ROOT/scripts/setup" --databases
    # shellcheck disable=SC2154 # scripts/bench assigns programs
    make --silent -C "$ROOT/Benchmarks/databases" OUT="$programs" || die "building the drivers failed"
    build_release
    trap cleanup EXIT
    trap 'exit 130' INT TERM
    scratch=$(make_tmpfs_directory 2048)
    chmod 0711 "$scratch"
    figures=$scratch/figures
    : > "$figures"
    # PostgreSQL does not run as root, and a program that becomes another user has no figures: all of it is nobody's.
    local -a become=()
    local library=$PMEMSHIM_LIBRARY command=$SHIMCTL
    if ((EUID == 0)); then
        become=(setpriv --reuid=65534 --regid=65534 --clear-groups)
        install -D --mode=755 "$library" "$scratch/bin/libpmemshim.so"
        install --mode=755 "$command" "$ROOT/Benchmarks/estimates/postgres" "$ROOT/Benchmarks/estimates/redis" \
            "$programs/databases-rocksdb" "$scratch/bin/"
        install --mode=644 "$ROOT/Benchmarks/estimates/load.sql" "$scratch/bin/"
        chmod 755 "$scratch/bin"
        work=$scratch/work
        install --directory --owner=65534 --group=65534 --mode=700 "$work"
        library=$scratch/bin/libpmemshim.so command=$scratch/bin/shimctl
    else
        work=$scratch/work
        mkdir -m 700 "$work" "$scratch/bin"
        cp "$ROOT/Benchmarks/estimates/"* "$programs/databases-rocksdb" "$scratch/bin/"
    fi
    become+=(env --chdir="$work" PMEMSHIM_LIBRARY="$library" PMEMSHIM_RUNTIME_DIR="$work/runtime" HOME="$work")
    local bin=$scratch/bin
    # shellcheck disable=SC2016 # the shell that becomes another user expands them
    "${become[@]}" sh -c 'umask 077 && mkdir -p runtime template/rocksdb &&
        "$1"/databases-rocksdb prepare read template/rocksdb && "$1"/postgres prepare "$2"/postgres' sh "$bin" "$work" \
        > "$scratch/prepare.log" 2>&1 || die "the data sets cannot be made: $(tail -n 3 "$scratch/prepare.log")"
    "${become[@]}" cp -a postgres template/ || die "no copy"
    local -A commands=(
        [SQLite]="sqlite3 $work/data/a.db '.read $bin/load.sql'"
        [PostgreSQL]="$bin/postgres run $work/postgres"
        [RocksDB]="$bin/databases-rocksdb run read $work/data"
        [Redis]="$bin/redis $work/data"
    )
    local -A before=(
        [SQLite]="rm -rf data && mkdir data"
        [PostgreSQL]="rm -rf postgres && cp -a template/postgres postgres"
        [RocksDB]="rm -rf data && cp -a template/rocksdb data"
        [Redis]="rm -rf data && mkdir data"
    )
    for load in SQLite PostgreSQL RocksDB Redis; do
        for ((run = 0; run < runs; run++)); do
            say "estimates: $load, run $((run + 1)) of $runs"
            # shellcheck disable=SC2016 # the shell that becomes another user expands them
            "${become[@]}" sh -c 'exec "$0" advise --verify --json --prepare "$1" --mount "$2" -- sh -c "$3"' \
                "$command" "${before[$load]}" "$work" "${commands[$load]}" 2> "$scratch/advice" > /dev/null ||
                die "$load: $(tail -n 3 "$scratch/advice")"
            python3 "$ROOT/Benchmarks/report/estimates.py" line "$load" < "$scratch/advice" >> "$figures"
        done
    done
    python3 "$ROOT/Benchmarks/report/estimates.py" table < "$figures"
}
