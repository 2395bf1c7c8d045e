#!/bin/bash
# dd with every way of placing bytes: block sizes, seek, skip, notrunc, append, sparse, direct and synchronous output.
set -uo pipefail
export LC_ALL=C
copy() { dd status=noxfer "$@"; }

# Deterministic bytes that no page repeats.
seq 1 300000 | head -c 1500001 >source

for size in 1 7 512 4095 4096 4097 65536 1M; do
    count=2000
    [[ $size == 1M ]] && count=4
    copy if=source of="bs-$size" bs="$size" count="$count"
    copy if=source of="skip-$size" bs="$size" count=11 skip=3
    cp source "notrunc-$size"
    copy if=source of="notrunc-$size" bs="$size" count=13 seek=5 skip=1 conv=notrunc
done
cksum bs-* skip-* notrunc-*

cp source within
copy if=within of=within bs=4096 count=100 skip=200 seek=20 conv=notrunc
cp source truncated
copy if=source of=truncated bs=4096 count=3 seek=10
copy if=source of=holes bs=4096 count=2 seek=100
copy if=/dev/zero of=all-holes bs=65536 count=16 conv=sparse
copy if=source of=appended bs=1000 count=10
copy if=source of=appended bs=1000 count=10 oflag=append conv=notrunc
copy if=source of=bytes iflag=skip_bytes,count_bytes oflag=seek_bytes skip=12345 count=67890 seek=333 bs=8192
copy if=source of=synchronous bs=16384 count=20 oflag=dsync
copy if=source of=flushed bs=16384 count=20 conv=fdatasync
copy if=source of=flushed-all bs=16384 seek=4 count=20 conv=fsync,notrunc
copy if=source of=upper bs=4096 count=50 conv=ucase,swab
copy if=source of=blocked ibs=512 obs=3000 count=99
copy if=source of=padded bs=4096 conv=sync
copy if=source of=existing bs=4096 count=1 conv=excl
copy if=source of=existing bs=4096 count=1 conv=excl
echo "excl: $?"
copy if=missing of=never
echo "missing: $?"
head -c 1500001 source | copy of=piped bs=4096 iflag=fullblock
copy if=source bs=4096 skip=10 count=20 | cksum
# One open file, three programs, one offset.
{
    copy bs=4096 count=3 of=part-1
    copy bs=4096 count=3 of=part-2
    copy bs=4096 of=part-3
} <source
cat part-1 part-2 part-3 | cmp - source
{
    copy if=source bs=4096 count=30
    copy if=source bs=4096 count=30 skip=30
} >joined
cksum within truncated holes all-holes appended bytes synchronous flushed flushed-all upper blocked padded piped joined
