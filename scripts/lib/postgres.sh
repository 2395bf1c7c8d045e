# shellcheck shell=bash
# Private PostgreSQL clusters for scripts and tests: source this file, then
#
#   postgres_trap                                    # stop and remove what is left, whatever ends the script
#   postgres_scratch cluster /dev/shm                # cluster=/dev/shm/pmemshim-pg.XXXXXX, owned by the server's user
#   postgres_init "$cluster"                         # initdb, natively ...
#   postgres_init "$cluster" LD_PRELOAD=... PMEMSHIM_MOUNTS="$cluster/data"       # ... or under the preload
#   postgres_start "$cluster" [NAME=VALUE]...
#   postgres_run "$cluster" [NAME=VALUE]... -- pgbench -i -s 1
#   postgres_checksums "$cluster"
#   postgres_stop "$cluster" [fast|immediate|smart]
#   postgres_remove "$cluster"
#
# A cluster is a directory with data/ (PGDATA), socket/ (its Unix socket, no TCP), runtime/ (PMEMSHIM_RUNTIME_DIR, since
# the shim's statistics must belong to the user that runs the server), lib/ and logs. Nothing is shared, so any number
# may run at once. The server refuses root: as root everything below runs as `postgres` (or `nobody`), else as oneself.
# Every program gets a fresh environment, so that nothing of the caller's (LD_PRELOAD, PGHOST, locale) leaks in.

# Clusters to stop and remove at the end; only postgres_scratch adds, so it must not be called in a subshell.
POSTGRES_CLUSTERS=()

