# shellcheck shell=bash
# scripts/test --sanitize. Sourced by it, after common.sh; uses ROOT; arguments are options for swift test.
#
# Two sanitizers, since no process can have both, and each where it belongs. AddressSanitizer, with
# UndefinedBehaviorSanitizer for the C parts, is built into a libpmemshim.so that unmodified programs are run under.
# ThreadSanitizer instruments a whole process or nothing: the engine is linked into a test process and driven there.

# What the shim's place below a sanitizer's runtime asks for. Programs call the runtime's interceptors, those call the
# shim's entry points, and those libc's.
address_options() {
    local -a list=(
        # The shim keeps the program's handlers of the two signals, and survives faults in its copies: the runtime must
        # not take a fault for the end. Exit signals of the programs are compared with the native ones, too.
        handle_segv=0 handle_sigbus=0 handle_abort=0 handle_sigill=0 handle_sigfpe=0
        # Would call setrlimit while the runtime starts: our setrlimit, instrumented, before there is a shadow. And
        # programs are compared in whether they leave a core.
        disable_coredump=0
        # The runtime gives every thread a stack for signals, and at its end unmaps whatever stack is set: the
        # program's.
        use_sigaltstack=0
        # What the programs leave allocated is theirs; the engine allocates nothing.
        detect_leaks=0
        # As libc's malloc does. Some programs ask for more than there is.
        allocator_may_return_null=1
        # No status of a program's own.
        exitcode=86
        external_symbolizer_path="$TOOLCHAIN/llvm-symbolizer"
        log_path="$1/report"
    )
    local IFS=:
    echo "${list[*]}"
}

# Tests that are about something else, or that the runtime itself makes impossible: expression, and why.
address_skips() {
    cat << 'END'
SymbolTests                             the symbols of the library that is shipped, not of this one
InstructionCountTests                   the runtime counts each load and store by instructions of its own
StackTests/depths                       the runtime has frames of its own, and makes those of others larger
HostTests                               the runtime is glibc's, must be the first preload, and has a clock_gettime too
NameLookupTests/everyName               the runtime wraps some of the names, so that the linker binds those to it
NameLookupTests/libraries               the runtime must be the first preload
NameLookupTests/wrappers                the same
NameLookupTests/ctypes                  it locks all memory, and so all that the runtime has reserved
GivingWayTests/addressSpaceLimited      the runtime reserves 20 TiB of address space, far above any RLIMIT_AS
FaultLimitTests/addressSpace            the same
GivingWayTests/memoryLocked             the runtime makes mlockall do nothing
FaultLimitTests/memoryLocked            the same
GivingWayTests/statisticsStaySparse     the same
GivingWayTests/seccompFilter            the runtime asks for the signals' stack at every exit
GivingWayTests/deeplyBound              the runtime ends a process that asks for RTLD_DEEPBIND
StaleEntryTests/libraries               the same
StaleEntryTests/byDefault               the same, in one of its cases
SignalStormTests/blocked                the runtime starts threads with signals of its own choice blocked
ThreadTests/writersDoNotMix             copies take longer here than a writer waits for another (10 ms)
BadPointerTests                         the runtime looks at bad pointers before the kernel does, and ends the process
SignalTests/masksOfThreads              the runtime gives threads a mask of its own choice
BudgetTests                             the runtime's heap is larger, and its address space above every bound
SecureTests                             the runtime must be the first preload, also of /etc/ld.so.preload
FaultLimitTests/inherited               the runtime's own calls are refused by them
FaultLimitTests/mappingsExhausted       the runtime ends a process when no mapping is left for its own heap
END
}

# The directory of the Swift toolchain's programs, where the compiler's runtimes are found from.
find_toolchain() {
    TOOLCHAIN=$(dirname "$(realpath "$(command -v swift)")")
    [[ -x $TOOLCHAIN/clang ]] || die "no clang beside $(command -v swift)"
}

