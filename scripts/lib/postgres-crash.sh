# shellcheck shell=bash
# shellcheck disable=SC2154 # the variables of scripts/crash
# A PostgreSQL server under load whose processes are killed again and again. Sourced by scripts/crash, which has set
# seconds, every, seed, scale, native, alone, scratch, PMEMSHIM_LIBRARY and SHIMCTL, and cleans up.

crash_failures=0
fail() {
    echo "FAILED: $*"
    crash_failures=$((crash_failures + 1))
}

# expect WHAT VALUE EXPECTED: one line of the report.
expect() {
    if [[ $2 == "$3" ]]; then
        printf '    %-58s %s\n' "$1" "$2"
    else
        fail "$1: $2, not $3"
    fi
}

# Waits until the server answers queries; recovery after a crash may be going on.
await_server() {
    local cluster=$1 tries
    for ((tries = 0; tries < 600; tries++)); do
        if postgres_query "$cluster" 'SELECT 1' > /dev/null 2>&1; then return; fi
        sleep 0.1
    done
    tail -n 20 "$cluster/log" >&2
    die "the server does not come back"
}

# pgbench over and over until the time is over: each crash ends one. What each has had acknowledged is summed up: a
# transaction counts when its COMMIT has been answered.
keep_benching() {
    local cluster=$1 deadline=$2 left
    while left=$((deadline - SECONDS)) && ((left > 0)); do
        # With the time that is left, so that the last one ends by itself and tells its number.
        postgres_run "$cluster" -- pgbench --no-vacuum --client=8 --jobs=2 --time="$left" \
            > "$cluster/pgbench.log" 2>&1 || true
        sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' "$cluster/pgbench.log" \
            >> "$cluster/acknowledged"
        sleep 0.1
    done
}

# Copies by programs without the shim, over and over, beside load and crashes. A crash may end one, and does: a copy
# counts when its program says that it is whole.
keep_copying() {
    local cluster=$1 copies=$2 deadline=$3
    while ((SECONDS < deadline)); do
        copy_dump "$cluster" "$copies" && echo pg_dump >> "$copies/done"
        copy_base "$cluster" "$copies" && echo pg_basebackup >> "$copies/done"
        copy_files "$cluster" "$copies" && echo cp >> "$copies/done"
        sleep 0.3
    done
}

copy_dump() {
    local cluster=$1 copies=$2
    postgres_run "$cluster" -- pg_dump --format=custom --file="$copies/dump.part" >> "$copies/log" 2>&1 || return 1
    mv "$copies/dump.part" "$copies/dump"
}

copy_base() {
    local cluster=$1 copies=$2
    rm -rf "$copies/base.part"
    postgres_run "$cluster" -- pg_basebackup --pgdata="$copies/base.part" --checkpoint=fast --wal-method=stream \
        --no-sync >> "$copies/log" 2>&1 || return 1
    rm -rf "$copies/base"
    mv "$copies/base.part" "$copies/base"
}

