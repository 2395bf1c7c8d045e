#!/bin/bash
# PostgreSQL with its data directory on a mount. Usage: postgres.sh SCENARIO LIBRARY MAP_AFTER STATISTICS
#   LIBRARY     libpmemshim.so, or "none" for the same steps without it
#   MAP_AFTER   PMEMSHIM_MAP_AFTER, or "default"; "early": files are looked at from their first call on
#   STATISTICS  a directory: the shim's statistics file is copied there in the end, and while the script runs "pages"
#               there leads to the page arrays
# Prints what both ways must agree on, and nothing that changes from run to run.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
# shellcheck source=../../../scripts/lib/postgres.sh
source "$here/../../../scripts/lib/postgres.sh"
scenario=$1 library=$2 map_after=$3 statistics=$4

postgres_trap
postgres_scratch cluster /dev/shm
ln -s "$cluster/runtime/pages" "$statistics/pages"
served=()
if [[ $library != none ]]; then
    served=(LD_PRELOAD="$(postgres_readable "$cluster" "$library")" PMEMSHIM_MOUNTS="$cluster/data")
    case $map_after in
        default) ;;
        early) served+=(PMEMSHIM_FIRST_AFTER=0) ;;
        *) served+=(PMEMSHIM_MAP_AFTER="$map_after") ;;
    esac
fi

# What pgbench says is of interest only where it fails.
pgbench() { postgres_run "$cluster" -- pgbench "$@" >"$cluster/pgbench.log" 2>&1 || cat "$cluster/pgbench.log"; }
bench() { pgbench --no-vacuum --max-tries=1 "$@"; }
fill() { pgbench --initialize --quiet --scale="$1"; }

# Whether pgbench's totals agree.
balanced() {
    local accounts tellers branches history
    IFS='|' read -r accounts tellers branches history < <(postgres_balances "$cluster")
    if [[ $accounts == "$tellers" && $tellers == "$branches" && $branches == "$history" ]]; then
        echo "balanced"
    else
        echo "not balanced: accounts $accounts, tellers $tellers, branches $branches, history $history"
    fi
}

# What every scenario ends with: the server stopped, every page's checksum verified, the cluster started without the
# shim, its tables and indexes checked, and its contents printed.
finish() {
    postgres_running "$cluster" && postgres_stop "$cluster" fast
    postgres_run "$cluster" -- pg_checksums --check >"$cluster/checksums.log" 2>&1 || cat "$cluster/checksums.log"
    grep 'Bad checksums' "$cluster/checksums.log"
    postgres_start "$cluster"
    postgres_amcheck "$cluster" && echo "amcheck clean"
    balanced
    "$@"
    postgres_stop "$cluster" fast
    grep -E 'PANIC|FATAL|invalid page|could not (read|write|fsync|open)|corrupt' "$cluster/log" |
        grep -v 'shutting down\|starting up\|not yet accepting\|terminating connection' || true
    [[ ! -e $cluster/runtime/stats ]] || cp "$cluster/runtime/stats" "$statistics/stats"
}

# One client, one seed: the same rows every time, before and after restarts and a crash.
deterministic() {
    postgres_init "$cluster" "${served[@]}"
    postgres_start "$cluster" "${served[@]}"
    fill 2
    bench --client=1 --transactions=800 --random-seed=42
    postgres_checksums "$cluster"
    postgres_stop "$cluster" fast
    postgres_start "$cluster" "${served[@]}"
    postgres_checksums "$cluster"
    bench --client=1 --transactions=400 --random-seed=43 --protocol=prepared
    postgres_stop "$cluster" immediate
    postgres_start "$cluster" "${served[@]}"
    postgres_checksums "$cluster"
    finish postgres_checksums "$cluster"
}

