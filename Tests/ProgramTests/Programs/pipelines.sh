#!/bin/bash
# 200 pipelines of the usual programs over files in the working directory: written by one, read by the next, appended to
# by several, cut short by head, through process substitution, here-documents and subshells.
set -uo pipefail
export LC_ALL=C

seq 1 3000 | awk '{ printf "%05d %s %d\n", $1, ($1 % 7 ? "even" : "seventh"), $1 * 7919 % 1000 }' >table
pipeline() {
    local number=$1 from=$(($1 * 13 % 900)) previous=out.$(($1 - 1))
    case $((number % 20)) in
        0) tail -n +"$from" table | tail -n 200 | tee out."$number" | cksum ;;
        1) sort -k 3n table | sed -n "$from,+300p" >out."$number" ;;
        2) grep -n seventh table | cut -d : -f 2 | tac >out."$number" ;;
        3) head -c 40000 table | tr '[:lower:]' '[:upper:]' | fold -w 61 >out."$number" ;;
        4) paste -d , <(cut -c 1-5 table) <(cut -c 7-10 table) | tail -n 400 >out."$number" ;;
        5)
            awk '{ sum[$2] += $3 } END { for (kind in sum) print kind, sum[kind] }' table |
                sort | tee -a log >out."$number"
            ;;
        6) cat table "$previous" | sort -u | wc -l | tee out."$number" ;;
        7) { head -n 5 && cat >/dev/null; } <table >out."$number" ;;
        8) yes "$number" | head -n 5000 | gzip -n | tee out."$number" | gunzip | uniq -c ;;
        9)
            (cat table; echo end) | sed "s/seventh/$number/" | split -l 1500 - part."$number". &&
                cat part."$number".* | cksum
            ;;
        10) join <(head -n 500 table) <(tail -n +400 table) | wc -l >out."$number" ;;
        11) dd if=table bs=4096 skip=2 count=5 status=none | od -An -tx1 | md5sum >out."$number" ;;
        12)
            while read -r key kind rest; do [[ $kind == even ]] || echo "$key $rest"; done <table |
                tail -n 50 >out."$number"
            ;;
        13) tee copy."$number" <table | tail -c 100 >out."$number"; cksum <copy."$number" | tee -a log ;;
        14) xargs -n 50 <"$previous" 2>/dev/null | tail -n 20 >out."$number" ;;
        15) echo "$number" | tee -a log log.odd >/dev/null; tail -n 3 log | tr '\n' ' ' && echo ;;
        16) diff <(sed "${from}d" table) table | head -n 3 >out."$number" ;;
        17)
            tar -cf - --sort=name --mtime=@0 --owner=0 --group=0 table log | tar -xOf - log |
                sort | uniq -c | tail -n 4 >out."$number"
            ;;
        18) comm -3 <(sort table) <(sort "$previous") 2>/dev/null | wc -l >out."$number" ;;
        19)
            exec 3<>table &&
                { head -c 2048 <&3 >/dev/null; read -r -u 3 line; echo "$line"; } | tail -n 1 >out."$number"
            exec 3>&-
            ;;
    esac
    echo "$number: ${PIPESTATUS[*]}"
}

: >log
touch out.0
for number in $(seq 1 200); do
    pipeline "$number"
    # Some files are changed in place, as their windows are still there in nobody: readers come and go.
    if ((number % 25 == 0)); then sed -i "1s/.*/00001 even $number/" table; fi
    if ((number % 40 == 0)); then
        printf '%04d' "$number" | dd of=table bs=1 seek=$((number * 100)) conv=notrunc status=none
    fi
done
cksum out.* log table | cksum
exit 4
