# shellcheck shell=bash
# shellcheck disable=SC2154 # programs: of scripts/bench
# scripts/bench dax: instructions per operation on a DAX mount, natively and under the shim, in the machine of
# scripts/dax-vm. Sourced by scripts/bench, outside and (bench dax-inside) in the machine.

# bench_dax [--xfs] [--strict] [--no-build] [--library SO] [--lines FILE] [ROW...]
bench_dax() {
    local build=1 library='' status=0 file_system=ext4 kept='' lines
    local -a rows=() report=()
    while (($# > 0)); do
        case $1 in
            --xfs) file_system=xfs && shift ;;
            --strict) report+=(--strict) && shift ;;
            --no-build) build=0 && shift ;;
            --library) library=$(realpath "${2:?--library SO}") && build=0 && shift 2 ;;
            --lines) kept=$(realpath "${2:?--lines FILE}") && shift 2 ;;
            -*) usage ;;
            *) rows+=("$1") && shift ;;
        esac
    done
    "$ROOT/scripts/setup" --databases
    if ((build)); then build_release; fi
    library=${library:-$ROOT/.build/release/libpmemshim.so}
    [[ -f $library ]] || die "no $library: build it, or leave out --no-build"
    make --silent -C "$ROOT/Benchmarks/dax" OUT="$programs" || die "building the benchmark failed"
    make --silent -C "$ROOT/Benchmarks/databases" OUT="$programs" || die "building the drivers failed"
    if ((${#rows[@]} == 0)); then
        mapfile -t rows < <({ "$programs/dax-rows" --list && dax_databases; } | cut -f 1; echo pgbench)
    fi

    trap cleanup EXIT
    trap 'exit 130' INT TERM
    scratch=$(mktemp -d "${TMPDIR:-/tmp}/pmemshim-bench.XXXXXX")
    lines=${kept:-$scratch/lines}
    { "$programs/dax-rows" --list && dax_databases; } | sed 's/^/title\t/' > "$lines"
    printf 'title\tpgbench\tpgbench transaction (TPC-B, one client)\n' >> "$lines"
    dax_prepare_databases "$scratch/databases" "${rows[@]}"
    say "bench dax: ${rows[*]} on $file_system with DAX, by instructions"
    # What is measured lies on the legacy device, whichever file system it is.
    local -a machine=(--icount --timeout 3600 --ext4 legacy --xfs none)
    if [[ $file_system == xfs ]]; then machine=(--icount --timeout 3600 --ext4 none --xfs legacy); fi
    PMEMSHIM_LIBRARY=$library "$ROOT/scripts/dax-vm" "${machine[@]}" \
        "$ROOT/scripts/bench" dax-inside "$scratch/databases" "${rows[@]}" | tee -a "$lines" |
        sed -u 's/^figure\t/    /' || status=1
    "$ROOT/Benchmarks/report/dax.py" "$lines" "${report[@]}" || status=1
    return "$status"
}

# dax_side SIDE: sets `environment`, what makes a program run natively, under the shim, or alone on the mount.
dax_side() {
    environment=(PMEMSHIM_RUNTIME_DIR=/run/statistics."$1")
    mkdir -p /run/statistics."$1"
    chmod 700 /run/statistics."$1"
    case $1 in
        shim) environment+=(LD_PRELOAD="$PMEMSHIM_LIBRARY") ;;
        exclusive) environment+=(LD_PRELOAD="$PMEMSHIM_LIBRARY" PMEMSHIM_EXCLUSIVE=1) ;;
    esac
}

# In the machine: bench_dax_inside DATABASES ROW... prints "figure<tab>SIDE<tab>ROW<tab>NS<tab>LEAST<tab>MOST" lines.
bench_dax_inside() {
    local place=${DAX_VM_EXT4:-${DAX_VM_XFS:?only in scripts/dax-vm}} side row library=$PMEMSHIM_LIBRARY pgbench=0
    local templates=$1
    local -a environment rows=() databases=()
    shift
    for row in "$@"; do
        case $row in
            pgbench) pgbench=1 ;;
            databases/*) databases+=("$row") ;;
            *) rows+=("$row") ;;
        esac
    done
    if ((${#rows[@]})); then
        # There and back: what the file system has done before makes its appends dearer, 1 % within a run.
        for side in native shim exclusive exclusive shim native; do
            dax_side "$side"
            env -u PMEMSHIM_LIBRARY "${environment[@]}" "$programs/dax-rows" "$place" "${rows[@]}" |
                sed -u "s/^/figure\t$side\t/"
        done
    fi
    bench_dax_databases "$place" "$templates" "${databases[@]}"
    if ((pgbench)); then PMEMSHIM_LIBRARY=$library bench_dax_pgbench "$place"; fi
}

# One cluster, made natively; a server for each side, warmed up first.
bench_dax_pgbench() {
    local place=$1 cluster side library
    local -a environment
    # shellcheck source=scripts/lib/postgres.sh
    source "$ROOT/scripts/lib/postgres.sh"
    postgres_trap
    postgres_scratch cluster "$place"
    library=$(postgres_readable "$cluster" "$PMEMSHIM_LIBRARY")
    postgres_init "$cluster"
    postgres_start "$cluster"
    postgres_run "$cluster" -- pgbench --initialize --quiet --scale=1 > "$cluster/fill.log" 2>&1
    postgres_stop "$cluster"
    for side in native shim exclusive; do
        environment=()
        if [[ $side != native ]]; then environment=(LD_PRELOAD="$library"); fi
        if [[ $side == exclusive ]]; then environment+=(PMEMSHIM_EXCLUSIVE=1); fi
        postgres_start "$cluster" "${environment[@]}"
        postgres_run "$cluster" -- pgbench --no-vacuum --transactions=300 > /dev/null 2>&1
        postgres_run "$cluster" -- pgbench --no-vacuum --transactions=500 2> /dev/null |
            awk -v side="$side" '/^latency average/ {
                ns = $4 * 1e6; printf "figure\t%s\tpgbench\t%.0f\t%.0f\t%.0f\n", side, ns, ns, ns }'
        postgres_stop "$cluster"
    done
}

# The machine's page cache, before and after reading MIB from ext4 and from xfs. The contrast needs as much memory
# again.
bench_dax_cache() {
    [[ -f $ROOT/.build/release/libpmemshim.so ]] || build_release
    make --silent -C "$ROOT/Tests/Programs" OUT="$ROOT/.build/programs" || die "building the programs failed"
    "$ROOT/scripts/dax-vm" --nvdimm-size 2048 --memory 2048 "$ROOT/scripts/bench" dax-cache-inside "$1"
}
