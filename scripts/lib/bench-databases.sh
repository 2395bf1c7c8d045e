# shellcheck shell=bash
# scripts/bench databases: sourced by it. Uses what it has: say, warn, die, mount_huge, cleanup, programs, scratch.

# bench_databases [--quick] [--pairs N] [--json FILE] [--plots DIRECTORY] [--list] [--no-build] [--library SO]
#     [--place tmpfs|huge|ext4]... [ROW...]
bench_databases() {
    local library='' build=1 list=0 place
    local -a options=() places=()
    while (($# > 0)); do
        case $1 in
            --json | --plots) options+=("$1" "$(realpath "${2:?$1 NAME}")") && shift 2 ;;
            --pairs | --seed) options+=("$1" "${2:?$1 NUMBER}") && shift 2 ;;
            --place) places+=("${2:?--place KIND}") && shift 2 ;;
            --no-build) build=0 && shift ;;
            --library) library=$(realpath "${2:?--library SO}") && build=0 && shift 2 ;;
            --list) list=1 && options+=("$1") && shift ;;
            --quick) options+=("$1") && places=(tmpfs) && shift ;;
            -*) usage ;;
            *) options+=("$1") && shift ;;
        esac
    done
    ((${#places[@]})) || places=(tmpfs huge ext4)
    "$ROOT/scripts/setup" --databases
    # shellcheck disable=SC2154 # scripts/bench assigns programs
    make --silent -C "$ROOT/Benchmarks/databases" OUT="$programs" || die "building the drivers failed"
    if ((build)); then build_release; else find_release; fi
    library=${library:-$PMEMSHIM_LIBRARY}
    trap cleanup EXIT
    trap 'exit 130' INT TERM
    # Servers that refuse root have to get through it.
    scratch=$(make_tmpfs_directory 3072)
    chmod 0711 "$scratch"
    local -a mounts=()
    for place in "${places[@]}"; do
        case $place in
            tmpfs)
                mkdir -m 0711 "$scratch/tmpfs"
                mounts+=(--place "tmpfs=$scratch/tmpfs")
                ;;
            huge)
                ((list)) || mount_huge 6g
                if ((list)) || [[ -n $mounted ]]; then mounts+=(--place "huge=$scratch/huge"); fi
                ;;
            ext4)
                ((list)) || mount_image 3G
                if ((list)) || [[ -n $image_mounted ]]; then mounts+=(--place "ext4=$scratch/ext4:pagecache"); fi
                ;;
            *) die "--place: tmpfs, huge or ext4, not $place" ;;
        esac
    done
    "$ROOT/.build/python/bin/python" "$ROOT/Benchmarks/report/databases.py" run --programs "$programs" \
        --library "$library" --shimctl "$SHIMCTL" "${mounts[@]}" "${options[@]}"
}

# bounds_databases [--against FILE] [ROW...]: on tmpfs, where the targets are
bounds_databases() {
    local -a options=()
    if [[ ${1:-} == --against ]]; then
        options=(--against "$(realpath "${2:?--against FILE}")")
        shift 2
    fi
    "$ROOT/scripts/setup" --databases
    make --silent -C "$ROOT/Benchmarks/databases" OUT="$programs" || die "building the drivers failed"
    trap cleanup EXIT
    trap 'exit 130' INT TERM
    scratch=$(make_tmpfs_directory 3072)
    chmod 0711 "$scratch"
    mkdir -m 0711 "$scratch/tmpfs"
    "$ROOT/.build/python/bin/python" "$ROOT/Benchmarks/report/databases.py" bounds --programs "$programs" \
        --place "tmpfs=$scratch/tmpfs" "${options[@]}" "$@"
}

# plot_databases FILE DIRECTORY
plot_databases() { "$ROOT/.build/python/bin/python" "$ROOT/Benchmarks/report/databases.py" plot "$1" "$2"; }