# The low-level backup: cp, without the shim, reads the very files that the server under the shim is writing. psql has
# no shim either; what it starts inherits its environment.
copy_files() {
    local cluster=$1 copies=$2
    rm -rf "$copies/files.part"
    postgres_run "$cluster" FROM="$cluster/data" PART="$copies/files.part" -- psql --no-psqlrc --quiet --no-align \
        --tuples-only --set=ON_ERROR_STOP=1 >> "$copies/log" 2>&1 << 'SQL' || return 1
SELECT pg_backup_start('cp', true) \g /dev/null
\! cp -a "$FROM" "$PART" 2> /dev/null; rm -rf "$PART"/postmaster.* "$PART"/pg_wal/*
SELECT labelfile FROM pg_backup_stop(false) \g | cat > "$PART/backup_label"
\! mkdir -p "$PART/pg_wal/archive_status" && cp "$FROM"/pg_wal/0* "$PART/pg_wal/"
SELECT 1 \g /dev/null
SQL
    grep -q '^START WAL LOCATION' "$copies/files.part/backup_label" || return 1
    rm -rf "$copies/files"
    mv "$copies/files.part" "$copies/files"
}

# Kills one of the server's processes, most of the time one that serves a client.
kill_backend() {
    local cluster=$1 wanted="backend_type = 'client backend'" pid name
    if ((RANDOM % 4 == 0)); then wanted="backend_type <> 'client backend'"; fi
    IFS='|' read -r pid name < <(postgres_query "$cluster" "SELECT pid, backend_type FROM pg_stat_activity
        WHERE $wanted AND pid <> pg_backend_pid() ORDER BY pid OFFSET $((RANDOM % 4)) LIMIT 1" 2> /dev/null) || true
    [[ -n ${pid:-} ]] || return 1
    kill -KILL "$pid" 2> /dev/null || return 1
    echo "$name" >> "$cluster/killed"
}

totals() {
    local balances accounts tellers branches history
    balances=$(postgres_balances "$1") || balances=
    IFS='|' read -r accounts tellers branches history <<< "$balances"
    if [[ -n $accounts && $accounts == "$tellers" && $tellers == "$branches" && $branches == "$history" ]]; then
        echo agree
    else
        echo "accounts $accounts, tellers $tellers, branches $branches, history $history"
    fi
}

amcheck() {
    if postgres_amcheck "$1" > "$1/amcheck.log" 2>&1; then echo clean; else tail -n 5 "$1/amcheck.log"; fi
}

sums() { postgres_checksums "$1" | sort | sha256sum | cut -c 1-32; }

# A dump restored into an empty cluster of its own: its totals and, at rest, its rows.
check_dump() {
    local what=$1 dump=$2 copy
    postgres_scratch copy "$scratch"
    postgres_init "$copy"
    postgres_start "$copy"
    postgres_run "$copy" -- pg_restore --dbname=postgres "$dump"
    expect "$what: restores, totals" "$(totals "$copy")" agree
    if [[ -n ${3:-} ]]; then expect "$what: rows" "$(sums "$copy")" "$3"; fi
    postgres_stop "$copy" fast
    rm -rf "$copy/data"
}

# A copy of the files: started without the shim, so recovered, its pages' checksums, indexes and totals checked.
check_copy() {
    local what=$1 data=$2 copy
    postgres_scratch copy "$scratch"
    mv "$data" "$copy/data"
    sed -i "s|^unix_socket_directories.*|unix_socket_directories = '$copy/socket'|" "$copy/data/postgresql.conf"
    postgres_start "$copy"
    expect "$what: starts, totals" "$(totals "$copy")" agree
    expect "$what: pg_amcheck" "$(amcheck "$copy")" clean
    if [[ -n ${3:-} ]]; then expect "$what: rows" "$(sums "$copy")" "$3"; fi
    postgres_stop "$copy" fast
    expect "$what: bad checksums" "$(bad_checksums "$copy")" 0
    rm -rf "$copy/data"
}

bad_checksums() {
    postgres_run "$1" -- pg_checksums --check 2>&1 | sed -n 's/^Bad checksums: *//p'
}

verified() {
    if postgres_run "$1" -- pg_verifybackup --quiet "$2" > "$1/verify.log" 2>&1; then
        echo whole
    else
        cat "$1/verify.log"
    fi
}

# How often each line of a file is there, in one line.
counted() { sort "$1" 2> /dev/null | uniq -c | awk '{ n = $1; $1 = ""; printf "%s%d%s", sep, n, $0; sep = ", " }'; }

# Load, crashes, copies, until the time is over. Leaves the server running.
postgres_under_fire() {
    local cluster=$1 deadline=$((SECONDS + seconds)) turn=0 job
    keep_benching "$cluster" "$deadline" &
    background=($!)
    if ((!alone)); then
        keep_copying "$cluster" "$copies" "$deadline" &
        background+=($!)
    fi
    while ((SECONDS + every <= deadline)); do
        sleep "$every"
        turn=$((turn + 1))
        if ((turn % 3 == 0)); then
            postgres_stop "$cluster" immediate
            postgres_start "$cluster" "${served[@]}"
            echo "restart in immediate mode" >> "$cluster/killed"
        else
            kill_backend "$cluster" || true
        fi
        await_server "$cluster"
    done
    for job in "${background[@]}"; do wait "$job" || true; done
    background=()
    await_server "$cluster"
}

