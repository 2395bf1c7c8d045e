#!/bin/bash
# Runs interleaved.sql on ./work.db. Usage: interleaved.sh JOURNAL PAGE_SIZE MMAP_SIZE
# This script and the shell's connection run as they were started, under the preload or not; ./native never with it.
set -euo pipefail
cat >native <<'END'
#!/bin/sh
unset LD_PRELOAD
exec sqlite3 -cmd '.timeout 30000' work.db "$@"
END
chmod +x native
sqlite3 work.db <<END
PRAGMA page_size = $2;
PRAGMA journal_mode = $1;
PRAGMA mmap_size = $3;
.read $(dirname "$0")/interleaved.sql
END
# What is left, as both see it.
sqlite3 work.db .dump | cksum
./native .dump | cksum
./native "ATTACH 'copy.db' AS copy; SELECT count(*) FROM (SELECT * FROM other EXCEPT SELECT * FROM copy.other)"
rm native
