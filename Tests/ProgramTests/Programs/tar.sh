#!/bin/bash
# tar and its kin: create, append, update, delete, compare, extract, sparse files, compressors.
set -uo pipefail
export LC_ALL=C
plain=(--sort=name --owner=0 --group=0 --numeric-owner --mtime='2020-01-01 UTC')

mkdir -p tree/a/b/c
seq 1 100000 >tree/numbers
for index in $(seq 40); do
    seq "$index" $((index * 37)) >"tree/a/file-$index"
done
ln -s numbers tree/symbolic
ln tree/numbers tree/a/b/hard
truncate -s 2M tree/a/b/c/sparse
dd if=tree/numbers of=tree/a/b/c/sparse bs=4096 count=3 seek=100 conv=notrunc status=none
chmod 600 tree/a/file-7

tar "${plain[@]}" -cf all.tar tree
tar "${plain[@]}" -S -cf sparse.tar tree
tar "${plain[@]}" --format=pax --pax-option=delete=atime,delete=ctime -b 1 -cf pax.tar tree/a
tar -tvf all.tar --utc | head -n 5
seq 5 >extra
tar "${plain[@]}" -rf all.tar extra
tar --delete -f all.tar tree/a/file-9
tar "${plain[@]}" -Af pax.tar sparse.tar
tar -df sparse.tar 2>&1 | grep -v 'Mod time\|Uid\|Gid' | sort
mkdir out out-sparse out-piece
tar -C out -xpf all.tar
tar -C out-sparse -xf sparse.tar
tar -C out-piece -xf all.tar --occurrence=1 tree/a/file-40
tar -xOf all.tar tree/a/file-40 | cmp - tree/a/file-40 && echo "to stdout"
diff -r tree out/tree
diff -r tree out-sparse/tree && echo "sparse agrees"
tar "${plain[@]}" -cf - tree | tar -tf - | cksum
gzip -n -k all.tar
gunzip -c all.tar.gz | cmp - all.tar && echo "gzip round"
xz -T 1 -1 -k sparse.tar
xzcat sparse.tar.xz | cmp - sparse.tar && echo "xz round"
bzip2 -k pax.tar
bzcat pax.tar.bz2 | cmp - pax.tar && echo "bzip2 round"
tar -xf missing.tar
echo "missing: $?"
truncate -s 100000 all.tar
tar -tf all.tar | wc -l
echo "cut off: ${PIPESTATUS[0]}"
# The compared trees: modification times are not part of them, names, modes and bytes are.
cksum ./*.tar ./*.gz ./*.xz ./*.bz2
