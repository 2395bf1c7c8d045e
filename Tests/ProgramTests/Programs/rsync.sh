#!/bin/bash
# rsync on one machine: whole files, deltas against an older copy, in place, with checksums, deleting.
set -uo pipefail
export LC_ALL=C
mkdir -p source/a/b
seq 1 150000 >source/numbers
for index in $(seq 30); do
    seq "$index" $((index * 100)) >"source/a/file-$index"
done
truncate -s 1M source/a/b/sparse
ln -s ../numbers source/a/link
chmod 600 source/a/file-3
touch -d '2021-01-01 UTC' source/numbers

rsync -aH source/ copy/
rsync -a --no-whole-file --itemize-changes source/ copy/ | grep -v '^\.d' # nothing to do
{
    head -c 300000 source/numbers
    echo inserted
    tail -c +300001 source/numbers
} >changed
mv changed source/numbers
rm source/a/file-5
rsync -a --no-whole-file --delete --itemize-changes source/ copy/ | grep -v '^\.d' | cut -c 2-3,12-
seq 7 | dd of=source/numbers bs=1 seek=500000 conv=notrunc status=none
rsync -a --no-whole-file --inplace --ignore-times source/ copy/
rsync -a --checksum --append-verify source/ appended/
rsync -aS --partial-dir=.partial source/ sparse/
rsync -an --checksum --delete --itemize-changes source/ copy/ | grep -v '^\.d'
for tree in copy appended sparse; do
    diff -r source "$tree" && echo "$tree agrees"
done
rsync -a nowhere/ copy/ 2>/dev/null
echo "missing: $?"
cksum copy/numbers appended/numbers sparse/numbers
