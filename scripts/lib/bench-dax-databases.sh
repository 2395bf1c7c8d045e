# shellcheck shell=bash
# shellcheck disable=SC2154 # programs: of scripts/bench; environment: of dax_side
# Rows of scripts/bench dax that are databases: the drivers of scripts/bench databases, whose measured phase is counted
# in instructions. Sourced by scripts/bench, outside and in the machine.

# DRIVER/WORKLOAD and what the table calls it.
dax_databases() {
    printf 'databases/%s\t%s\n' \
        sqlite/wal-1 'SQLite, WAL, one-row transactions, cache 400 KiB' \
        sqlite/lookups 'SQLite, look-ups, rollback mode, cache 400 KiB' \
        lmdb/transactions 'LMDB, one-key transactions, by writes' \
        berkeley/write 'BerkeleyDB, updates, cache 1 MiB' \
        rocksdb/read 'RocksDB, random reads, no block cache'
}

# dax_prepare_databases DIRECTORY ROW...: makes the data set of each row that is a database, natively and outside the
# machine, which sees the file system of the host.
dax_prepare_databases() {
    local directory=$1 row driver workload
    shift
    for row in "$@"; do
        [[ $row == databases/* ]] || continue
        IFS=/ read -r _ driver workload <<< "$row"
        mkdir -p "$directory/$driver/$workload"
        "$programs/databases-$driver" prepare "$workload" "$directory/$driver/$workload" > /dev/null ||
            die "databases-$driver prepare $workload failed"
    done
}

# In the machine: bench_dax_databases PLACE DIRECTORY ROW... prints "figure<tab>SIDE<tab>ROW<tab>N<tab>N<tab>N" lines, N
# instructions of the measured phase. What was read and what is left must be the same on all sides.
bench_dax_databases() {
    local place=$1 templates=$2 row side driver workload data
    local -a environment lines
    local -A seen=()
    shift 2
    for row in "$@"; do
        IFS=/ read -r _ driver workload <<< "$row"
        for side in native shim exclusive; do
            dax_side "$side"
            rm -rf "$place/database"
            cp -a "$templates/$driver/$workload" "$place/database"
            sync
            mapfile -t lines < <(env -u PMEMSHIM_LIBRARY "${environment[@]}" \
                "$programs/databases-$driver" run "$workload" "$place/database")
            data=$(printf '%s\n' "${lines[@]}" | grep '^data ') || die "$row, $side: the driver failed"
            [[ ${seen[$row]:=$data} == "$data" ]] || die "$row, $side: $data, natively ${seen[$row]}"
            printf 'figure\t%s\t%s\t%s\t%s\t%s\n' "$side" "$row" "${lines[-1]% *}" "${lines[-1]% *}" "${lines[-1]% *}"
        done
    done
}
