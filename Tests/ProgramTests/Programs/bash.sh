#!/bin/bash
# What bash itself does with files: shared offsets, redirections, appends from several processes. The directory it runs
# in is compared afterwards, as are stdout, stderr and the exit status.
set -uo pipefail
export LC_ALL=C

echo "== a child goes on where its parent stopped"
seq 1 20000 >numbers
{
    read -r first
    read -r second
    echo "$first $second"
    head -c 100 | cksum # reads a block ahead: what it took is gone for us
    read -r third
    echo "$third"
} <numbers

echo "== read takes a line, not a block"
exec 3<numbers
for _ in 1 2 3; do
    read -r -u 3 line
    echo "bash $line"
    (
        read -r -u 3 line
        echo "subshell $line"
    )
    bash -c 'read -r -u 3 line; echo "exec $line"'
done
cksum <&3
exec 3<&-

echo "== subshells append"
for worker in 1 2 3 4; do
    (
        for step in $(seq 50); do
            printf 'worker %d step %03d %0100d\n' "$worker" "$step" 0
        done >>log
    ) &
done
wait
sort log >log.sorted
cksum log.sorted
rm log

echo "== one descriptor, shared by everything in a block"
{
    echo one
    (echo two)
    bash -c 'echo three'
    echo four >&1
    cat numbers
    echo five
} >block
cksum block

echo "== reading and writing through one descriptor"
printf 'aaaaaaaaaa\nbbbbbbbbbb\ncccccccccc\n' >update
exec 4<>update
read -r -u 4 line
echo "$line"
echo BBBBBBBBBB >&4
read -r -u 4 line
echo "$line"
echo "end" >&4
exec 4>&-
cat update

echo "== here-documents, here-strings, process substitution, coprocess"
cat <<END >here
$(seq 1 2000)
expanded: $((6 * 7)) in ${#PWD} bytes of path: no
END
sed -i '$d' here
cksum here
wc -c <<<"a here-string"
diff <(head -n 100 numbers) <(head -n 101 numbers | tail -n 100)
comm -12 <(sort numbers) <(sort here) | wc -l
coproc UPPER { tr '[:lower:]' '[:upper:]' <numbers | tail -n 1; read -r line && echo "coprocess got $line"; }
exec 5<&"${UPPER[0]}"
echo "something" >&"${UPPER[1]}"
cat <&5
exec 5<&-
wait

echo "== moving and duplicating descriptors"
exec 5>moved 6>&5
echo through-five >&5
echo through-six >&6
exec 7>&5-
echo through-seven >&7
{ echo gone >&5; } 2>&1 | sed 's/^.*line [0-9]*: //'
exec 6>&- 7>&-
cat moved

echo "== truncate, then append, then overwrite"
seq 1 5000 >shrink
: >shrink
seq 1 10 >>shrink
cat shrink
set -o noclobber
{ echo no >shrink; } 2>&1 | sed 's/^.*line [0-9]*: //'
echo yes >|shrink
set +o noclobber
cat shrink

echo "== a file read while it grows"
: >growing
exec 8<growing
for step in 1 2 3; do
    seq "$step" 4000 >>growing
    cksum <&8
done
exec 8<&-

echo "== reading an unlinked file"
seq 1 9000 >unlinked
exec 9<unlinked
rm unlinked
cksum <&9
exec 9<&-

echo "== mapfile, read -N, here and there a pipe"
mapfile -t -s 100 -n 5 lines <numbers
printf '%s\n' "${lines[@]}"
read -r -N 37 bytes <numbers
printf '%q\n' "$bytes"
tee copy-1 copy-2 <numbers >copy-3
cmp numbers copy-1 && cmp numbers copy-2 && cmp numbers copy-3
cat nothing-here
echo "status $?"
exit 7