postgres_crash() {
    local cluster copies rest live_sums='' rows acknowledged crashes complaints
    local -a served=()
    RANDOM=$seed
    postgres_scratch cluster "$scratch"
    if ((!native)); then
        served=(LD_PRELOAD="$(postgres_readable "$cluster" "$PMEMSHIM_LIBRARY")" PMEMSHIM_MOUNTS="$cluster/data"
            PMEMSHIM_MAP_AFTER=0)
    fi
    say "crash postgres: seed $seed, scale $scale, $seconds s, $( ((native)) && echo native || echo under the shim)"
    postgres_init "$cluster" "${served[@]}"
    # Little room, so that much is written back and read again, and that WAL files are used anew.
    cat >> "$cluster/data/postgresql.conf" << 'SETTINGS'
max_wal_size = 96MB
min_wal_size = 48MB
wal_keep_size = 64MB
checkpoint_timeout = 30s
autovacuum_naptime = 5s
SETTINGS
    postgres_start "$cluster" "${served[@]}"
    postgres_run "$cluster" -- pgbench --initialize --quiet --scale="$scale" > "$cluster/fill.log" 2>&1 ||
        die "$(cat "$cluster/fill.log")"
    copies=$cluster/copies rest=$cluster/rest
    postgres_as_user mkdir "$copies" "$rest"
    postgres_under_fire "$cluster"

    say "crash postgres: killed: $(counted "$cluster/killed")"
    crashes=$(wc -l < "$cluster/killed")
    acknowledged=$(awk '{ sum += $1 } END { print sum + 0 }' "$cluster/acknowledged")
    rows=$(postgres_query "$cluster" 'SELECT count(*) FROM pgbench_history')
    # Of each of the 8 clients one transaction per crash may have been committed and not yet acknowledged.
    if ((acknowledged == 0 || rows < acknowledged || rows > acknowledged + 8 * crashes)); then
        fail "$acknowledged transactions were acknowledged, $rows are in pgbench_history"
    else
        printf '    %-58s %s\n' "transactions acknowledged, rows in pgbench_history" "$acknowledged, $rows"
    fi
    expect "totals, seen by the server under the shim" "$(totals "$cluster")" agree
    if ((!alone)); then
        # Once more at rest, where all rows must be the same.
        live_sums=$(sums "$cluster")
        copy_dump "$cluster" "$rest" || fail "pg_dump at rest: $(tail -n 2 "$rest/log")"
        copy_base "$cluster" "$rest" || fail "pg_basebackup at rest: $(tail -n 2 "$rest/log")"
        copy_files "$cluster" "$rest" || fail "cp at rest: $(tail -n 2 "$rest/log")"
    fi
    postgres_stop "$cluster" fast
    expect "bad checksums" "$(bad_checksums "$cluster")" 0
    # From here on without the shim, whoever wrote the files.
    postgres_start "$cluster"
    expect "totals, seen by a server without the shim" "$(totals "$cluster")" agree
    expect "pg_amcheck" "$(amcheck "$cluster")" clean
    ((alone)) || expect "rows, the same for both" "$(sums "$cluster")" "$live_sums"
    postgres_stop "$cluster" fast
    complaints=$(grep -E 'PANIC|invalid page|could not (read|write|fsync|open|seek|extend)|corrupt' "$cluster/log" ||
        true)
    expect "complaints in the server's log" "${complaints:-none}" none
    ((alone)) || check_copies "$cluster"
    if ((!native)); then
        COLUMNS=120 PMEMSHIM_RUNTIME_DIR=$cluster/runtime "$SHIMCTL" stats | sed -n '/^Calls on/,/^$/p'
    fi
    if ((crash_failures)); then
        say "crash postgres: $crash_failures FAILED (seed $seed)"
        return 1
    fi
    say "crash postgres: good"
}

check_copies() {
    local cluster=$1 kind
    echo "    copies taken beside load and crashes: $(counted "$copies/done")"
    for kind in dump base files; do
        [[ -e $copies/$kind ]] || fail "no copy was ever whole: $kind: $(tail -n 3 "$copies/log")"
    done
    [[ ! -e $copies/dump ]] || check_dump "pg_dump beside" "$copies/dump"
    check_dump "pg_dump at rest" "$rest/dump" "$live_sums"
    if [[ -e $copies/base ]]; then
        expect "pg_basebackup beside: pg_verifybackup" "$(verified "$cluster" "$copies/base")" whole
        check_copy "pg_basebackup beside" "$copies/base"
    fi
    [[ ! -e $copies/files ]] || check_copy "cp beside" "$copies/files"
    check_copy "pg_basebackup at rest" "$rest/base" "$live_sums"
    check_copy "cp at rest" "$rest/files" "$live_sums"
}
