#!/bin/bash
# cp, mv, ln, install, truncate, split, cmp: copies by read and write, by copy_file_range, of holes, of attributes.
set -uo pipefail
export LC_ALL=C
show() { stat -c '%n %s %a %F %h' "$@"; }

mkdir -p tree/deep/deeper
seq 1 200000 >tree/numbers
head -c 4096 tree/numbers >tree/deep/page
head -c 4095 tree/numbers >tree/deep/page-less
head -c 4097 tree/numbers >tree/deep/page-more
: >tree/deep/deeper/empty
ln -s ../numbers tree/deep/link
ln tree/deep/page tree/deep/deeper/hard
chmod 640 tree/deep/page-less
chmod 4751 tree/deep/page-more
touch -d '2020-02-02 02:02:02.123456789 UTC' tree/numbers tree/deep/page
truncate -s 3M sparse
dd if=tree/numbers of=sparse bs=4096 seek=300 count=5 conv=notrunc status=none

cp tree/numbers plain
cp -p tree/numbers preserved
stat -c '%n %y %a' preserved
cp -a tree archive
stat -c '%n %y' archive/numbers
cp -r --preserve=mode,links tree linked
cp --sparse=always sparse holes-made
cp --sparse=never sparse holes-filled
cp --sparse=auto sparse holes-kept
cp --reflink=auto tree/numbers reflinked
cp --reflink=always tree/numbers never 2>/dev/null
echo "reflink=always: $?"
cp -u preserved plain
cp -l plain hard-linked
cp -s "$(basename plain)" symbolic
cp --backup=numbered tree/deep/page plain
cp -n tree/deep/page reflinked
cp --remove-destination tree/deep/page-more reflinked-2
cp tree missing-flag
echo "directory without -r: $?"
cp nowhere anywhere
echo "missing: $?"
cat holes-filled >holes-kept # onto an existing file
cmp sparse holes-made && cmp sparse holes-filled && cmp sparse holes-kept && echo "holes agree"
cmp plain tree/numbers
cmp -n 4095 tree/deep/page tree/deep/page-less && echo "same start"

install -m 751 tree/numbers installed
mv plain moved
mv -T archive renamed
cp installed target
mv moved target # over an existing file
# shellcheck disable=SC2016 # split sets FILE
split -b 100000 --filter='cksum >$FILE.sum' tree/numbers filtered.
split -n 7 -d tree/numbers piece.
cat piece.0? | cmp - tree/numbers && echo "pieces join"
truncate -s 5000 installed
truncate -s +5000 installed
tail -c 6000 installed | cksum
truncate -s 10 preserved
cat preserved
tac tree/numbers | cksum
tail -n 3 tree/numbers
head -n -199997 tree/numbers
od -A d -t x1 -j 4090 -N 12 tree/numbers
paste -d, tree/deep/page-less tree/deep/page | tail -n 2
shuf --random-source=tree/numbers -n 5 tree/numbers
uniq -c <tree/deep/page | tail -n 1
cksum target piece.0? filtered.*
show target installed holes-made holes-filled holes-kept sparse linked/deep/deeper/hard renamed/deep/page-more
find . -printf '%P %y %l %n %s\n' | grep -v '^[^ ]* d' | sort
