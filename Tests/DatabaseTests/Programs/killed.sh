#!/bin/bash
# A writer under the preload is killed (SIGKILL) again and again in the middle of its work; each time an unshimmed shell
# rolls back or recovers, and finds everything in order. What was acknowledged must be there.
# Usage: killed.sh WORKLOAD [NAME=VALUE]...
set -euo pipefail
workload=$1
shift
shell() { env -u LD_PRELOAD sqlite3 -cmd '.timeout 60000' work.db "$@"; }

"$workload" fill work.db steps=10 "$@"
for round in 1 2 3 4 5 6 7 8 9 10; do
    "$workload" transfer work.db steps=100000 "seed=$round" "$@" &
    writer=$!
    before=$(shell 'SELECT sum(changes) FROM accounts')
    # Not before it has committed something.
    for _ in {1..500}; do
        acknowledged=$(shell 'SELECT sum(changes) FROM accounts')
        ((acknowledged <= before + 10 * round)) || break
        sleep 0.01
    done
    kill -KILL "$writer"
    wait "$writer" 2>/dev/null || true
    ((acknowledged > before)) || echo "round $round: nothing was written"
    echo "round $round: $(shell 'PRAGMA integrity_check') $(shell 'SELECT sum(balance) FROM accounts')"
    (($(shell 'SELECT sum(changes) FROM accounts') >= acknowledged)) || echo "round $round: lost a commit"
done
# Verifies every document's bytes.
"$workload" watch work.db steps=1 "$@"
