#!/bin/bash
# Writers and readers of one database at the same time, half of them under the preload, half not, while a third program,
# the sqlite3 shell, never under the preload, checkpoints, vacuums and checks it.
# Usage: concurrent.sh WORKLOAD [NAME=VALUE]... (options of sqlite-workload); the database is ./work.db.
# Prints nothing that depends on who came first.
set -euo pipefail
workload=$1
shift
native() { env -u LD_PRELOAD "$@"; }
shell() { native sqlite3 -cmd '.timeout 60000' work.db "$@"; }

"$workload" fill work.db steps=20 "$@" >/dev/null
declare -A jobs
"$workload" transfer work.db steps=400 seed=11 "$@" >/dev/null &
jobs[served writer]=$!
native "$workload" transfer work.db steps=400 seed=12 "$@" >/dev/null &
jobs[native writer]=$!
"$workload" watch work.db steps=120 "$@" >/dev/null &
jobs[served reader]=$!
native "$workload" watch work.db steps=120 "$@" >/dev/null &
jobs[native reader]=$!

# VACUUM needs the database for itself: where it lost to the others in spite of the timeout it tries again.
maintained=0
for attempt in {1..60}; do
    shell 'PRAGMA wal_checkpoint(TRUNCATE)' >/dev/null || true
    if shell 'VACUUM' 2>/dev/null; then
        maintained=$((maintained + 1))
    fi
    # Busy to the end of the timeout: the check after the end decides.
    found=$(shell 'PRAGMA integrity_check') || found=ok
    if [[ $found != ok ]]; then
        echo "attempt $attempt: $found"
    fi
    if ((maintained >= 25)) || ! kill -0 "${jobs[@]}" 2>/dev/null; then
        break
    fi
    sleep 0.05
done
((maintained > 0)) || echo "never vacuumed"

for job in "${!jobs[@]}"; do
    wait "${jobs[$job]}" || echo "$job: status $?"
done
shell 'PRAGMA integrity_check'
sqlite3 work.db 'PRAGMA integrity_check'
shell 'SELECT sum(balance), count(*) FROM accounts'