# Prints the newest Debian PostgreSQL's directory of programs. Status 1 when none is installed.
postgres_bin() {
    local newest
    newest=$(printf '%s\n' /usr/lib/postgresql/*/bin/postgres | sort -V | tail -n 1)
    if [[ ! -x $newest ]]; then
        echo "postgres.sh: no /usr/lib/postgresql/*/bin/postgres; run scripts/setup" >&2
        return 1
    fi
    dirname "$newest"
}

# Prints the user the server runs as.
postgres_user() {
    if ((EUID != 0)); then
        id -un
    elif id postgres >/dev/null 2>&1; then
        echo postgres
    else
        echo nobody
    fi
}

# postgres_as_user CMD ARGS...: runs the command as the server's user, with that user's groups only.
postgres_as_user() {
    if ((EUID != 0)); then
        "$@"
        return
    fi
    local user
    user=$(postgres_user)
    setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups -- "$@"
}

# postgres_scratch VARIABLE [PARENT]: makes a new directory for a cluster and stores its path in VARIABLE.
postgres_scratch() {
    local -n postgres_scratch_result=$1
    local parent=${2:-/dev/shm} directory name
    directory=$(mktemp -d "$parent/pmemshim-pg.XXXXXX")
    POSTGRES_CLUSTERS+=("$directory")
    # Otherwise initdb fails much later, for reasons that name anything but this.
    if ! postgres_as_user test -w /dev/null; then
        echo "postgres.sh: $(postgres_user) may not write to /dev/null: $(stat -c %A /dev/null)" >&2
        return 1
    fi
    # sun_path holds 107 bytes and the server adds "/.s.PGSQL.5432".
    if ((${#directory} > 80)); then
        echo "postgres.sh: $directory is too long for a Unix socket" >&2
        return 1
    fi
    mkdir -m 700 "$directory"/{socket,runtime,lib}
    if ((EUID == 0)); then
        name=$(postgres_user)
        chown -R "$name:$(id -g "$name")" "$directory"
    fi
    # shellcheck disable=SC2034 # a reference to the caller's variable
    postgres_scratch_result=$directory
}

# postgres_readable CLUSTER FILE: prints a path under which the server's user can read FILE: FILE itself, or a copy in
# the cluster's lib/ when a directory above it is closed to that user (a clone below /root).
postgres_readable() {
    local cluster=$1 file=$2 copy
    file=$(realpath "$file")
    if postgres_as_user test -r "$file"; then
        echo "$file"
        return
    fi
    copy=$cluster/lib/${file##*/}
    install -m 755 "$file" "$copy"
    echo "$copy"
}

# postgres_run CLUSTER [NAME=VALUE]... -- PROGRAM ARGS...: runs a PostgreSQL program (or any other) as the server's user
# with the variables that lead clients to the cluster, and the chosen ones.
postgres_run() {
    local cluster=$1 bin
    local -a chosen=()
    shift
    while (($#)) && [[ $1 != -- ]]; do
        chosen+=("$1")
        shift
    done
    shift
    bin=$(postgres_bin)
    (
        # The caller's directory may be closed to the user.
        cd "$cluster" || exit
        postgres_as_user env -i PATH="$bin:/usr/bin:/bin" HOME="$cluster" LC_ALL=C TZ=UTC \
            PGDATA="$cluster/data" PGHOST="$cluster/socket" PGUSER=postgres PGDATABASE=postgres \
            PMEMSHIM_RUNTIME_DIR="$cluster/runtime" "${chosen[@]}" "$@"
    )
}

# postgres_init CLUSTER [NAME=VALUE]...: initdb, with checksums on, and settings for a small private server: few
# buffers, so that reads of the data files reach the kernel (and the shim); fsync and all else stay as they are by
# default.
postgres_init() {
    local cluster=$1
    shift
    if ! postgres_run "$cluster" "$@" -- initdb --auth=trust --username=postgres --no-sync --locale=C --encoding=UTF8 \
        --data-checksums >"$cluster/initdb.log" 2>&1; then
        cat "$cluster/initdb.log" >&2
        return 1
    fi
    cat >>"$cluster/data/postgresql.conf" <<SETTINGS
listen_addresses = ''
unix_socket_directories = '$cluster/socket'
unix_socket_permissions = 0700
shared_buffers = 16MB
max_connections = 20
SETTINGS
}

# postgres_start CLUSTER [NAME=VALUE]...: starts the server in the chosen environment and waits until it answers.
postgres_start() {
    local cluster=$1
    shift
    if ! postgres_run "$cluster" "$@" -- pg_ctl start --wait --timeout=60 --silent --log="$cluster/log" >&2; then
        tail -n 30 "$cluster/log" >&2
        return 1
    fi
}

# postgres_stop CLUSTER [fast|immediate|smart]: `immediate` leaves a crash behind, for the next start to recover from.
postgres_stop() {
    postgres_run "$1" -- pg_ctl stop --wait --timeout=60 --silent --mode="${2:-fast}" >&2
}

# postgres_running CLUSTER: status 0 while the server runs.
postgres_running() {
    [[ -e $1/data/postmaster.pid ]] && postgres_run "$1" -- pg_ctl status >/dev/null 2>&1
}

# postgres_query CLUSTER SQL: prints the rows, unaligned, columns parted by "|". The first error ends it.
postgres_query() {
    postgres_run "$1" -- psql --no-psqlrc --quiet --no-align --tuples-only --set=ON_ERROR_STOP=1 --command="$2"
}

# postgres_checksums CLUSTER: prints "table|rows|checksum" for every table that is not the system's. Rows are summed by
# hash, so physical order does not matter; timestamps (pgbench_history.mtime) are left out: no two runs agree on them.
postgres_checksums() {
    postgres_run "$1" -- psql --no-psqlrc --quiet --no-align --tuples-only --set=ON_ERROR_STOP=1 <<'SQL'
SELECT format('SELECT %L, count(*), coalesce(sum(hashtextextended(ROW(%s)::text, 0)::numeric), 0) FROM %s',
              c.oid::regclass, string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum), c.oid::regclass)
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
   AND a.atttypid NOT IN ('timestamp'::regtype, 'timestamptz'::regtype)
 GROUP BY c.oid
 ORDER BY c.oid::regclass::text
\gexec
SQL
}

# postgres_balances CLUSTER: prints pgbench's four totals, "accounts|tellers|branches|history". TPC-B keeps them equal:
# every transaction adds one amount to a row of each.
postgres_balances() {
    postgres_query "$1" "SELECT (SELECT sum(abalance) FROM pgbench_accounts),
        (SELECT sum(tbalance) FROM pgbench_tellers),
        (SELECT sum(bbalance) FROM pgbench_branches), (SELECT coalesce(sum(delta), 0) FROM pgbench_history)"
}

# postgres_amcheck CLUSTER: checks every table and index of every database, down to the heap.
postgres_amcheck() {
    postgres_run "$1" -- pg_amcheck --all --install-missing --heapallindexed --parent-check
}

# postgres_remove CLUSTER: stops the server if it runs, and removes the directory.
postgres_remove() {
    if postgres_running "$1"; then
        postgres_stop "$1" immediate || true
    fi
    rm -rf -- "$1"
}

# postgres_cleanup: removes every cluster of this shell.
postgres_cleanup() {
    local cluster
    for cluster in "${POSTGRES_CLUSTERS[@]}"; do
        if [[ -d $cluster ]]; then
            postgres_remove "$cluster"
        fi
    done
    POSTGRES_CLUSTERS=()
}

# postgres_trap: cleans up however the script ends. Call postgres_cleanup yourself if you set an EXIT trap of your own.
postgres_trap() {
    trap postgres_cleanup EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
}