build_address() {
    # The release build's flags, so that what is tested is what is shipped, and checked copies (checked_copy.c). Not
    # object-size: the compiler does not come to an end (LLVM's lowering of its intrinsic, with the unwind tables'
    # flags), and AddressSanitizer sees the same.
    (cd "$ROOT" && swift build -c release --product pmemshim --scratch-path .build/address \
        --sanitize=address -Xlinker "$1" -Xcc -DPS_CHECKED_COPIES -Xswiftc -DPMEMSHIM_CHECKS \
        -Xcc -fsanitize=undefined -Xcc -fno-sanitize-recover=undefined -Xcc -fno-sanitize=object-size)
}

# Prints what the runtime has reported, and fails if that was anything. It warns of swapcontext, and of exits on stacks
# that programs have made themselves, which it does not follow: no report.
no_reports() {
    local found warning
    warning="WARNING: ASan (doesn't fully support makecontext/swapcontext|is ignoring requested __asan_handle_no_)"
    warning+='|^False positive error reports may follow|^For details see '
    found=$(find "$1" -type f -exec grep -hvE "$warning" {} + | head -n 200 || true)
    [[ -z $found ]] && return
    printf '%s\n' "$found" >&2
    warn "a sanitizer has reported $(find "$1" -type f | wc -l) times"
    return 1
}

sanitize_address() {
    find_toolchain
    local runtime reports status=0
    runtime=$("$TOOLCHAIN/clang" -print-file-name=libclang_rt.asan-x86_64.so)
    [[ -f $runtime ]] || die "the Swift toolchain has no libclang_rt.asan-x86_64.so"
    build_address "$runtime" || return 1
    reports=$(mktemp -d "${TMPDIR:-/tmp}/pmemshim-address.XXXXXX")
    chmod 1777 "$reports" # some programs run as other users
    local -a what=(--filter 'InterposeTests\.' --filter 'ExerciserTests\.(DifferenceTests|FoundTests)')
    if (($#)); then what=("$@"); fi
    local skip _
    while read -r skip _; do what+=(--skip "$skip"); done < <(address_skips)
    PMEMSHIM_LIBRARY=$(open_library "$ROOT/.build/address/release/libpmemshim.so") PMEMSHIM_PRELOAD_FIRST=$runtime \
        ASAN_OPTIONS=$(address_options "$reports") swift test "${what[@]}" || status=1
    no_reports "$reports" || status=1
    rm -rf "$reports"
    return "$status"
}

sanitize_threads() {
    local -a build=(--sanitize=thread --scratch-path .build/thread
        # The .so is built along with the tests. Nobody loads it, and the runtime is in the test's executable only.
        -Xlinker --unresolved-symbols=ignore-all
        # Swift's second opinion of the same accesses: swift_accesses.c tells.
        -Xlinker --wrap=__tsan_external_write)
    swift build --build-tests "${build[@]}" || return 1
    local reports status=0
    # A race whose earlier access has left the thread's history is dropped without a word: the longest history there is.
    local common=exitcode=66:history_size=7
    reports=$(mktemp -d "${TMPDIR:-/tmp}/pmemshim-threads.XXXXXX")
    mkdir "$reports/wanted" "$reports/unwanted"
    say "a race that must be found"
    PMEMSHIM_SABOTAGE=race TSAN_OPTIONS=$common:log_path=$reports/wanted/report \
        swift test --skip-build "${build[@]}" --filter 'EngineThreadTests\.SabotageTests' \
        > "$reports/output" 2>&1 || true
    if ! grep -qs 'ThreadSanitizer: data race .*/PmemShim/Descriptors/Engine+Inodes' "$reports"/wanted/*; then
        cat "$reports/output" >&2
        warn "two threads in the engine's tables without its lock, and ThreadSanitizer has not noticed"
        status=1
    fi
    say "the engine's threads"
    TSAN_OPTIONS=$common:log_path=$reports/unwanted/report \
        swift test --skip-build "${build[@]}" --filter 'EngineThreadTests\.EngineThreadTests' || status=1
    no_reports "$reports/unwanted" || status=1
    rm -rf "$reports"
    return "$status"
}
