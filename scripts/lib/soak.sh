# shellcheck shell=bash
# The exerciser for as long as one likes, in all its modes, with seeds nobody has tried before, on every file system
# that can be had here. Sourced by scripts/test, which has built everything and sourced common.sh.

soak_mounts=()
soak_directory=
soak_parent=
soak_runtime=

soak_clean() {
    local mount
    for mount in "${soak_mounts[@]}"; do umount --lazy "$mount" || true; done
    rm -rf ${soak_directory:+"$soak_directory"} ${soak_parent:+"$soak_parent"}
}

# soak_mount NAME MOUNT-ARGUMENTS...: an empty file system at $soak_directory/NAME; fails where this user may not.
soak_mount() {
    local directory=$soak_directory/$1
    shift
    mkdir -p "$directory"
    mount "$@" "$directory" 2> /dev/null || return 1
    soak_mounts+=("$directory")
}

soak_sides() { mkdir "$soak_directory/$1/served" "$soak_directory/$1/reference" "$soak_directory/$1/outside"; }

soak_mount_ext4() {
    local image=$soak_directory/image
    truncate --size 512M "$image" && mkfs.ext4 -q -F "$image" 2> /dev/null && soak_mount ext4 -t ext4 -o loop "$image"
}

# The shim's runtime directory, which mode runtime damages: nothing else is in it. On a small file system of its own,
# where it can also be filled, and not itself a mount, so that it can be removed.
soak_make_runtime() {
    soak_runtime=$soak_directory/runtime/run
    soak_mount runtime -t tmpfs -o size=16m,mode=0755 pmemshim-soak || true
    mkdir -m 0700 "$soak_runtime"
}

# soak_piece SERVED REFERENCE OUTSIDE ITEM OPTIONS...: prints what the exerciser prints of it.
soak_piece() {
    local served=$1 reference=$2 outside=$3 item=$4
    shift 4
    LD_PRELOAD=$PMEMSHIM_LIBRARY PMEMSHIM_MOUNTS=$item PMEMSHIM_MAP_AFTER=0 PMEMSHIM_RUNTIME_DIR=$soak_runtime \
        "$PMEMSHIM_PROGRAMS/exerciser" --served "$served" --reference "$reference" --outside "$outside" \
        --runtime "$soak_runtime" --sequences 1000000 --seconds 20 --ops 2000 --quiet "$@"
}

# soak MINUTES: 0 and the sum when nothing differed; 1 at the first difference, which is shortened and told.
soak() {
    local deadline=$((SECONDS + $1 * 60)) before=$SECONDS turn=0 status=0 operations=0
    local name directory served reference outside item output
    local -a kinds=(tmpfs) options own=()
    soak_directory=$(mktemp -d)
    trap soak_clean EXIT
    soak_make_runtime
    if soak_mount tmpfs -t tmpfs -o size=512m,mode=0755 pmemshim-soak; then
        soak_sides tmpfs
        # Nothing else is on these: they may be mounted anew with other options.
        own=(--own-mount)
        if soak_mount huge -t tmpfs -o size=512m,mode=0755,huge=always pmemshim-soak; then
            soak_sides huge
            kinds+=(huge)
        fi
        mkdir "$soak_directory/small"
        if soak_mount small/served -t tmpfs -o size=16m,mode=0755 pmemshim-soak &&
            soak_mount small/reference -t tmpfs -o size=16m,mode=0755 pmemshim-soak; then
            kinds+=(small)
        fi
        if soak_mount_ext4; then
            soak_sides ext4
            kinds+=(ext4)
        fi
    else
        warn "soak: this user may not mount: in a directory on a tmpfs only"
        rmdir "$soak_directory/tmpfs"
        soak_parent=$(make_tmpfs_directory 256)
        ln -s "$soak_parent" "$soak_directory/tmpfs"
        soak_sides tmpfs
    fi
    say "soak: $1 min on ${kinds[*]}"
    while ((SECONDS < deadline && status == 0)); do
        name=${kinds[turn % ${#kinds[@]}]}
        directory=$(realpath "$soak_directory/$name")
        served=$directory/served reference=$directory/reference outside=$directory/outside
        item=$served
        options=(--modes all "${own[@]}")
        case $name in
            huge) options+=(--huge --ops 500) ;;
            ext4) item=$served:pagecache ;;
            small) # each side on a small file system of its own, which may be filled
                served=$soak_directory/small/served
                reference=$soak_directory/small/reference
                outside=$soak_directory/tmpfs/outside
                item=$served
                options=(--modes "threads,exec,faults")
                ;;
        esac
        # Every third round as it was before there were modes.
        if ((turn / ${#kinds[@]} % 3 == 2)); then options+=(--modes none --times); fi
        turn=$((turn + 1))
        output=$(soak_piece "$served" "$reference" "$outside" "$item" "${options[@]}") || status=1
        printf '%s: %s: %s\n' "$name" "${options[*]}" "$output"
        output=$(sed -n 's/.* \([0-9]*\) operations (.*/\1/p' <<< "$output" | tail -n 1)
        operations=$((operations + ${output:-0}))
    done
    printf 'soak: %d operations in %d s, differences %d\n' "$operations" $((SECONDS - before)) "$status"
    return "$status"
}
