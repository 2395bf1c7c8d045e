# shellcheck shell=bash
# shellcheck disable=SC2154,SC2317 # variables and functions of scripts/mirror-dax, which calls these by name
# scripts/mirror-dax kernel: a set without DAX, to both sides of which the kernel writes (dm-mirror), in the machine of
# scripts/dax-vm. Both sides are block devices that can be made to fail: mappings of the device mapper in front of loop
# devices.

kernel_sectors=$((160 * 2048))

# kernel_disk NAME: a block device of 160 MiB.
kernel_disk() {
    truncate --size 160M "/run/images/$1"
    dmsetup create "$1" --table "0 $kernel_sectors linear $(losetup --find --show "/run/images/$1") 0" > /dev/null
    # Nobody makes a node in /dev/mapper here.
    echo "/dev/dm-$(dmsetup info --columns --noheadings --options minor "$1" | tr -d ' ')"
}

# kernel_table NAME [FIRST COUNT]: it fails from sector FIRST on, COUNT of them; without these, it works.
kernel_table() {
    local name=$1 first=${2:-0} count=${3:-0} below
    below=$(losetup --noheadings --output NAME --associated "/run/images/$name")
    {
        if ((first)); then echo "0 $first linear $below 0"; fi
        if ((count)); then echo "$first $count error"; fi
        if ((first + count < kernel_sectors)); then
            echo "$((first + count)) $((kernel_sectors - first - count)) linear $below $((first + count))"
        fi
    } | dmsetup reload "$name"
    dmsetup resume "$name"
}

kernel_attach() {
    "$shimctl" attach "$own" --name first > /run/attached 2>&1
    grep -q 'mirrored by the kernel (dm-mirror)' /run/attached || { cat /run/attached && return 1; }
    mount /dev/pmemshim/first "$point"
}
kernel_detach() { umount "$point" && "$shimctl" detach first; }