# postgres.sql: every way of using files.
tour() {
    local answer
    postgres_init "$cluster" "${served[@]}"
    postgres_start "$cluster" "${served[@]}"
    postgres_as_user mkdir -m 700 "$cluster/data/tour" "$cluster/data/tour/space"
    answer=0
    postgres_run "$cluster" -- psql --no-psqlrc --quiet --set=directory="$cluster/data/tour" --file=- \
        <"$here/postgres.sql" 2>&1 | grep -v 'tablespace location should not be inside' || answer=$?
    echo "psql: $answer"
    fill 1
    finish postgres_checksums "$cluster"
}

# Four clients at once, a crash in the middle of their work, recovery under the shim, and another after which the server
# without the shim recovers.
concurrent() {
    postgres_init "$cluster" "${served[@]}"
    postgres_start "$cluster" "${served[@]}"
    fill 2
    bench --client=4 --jobs=2 --transactions=400
    balanced
    crash_during_bench
    postgres_start "$cluster" "${served[@]}"
    balanced
    crash_during_bench
    postgres_start "$cluster"
    balanced
    postgres_stop "$cluster" fast
    postgres_start "$cluster" "${served[@]}"
    bench --client=4 --jobs=2 --transactions=200 --protocol=prepared
    finish :
}

crash_during_bench() {
    local rows
    rows=$(postgres_query "$cluster" "SELECT count(*) FROM pgbench_history")
    postgres_run "$cluster" -- pgbench --no-vacuum --client=4 --jobs=2 --transactions=100000 >/dev/null 2>&1 &
    for _ in {1..200}; do
        (($(postgres_query "$cluster" "SELECT count(*) FROM pgbench_history") < rows + 500)) || break
        sleep 0.05
    done
    postgres_stop "$cluster" immediate
    wait $! || true
}

# While the server under the shim works, others that are not read it: pg_dump through it, pg_basebackup beside it, and
# the copies are consistent, verify, and start natively.
beside() {
    local copy
    postgres_init "$cluster" "${served[@]}"
    postgres_start "$cluster" "${served[@]}"
    fill 1
    postgres_run "$cluster" -- pgbench --no-vacuum --client=2 --transactions=100000 >/dev/null 2>&1 &
    postgres_scratch copy /dev/shm
    postgres_run "$cluster" -- pg_dump --format=custom --file="$copy/dump"
    postgres_run "$cluster" -- pg_basebackup --pgdata="$copy/data" --checkpoint=fast --wal-method=stream
    postgres_stop "$cluster" immediate
    wait $! || true
    postgres_run "$copy" -- pg_verifybackup --quiet "$copy/data" && echo "backup verified"
    sed -i "s|$cluster|$copy|" "$copy/data/postgresql.conf"
    postgres_start "$copy"
    cluster=$copy balanced
    postgres_amcheck "$copy" && echo "backup clean"
    postgres_query "$copy" "CREATE DATABASE restored"
    postgres_run "$copy" -- pg_restore --dbname=restored "$copy/dump"
    postgres_run "$copy" PGDATABASE=restored -- psql --no-psqlrc --quiet --no-align --tuples-only --command="
        SELECT (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT coalesce(sum(delta), 0) FROM pgbench_history)"
    postgres_stop "$copy" fast
    postgres_start "$cluster" "${served[@]}"
    finish :
}

# The same cluster served and not, in turns.
turns() {
    local turn
    postgres_init "$cluster"
    for turn in 1 2 3; do
        postgres_start "$cluster" "${served[@]}"
        ((turn > 1)) || fill 1
        bench --client=1 --transactions=200 --random-seed="$turn"
        postgres_stop "$cluster" fast
        postgres_start "$cluster"
        bench --client=1 --transactions=200 --random-seed="$((turn + 100))"
        postgres_checksums "$cluster"
        postgres_stop "$cluster" fast
    done
    finish postgres_checksums "$cluster"
}

case $scenario in
    deterministic | tour | concurrent | beside | turns) "$scenario" ;;
    *)
        echo "unknown scenario: $scenario" >&2
        exit 2
        ;;
esac
