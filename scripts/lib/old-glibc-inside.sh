#!/bin/bash
# The inside of scripts/old-glibc: runs in the older Debian. Usage: inside.sh PROGRAM...
set -euo pipefail
cd /work
export LC_ALL=C

# What the test programs use, and this libc does not have.
cat > newer.h << 'END'
const char *strerrorname_np(int number);
const char *sigabbrev_np(int number);
END
cat > newer.c << 'END'
#include "newer.h"
#include <string.h>
const char *strerrorname_np(int number) { return strerror(number); }
const char *sigabbrev_np(int number) { return strsignal(number); }
END

compile() {
    gcc -std=gnu11 -O1 -w -D_GNU_SOURCE -pthread -Iinclude -include newer.h "$@" -ldl -lutil -lrt
}
for source in sources/*-library.c; do
    name=$(basename "$source" .c)
    compile -fPIC -shared -o "bin/$name.so" "$source"
done

ldd --version | sed -n 1p # which reads it all: no broken pipe
export PMEMSHIM_MOUNTS=/mnt PMEMSHIM_RUNTIME_DIR=/mnt/runtime PMEMSHIM_MAP_AFTER=0 PMEMSHIM_LOG=/work/log
cases=0 different=0
for program in "$@"; do
    compile -o "bin/$program" "sources/$program.c" newer.c
    for name in $("bin/$program"); do
        case $name in use-* | every-name) continue ;; esac # parts of other cases
        rm -rf /mnt/native /mnt/shimmed
        mkdir /mnt/native /mnt/shimmed
        native=0 shimmed=0
        timeout 60 "bin/$program" "$name" /mnt/native > native 2> native.err || native=$?
        LD_PRELOAD=/work/libpmemshim.so timeout 60 "bin/$program" "$name" /mnt/shimmed > shimmed 2> shimmed.err ||
            shimmed=$?
        cases=$((cases + 1))
        if ((native != shimmed)) || ! cmp --silent native shimmed; then
            different=$((different + 1))
            printf '%s %s: ends with %d, natively with %d\n' "$program" "$name" "$shimmed" "$native"
            diff native shimmed | head -n 6 || true
            head -n 3 shimmed.err
        fi
    done
done 2>&1
served=$(grep -c ' served ' log || true)
printf '%d cases, %d different, %d files served\n' "$cases" "$different" "$served"
((different == 0 && served > 0))
