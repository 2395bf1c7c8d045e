#!/bin/sh
# One descriptor, many programs: subshells, builtins, children by fork and by exec, all moving one offset. POSIX only:
# run by bash, which reads ahead and seeks back, and by dash, which reads byte by byte. The files are large enough to be
# served. Subshells and children whose variables are theirs, quoted programs and a cat too many are what this is about.
# shellcheck disable=SC2002,SC2016,SC2030,SC2031
set -u
export LC_ALL=C
# Half of the children run without the shim: they must not be able to tell, nor their brothers.
bare() { env -u LD_PRELOAD "$@"; }

seq -f 'line %06.0f of the file that is read' 1 4000 >f
seq -f 'other %06.0f' 1 3000 >g

echo "== the issue's own: append by a subshell, by a program, by cat"
echo begin >out
for _ in 1 2 3; do
    (
        echo a
        /bin/echo b
        cat f
    ) >>out
    (
        echo c
        bare /bin/echo d
        bare cat g
    ) >>out
done
cksum out

echo "== the issue's own: read a line, then bytes, on one descriptor for reading and writing"
cp f rw
exec 3<>rw
for _ in 1 2 3 4; do
    read -r line <&3
    echo "$line"
    head -c 10 <&3 | cksum
    dd bs=10 count=1 status=none <&3
    echo
    bare dd bs=1000 count=3 status=none <&3 | cksum
    read -r line <&3
    echo "$line"
    head -c 600 /dev/zero | tr '\0' x >&3
    bare head -c 700 /dev/zero | tr '\0' y >&3
    read -r line <&3
    echo "$line"
done
cksum <&3
exec 3>&-
cksum rw

echo "== reads by turns: shell, program, program without the shim"
{
    read -r line
    echo "shell $line"
    sed -n 1q
    read -r line
    echo "shell again $line"
    dd bs=4096 count=1 status=none | cksum
    bare dd bs=4096 count=1 status=none | cksum
    (
        read -r line
        echo "subshell $line"
    )
    sh -c 'read -r line; echo "child $line"'
    bare sh -c 'read -r line; echo "bare child $line"'
    wc -c
} <f

echo "== one descriptor as input and output of several"
cp f both
exec 4<>both 5<f
dd bs=2000 count=5 status=none <&5 >&4
bare dd bs=2000 count=5 status=none <&5 >&4
cat <&4 | cksum
cksum <&5
exec 4>&- 5>&-
cksum both

echo "== two names of one number, and two numbers of one name"
cp f twice
exec 6<twice 7<&6 8<twice
for fd in 6 7 8 6 8 7; do
    eval "read -r line <&$fd"
    echo "$fd $line"
    eval "dd bs=777 count=1 status=none <&$fd" | cksum
    eval "bare dd bs=777 count=1 status=none <&$fd" | cksum
done
exec 6<&- 7<&- 8<&-

echo "== a number closed and opened as another file, many times"
i=0
while [ $i -lt 20 ]; do
    exec 9<f
    head -c 5000 <&9 >/dev/null
    exec 9<g
    head -c 5000 <&9 | cksum
    exec 9<&-
    i=$((i + 1))
done | uniq -c

echo "== cut and grown by others while it is read"
cp f shrinks
exec 3<shrinks
head -c 40960 <&3 | cksum
bare truncate -s 50000 shrinks
cat <&3 | cksum
bare sh -c 'cat g >>shrinks'
cat <&3 | cksum
: >shrinks
cat <&3 | cksum
cat g >>shrinks
cat <&3 | cksum
exec 3<&-

echo "== overwritten in place by programs of both kinds"
cp f patched
i=0
while [ $i -lt 12 ]; do
    dd if=g of=patched bs=1024 count=2 seek=$((i * 7)) conv=notrunc status=none
    bare dd if=g of=patched bs=1024 count=2 seek=$((i * 7 + 3)) conv=notrunc status=none
    i=$((i + 1))
done
cksum patched
dd if=/dev/zero bs=4096 count=3 conv=notrunc status=none 1<>patched
cksum patched

echo "== /dev/stdin, /dev/fd and /proc/self/fd open anew, at the start"
exec 3<f
head -c 9000 <&3 >/dev/null
head -n 1 /dev/fd/3
cksum /proc/self/fd/3
bare head -n 1 /dev/fd/3
head -n 2 /dev/stdin <&3 | tail -n 1
cksum <&3
exec 3<&-

echo "== a pipeline of all of them"
cat f | tee t1 | bare tee t2 >t3
cmp f t1 && cmp f t2 && cmp f t3
sort -r f g | bare uniq | cksum
(exec <f; exec >copy; cat; bare cat g)
cat f g | cmp - copy
env sh -c 'exec 3<>f; exec sh -c "read -r line <&3; echo \$line; exec cat <&3"' | cksum
# shellcheck disable=SC2094
(cat <f >f-copy; cat f-copy) | cksum
echo "== in the background, in order of ending"
for worker in 1 2 3; do
    { head -c 100000 f | cksum >"w$worker"; } &
done
wait
cat w1 w2 w3
exit 5
