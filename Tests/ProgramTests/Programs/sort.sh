#!/bin/bash
# sort that spills into temporary files on the mount, merges them, sorts in place, and tools that read its output.
set -uo pipefail
export LC_ALL=C
mkdir spill
seq 1 120000 | awk '{ printf "%08d %d %s\n", ($1 * 7919) % 120011, $1, "field-" ($1 % 97) }' >input

sort -T spill -S 256K --parallel=2 input >by-line
sort -T spill -S 256K --batch-size=3 -k 3,3 -k 2,2nr input >by-field
sort -T spill -S 128K --compress-program=gzip -rn input >compressed
sort -c by-line && echo "in order"
sort -c input 2>&1 | sed 's/^sort: //'
sort -T spill -S 256K -m by-line <(sort -S 1M input) -o merged
cp input in-place
sort -T spill -S 256K -u -k 3,3 -o in-place in-place
sort -T spill -S 256K -R --random-source=input input | sort -S 1M | cmp - by-line && echo "shuffled, then sorted"
sort -s -T spill -S 256K -k 3,3 input >stable
find spill -type f # nothing is left behind
join -1 1 -2 1 <(head -n 2000 by-line) by-line | cksum
comm -3 by-line <(sort -S 1M merged -u) | cksum
cksum by-line by-field compressed merged in-place stable
wc by-line
