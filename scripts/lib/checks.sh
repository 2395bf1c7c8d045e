# shellcheck shell=bash
# scripts/test --checks: the programs under a libpmemshim.so that checks its own tables whenever its lock is given back
# (docs/testing.md). Sourced by it, after common.sh and opened.sh; uses ROOT; arguments are options for swift test.

build_checks() {
    (cd "$ROOT" && swift build -c release --product pmemshim --scratch-path .build/checks -Xswiftc -DPMEMSHIM_CHECKS)
}

test_with_checks() {
    build_checks || return 1
    local -a what=(--filter 'InterposeTests\.' --filter 'ExerciserTests\.(DifferenceTests|FoundTests)')
    if (($#)); then what=("$@"); fi
    what+=(--skip StackTests/depths) # how much of the stack the library takes that is shipped, not this one
    PMEMSHIM_LIBRARY=$(open_library "$ROOT/.build/checks/release/libpmemshim.so") swift test "${what[@]}"
}
