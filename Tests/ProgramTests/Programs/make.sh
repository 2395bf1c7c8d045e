#!/bin/bash
# A C project on the mount, built by make -j2 with two compilers at once: objects, dependency files, a static library, a
# program, tests that run it; then touched, built again, and cleaned. The project is the exerciser of this repository.
# Usage: make.sh DIRECTORY_OF_ITS_SOURCES
set -uo pipefail
export LC_ALL=C TMPDIR=$PWD/temporary SOURCE_DATE_EPOCH=1600000000
mkdir temporary exerciser
echo '#define VERSION 1' >exerciser/version.h
printf '#include "version.h"\nint version(void) { return VERSION; }\n' >exerciser/version.c
cp "$1"/../*.h "$1"/../../../Sources/CShimSys/include/ps_stats.h .
cp "$1"/*.c "$1"/*.h exerciser/

cat >Makefile <<'END'
sources := $(wildcard exerciser/*.c)
objects := $(sources:%.c=build/%.o)
CFLAGS := -std=gnu11 -O0 -Wall -D_GNU_SOURCE -pthread -I. -Wno-nonnull -Wno-unused-result -MMD -MP
all: build/program build/list
build/exerciser:
	@mkdir -p $@
build/exerciser/%.o: exerciser/%.c | build/exerciser
	@echo "compile $*"
	@gcc $(CFLAGS) -c -o $@ $<
build/library.a: $(filter-out build/exerciser/main.o,$(objects))
	@echo archive
	@rm -f $@ && ar rcD $@ $^
build/program: build/exerciser/main.o build/library.a
	@echo link
	@gcc -pthread -o $@ $^
build/list: $(objects)
	@echo list
	@nm $^ | grep -c ' T ' >$@
check: check-1 check-2
check-%: build/program
	@./build/program --print --seed $* --ops 300 >build/sequence-$* && cksum build/sequence-$*
clean:
	@rm -rf build
-include $(objects:.o=.d)
.PHONY: all check clean
END

# Two jobs at once tell in any order.
built() {
    make --no-print-directory -j2 "$@" 2>&1 | sort
    echo "make $*: ${PIPESTATUS[0]}"
}
built
built all check
built
make -q
echo "nothing left to do: $?"
cksum build/program build/library.a build/exerciser/*.o build/list
# A changed header, later than all that was built from it: just those are built again.
sleep 0.02
sed -i 's/1/2/' exerciser/version.h
built
sleep 0.02
touch exerciser/text.c
built all check
echo 'int broken(' >>exerciser/kinds.c
built -k | grep '^make\|^compile'
sed -i '$d' exerciser/kinds.c
cp -r build kept
built all check
make -q
echo "nothing left to do: $?"
cmp build/program kept/program && echo "the same program"
find . -name '*.d' | sort | xargs cat | cksum
built clean
ls