# Both data areas, while nothing is on its way to them.
kernel_equal() {
    local status=0
    local -a legs
    fsfreeze --freeze "$point"
    read -ra legs < <(dmsetup table |
        sed -n 's|.* mirror .* 2 7:\([0-9]*\) 0 7:\([0-9]*\) 0.*|/dev/loop\1 /dev/loop\2|p')
    # Not what the kernel has cached of them.
    cmp <(dd if="${legs[0]}" bs=1M iflag=direct status=none) <(dd if="${legs[1]}" bs=1M iflag=direct status=none) ||
        status=1
    fsfreeze --unfreeze "$point"
    ((${#legs[@]} == 2)) && return "$status"
}

kernel_state() { [[ $("$shimctl" mirror status "${2:-first}" --json | python3 -c \
    'import json, sys; print(json.load(sys.stdin)["state"])') == "$1" ]]; }

kernel_beside() {
    local copier
    "$shimctl" mirror run "$limit" first --every 0.5 --freeze --full-every 5 --json > /run/passes 2> /run/complaints &
    copier=$!
    "$programs/mirror-stores" "$point/stores" 15 > /run/stores &
    mkdir "$point"/{served,reference}
    verdict 'the exerciser under the shim beside passes: no difference' under_shim env \
        PMEMSHIM_MOUNTS="$point" "$programs/exerciser" --served "$point/served" --reference "$point/reference" \
        --seed 78 --sequences 3 --ops 400 --quiet
    verdict 'SQLite under the shim beside passes' sqlite_says 'PRAGMA journal_mode=WAL; CREATE TABLE t(a, b);
        WITH RECURSIVE n(x) AS (VALUES(1) UNION ALL SELECT x + 1 FROM n WHERE x < 2000)
        INSERT INTO t SELECT x, randomblob(300) FROM n; UPDATE t SET b = randomblob(20) WHERE a % 3 = 0;
        PRAGMA integrity_check; SELECT 60;'
    wait %2
    for ((i = 0; i < 120 && $(wc -l < /run/passes) < 8; i++)); do sleep 1; done
    kill "$copier"
    wait "$copier" || true
    verdict 'no pass complained' none_of /run/complaints
    tell_passes
}

kernel_damage() {
    local data block
    head -c 2M /dev/urandom > "$point/still"
    sync
    sleep 0.2
    "$shimctl" mirror sync "$limit" first --freeze > /dev/null
    sums "$point" > /run/sums
    data=$("$shimctl" inspect "$own" --json | field superblock data_offset)
    block=$(pages "$point/still" | sed -n 20p)
    kernel_scribble "$other" $((data + block * 4096))
    verdict 'a page that is damaged on the mirror is named' named 1 mirror
    verdict 'and put right' "$shimctl" mirror repair "$limit" first
    kernel_scribble "$own" $((data + block * 4096))
    verdict 'a page that is damaged on the device is named' named 1 primary
    verdict 'and put back' "$shimctl" mirror repair "$limit" first
    verdict 'both sides are equal' kernel_equal
    verdict 'verify finds nothing' "$shimctl" mirror verify first
    sync
    dd if="$own" iflag=nocache count=0 status=none
    kernel_table own $(((data + block * 4096) / 512)) 8
    echo 3 > /proc/sys/vm/drop_caches
    sums "$point" > /run/again
    verdict 'what the device cannot read any more comes from the mirror' cmp /run/sums /run/again
    verdict 'verify names it all the same' named 1 unreadable
    kernel_table own
    verdict 'repair finds it well again' "$shimctl" mirror repair "$limit" first
    sums "$point" > /run/again
    verdict 'every byte is right' cmp /run/sums /run/again
}
kernel_scribble() {
    head -c 4096 /dev/urandom | dd of="$1" bs=4096 seek="$2" oflag=seek_bytes conv=notrunc,fsync status=none
}

# The mirror cannot be written to any more, then the device itself.
kernel_failures() {
    kernel_gone
    kernel_table other 4096 $((kernel_sectors - 4096))
    verdict 'programs go on without the mirror' timeout 60 sh -c \
        "head -c 8M /dev/urandom > '$point/alone' && sync -f '$point'"
    verdict 'status says that the mirror is out of step' kernel_says 'has let it go' status
    verdict 'and a pass does so' kernel_says 'has let it go\|no longer' sync
    kernel_table other
    verdict 'detached' kernel_detach
    verdict 'what has missed writes is not called usable' kernel_refused
    verdict 'attached again' kernel_attach
    verdict 'both sides are equal again' kernel_equal
    verdict 'and usable' kernel_state kernel
    sums "$point" > /run/sums
    kernel_table own 4096 $((kernel_sectors - 4096))
    verdict 'programs go on without the device' timeout 60 sh -c \
        "head -c 8M /dev/urandom > '$point/ahead' && sync -f '$point'"
    sums "$point" > /run/sums
    verdict 'a pass says that the mirror is ahead' kernel_says 'only its mirror' sync
    kernel_table own
    verdict 'detached' kernel_detach
    verdict 'the device, which is behind, is refused' kernel_outdated
    "$shimctl" attach "$own" --name first --stale > /run/attached 2>&1
    verdict 'nothing is copied over what is ahead' grep -q 'attached without its mirror: .*promoted' /run/attached
    "$shimctl" detach first > /dev/null
    verdict 'the mirror is used in its place' "$shimctl" attach "$other" --name second
    verdict 'e2fsck finds nothing' e2fsck -f -n /dev/pmemshim/second
    mount /dev/pmemshim/second "$point"
    sums "$point" > /run/again
    verdict 'it has all that was written' cmp /run/sums /run/again
    umount "$point"
    "$shimctl" detach second > /dev/null
}
# All of the mirror is gone: not even its superblock can be marked.
kernel_gone() {
    kernel_table other 0 "$kernel_sectors"
    verdict 'programs go on where all of the mirror is gone' timeout 60 sh -c \
        "head -c 8M /dev/urandom > '$point/gone' && sync -f '$point'"
    verdict 'a pass says so' kernel_says 'has let it go.*could not be marked' sync
    verdict 'detached all the same' kernel_detach
    verdict 'and attached without it' kernel_attach_alone
    verdict 'detached' kernel_detach
    kernel_table other
    verdict 'attached with it, which is back' kernel_attach
    verdict 'both sides are equal' kernel_equal
}
kernel_outdated() {
    ! "$shimctl" attach "$own" --name first > /run/attached 2>&1 && grep -q 'is outdated: its mirror' /run/attached
}
kernel_attach_alone() {
    "$shimctl" attach "$own" --name first > /run/attached 2>&1 && mount /dev/pmemshim/first "$point" &&
        grep -q 'attached without its mirror' /run/attached
}

kernel_says() {
    if "$shimctl" mirror "$2" first > /run/words 2>&1; then return 1; fi
    grep -q "$1" /run/words || { cat /run/words && return 1; }
}
kernel_refused() {
    ! "$shimctl" attach "$other" --promote > /run/words 2>&1 && grep -q 'cannot take the place' /run/words
}

# The machine is lost while a program writes: what the mirror holds then is taken as after a power cut.
kernel_lost() {
    local writer epoch
    "$shimctl" create "$own" --force --size 128M > /dev/null
    "$shimctl" mirror add "$own" "$other" --force > /dev/null
    "$shimctl" attach "$own" --name first > /dev/null
    mkfs.ext4 -q /dev/pmemshim/first
    mount /dev/pmemshim/first "$point"
    (
        for ((i = 1; i < 5000; i++)); do
            echo "INSERT INTO t VALUES($i);"
            echo "SELECT 'done $i';"
        done
    ) > /run/inserts
    sqlite3 "$point/b.db" 'PRAGMA journal_mode=WAL; CREATE TABLE t(a);' > /dev/null
    (
        export LD_PRELOAD="$library" PMEMSHIM_MAP_AFTER=0 PMEMSHIM_RUNTIME_DIR=/run/figures
        exec stdbuf -oL sqlite3 -cmd 'PRAGMA synchronous=FULL;' "$point/b.db" < /run/inserts > /run/inserted 2>&1
    ) &
    writer=$!
    for ((i = 0; i < 600 && $(wc -l < /run/inserted) < 300; i++)); do sleep 0.1; done
    epoch=$(tail -n 1 /run/inserted)
    cp --sparse=always /run/images/other /run/images/lost
    {
        kill -KILL "$writer" || true
        wait "$writer" || true
    } 2> /dev/null
    kernel_detach > /dev/null
    lost=$(losetup --find --show /run/images/lost)
    verdict 'a mirror whose machine was lost takes the place' "$shimctl" attach "$lost" --promote --name third
    mount /dev/pmemshim/third "$point"
    kernel_count=$(sqlite3 "$point/b.db" 'SELECT count(*) FROM t')
    verdict "all of ${epoch#done } commits are there" test "$kernel_count" -ge "${epoch#done }"
    verdict 'and whole' sh -c "sqlite3 '$point/b.db' 'PRAGMA integrity_check' | grep -qx ok"
    umount "$point"
    verdict 'e2fsck finds nothing' e2fsck -f -n /dev/pmemshim/third
    "$shimctl" detach third > /dev/null
}

# An image on a disk that cannot be read any more: an error, as without us, and not zeros.
kernel_image() {
    local disk byte block page
    disk=$(kernel_disk disk)
    mkdir /run/disk
    mkfs.ext4 -q -b 4096 "$disk" && mount "$disk" /run/disk
    "$shimctl" create /run/disk/image --size 64M > /dev/null
    "$shimctl" attach /run/disk/image --name image > /dev/null
    mkfs.ext4 -q -b 4096 /dev/pmemshim/image && mount /dev/pmemshim/image "$point"
    head -c 2M /dev/urandom > "$point/file"
    sync
    page=$(pages "$point/file" | sed -n 20p)
    byte=$(("$("$shimctl" inspect /run/disk/image --json | field superblock data_offset)" + page * 4096))
    block=$(debugfs -R "bmap image $((byte / 4096))" "$disk" 2> /dev/null | head -n 1)
    kernel_table disk $((block * 8)) 8
    echo 3 > /proc/sys/vm/drop_caches
    verdict 'what an image'\''s disk cannot read is an error, and not zeros' unreadable "$point/file"
    kernel_table disk
    verdict 'and is right when it can' cat "$point/file"
    umount "$point"
    "$shimctl" detach image > /dev/null
}

kernel_mirror() {
    mkdir /run/images
    own=$(kernel_disk own) other=$(kernel_disk other)
    "$shimctl" create "$own" --size 128M > /dev/null
    "$shimctl" mirror add "$own" "$other" > /dev/null
    verdict 'attach lets the kernel write to both, and says so' kernel_attach_first
    verdict 'status calls it so' kernel_state kernel
    kernel_beside
    verdict 'both sides are equal' kernel_equal
    verdict 'a last pass' "$shimctl" mirror sync "$limit" first --freeze --full
    verdict 'verify finds nothing' "$shimctl" mirror verify first
    kernel_damage
    verdict 'it is not let go while the kernel writes to it' kernel_kept
    verdict 'detached' kernel_detach
    verdict 'what has been detached is usable' kernel_state kernel "$own"
    verdict 'attached again' kernel_attach
    verdict 'both sides are equal' kernel_equal
    kernel_failures
    kernel_lost
    kernel_image
}
kernel_attach_first() {
    "$shimctl" attach "$own" --name first > /run/attached 2>&1
    grep -q 'mirrored by the kernel (dm-mirror)' /run/attached || { cat /run/attached && return 1; }
    mkfs.ext4 -q /dev/pmemshim/first && mount /dev/pmemshim/first "$point"
}
kernel_kept() { ! "$shimctl" mirror remove first > /run/words 2>&1 && grep -q 'detach it first' /run/words; }
