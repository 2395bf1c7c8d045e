# shellcheck shell=bash
# scripts/test --coverage: which lines of libpmemshim.so the tests' programs execute under the preload. Sourced by
# scripts/test, after common.sh and sanitize.sh; uses ROOT; arguments are options for swift test.

# Tests of what the library is made of, which an instrumented one is not; and two in which the runtime of the profiles
# is refused what it wants at the start, and says so.
COVERAGE_SKIPS=(--skip SymbolTests --skip addressSpaceLimitedAtStart --skip 'FaultFilterTests/inherited')

build_coverage() {
    # Embedded Swift is instrumented as any other. Counters are relocated into a mapping of the profile (%c, "continuous
    # mode"): what a process has counted is in the file at once, so that nothing is lost by _exit, exec and SIGKILL, and
    # forked children count in their parent's. The name is compiled in, because programs clean their environment.
    (cd "$ROOT" && swift build -c release --product pmemshim --scratch-path .build/coverage \
        -Xswiftc -profile-generate -Xswiftc -profile-coverage-mapping \
        -Xswiftc -Xllvm -Xswiftc -runtime-counter-relocation \
        -Xcc -fprofile-instr-generate="$1/%p-%m%c.profraw" -Xcc -fcoverage-mapping \
        -Xcc -mllvm -Xcc -runtime-counter-relocation)
}

measure_coverage() {
    find_toolchain
    local profiles=$ROOT/.build/coverage/profiles library=$ROOT/.build/coverage/release/libpmemshim.so status=0
    build_coverage "$profiles" || return 1
    rm -rf "$profiles"
    mkdir -p "$profiles"
    chmod 1777 "$profiles" # some programs run as other users
    local -a what=(--filter 'InterposeTests\.' --filter 'ExerciserTests\.(DifferenceTests|FoundTests)')
    if (($#)); then what=("$@"); fi
    PMEMSHIM_LIBRARY=$(open_library "$library") swift test "${what[@]}" "${COVERAGE_SKIPS[@]}" || status=1
    say "coverage of the library by these programs"
    find "$profiles" -name '*.profraw' > "$profiles/list"
    "$TOOLCHAIN/llvm-profdata" merge --sparse --failure-mode=all --input-files="$profiles/list" \
        --output="$profiles/all.profdata" &&
        "$TOOLCHAIN/llvm-cov" export --format=text --skip-expansions --instr-profile="$profiles/all.profdata" \
            "$library" > "$profiles/coverage.json" &&
        python3 "$ROOT/scripts/lib/coverage.py" "$profiles/coverage.json" "$ROOT" "$TOOLCHAIN" || return 1
    rm -f "$profiles"/*.profraw
    return "$status"
}
