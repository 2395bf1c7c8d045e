#!/bin/bash
# Process 1 of the machine of scripts/dax-vm, on the host's root: makes and mounts the file systems, runs the command,
# reports its exit status, switches off. Its argument is the host's directory of this run.
set -euo pipefail
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
run=$1
# shellcheck disable=SC1091 # written by scripts/dax-vm
source "$run/settings"
ext4=${ext4:-} xfs=${xfs:-} mount=${mount:-} format=${format:-} modules=${modules:-}

note() { echo "dax-vm: $*" > /dev/console; }

# The device file of a virtio port.
port() {
    local entry
    for entry in /sys/class/virtio-ports/*; do
        if [[ $(< "$entry/name") == "$1" ]]; then echo "/dev/$(basename "$entry")"; fi
    done
}

# Says how it went, and ends the machine.
finish() {
    echo "$1" > "$(port status)" || true
    cd /
    kill -KILL -1 2> /dev/null || true # everybody but us
    umount -a -t ext4,xfs 2> /dev/null || true
    sync
    echo o > /proc/sysrq-trigger
    while :; do sleep 1; done
}

fail() {
    note "$*"
    finish "$*"
}
trap 'fail "line $LINENO failed"' ERR

prepare_system() {
    mount -t tmpfs -o mode=755 tmpfs /run
    mkdir -p /dev/shm /dev/pts /run/lock
    mount -t tmpfs -o mode=1777 tmpfs /dev/shm
    mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
    ln -sf /proc/self/fd /dev/fd
    ln -sf fd/0 /dev/stdin
    ln -sf fd/1 /dev/stdout
    ln -sf fd/2 /dev/stderr
    chmod 666 /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty /dev/ptmx
    busybox ifconfig lo up
    hostname dax-vm 2> /dev/null || busybox hostname dax-vm
    mkdir -p /lib/modules
    mkdir "/run/modules"
    mount --bind "$modules/lib/modules" /lib/modules
}

# The block device of a bus: e820 is the legacy device, ACPI.NFIT the nvdimm.
device_of() {
    local provider=$1 entry bus
    for entry in /sys/block/pmem*; do
        [[ -e $entry ]] || continue
        bus=$(readlink --canonicalize "$entry/device" | grep --only-matching 'ndbus[0-9]*' | head -n 1)
        if [[ $(< "/sys/bus/nd/devices/$bus/provider") == "$provider" ]]; then
            echo "/dev/$(basename "$entry")"
            return
        fi
    done
}

prepare_devices() {
    # crc32c before libcrc32c, which looks for it when it is loaded.
    modprobe -a crc32c_generic crc32c_intel libcrc32c nd_e820 nfit nd_pmem ext4 xfs loop dm_mod
    legacy=$(device_of e820)
    [[ -n $legacy ]] || fail "there is no legacy device"
    # As it comes the nvdimm is raw, and ext4 refuses DAX there. Its number depends on what else is there.
    ndctl list --namespaces --idle --bus=ACPI.NFIT > /run/namespaces
    if ! grep -q '"mode":"fsdax"' /run/namespaces; then
        local namespace
        namespace=$(sed -n 's/.*"dev":"\([^"]*\)".*/\1/p' /run/namespaces | head -n 1)
        ndctl create-namespace --force --reconfig="$namespace" --mode=fsdax > /run/ndctl 2>&1 ||
            fail "ndctl: $namespace: $(tr '\n' ' ' < /run/ndctl)"
    fi
    nvdimm=$(device_of ACPI.NFIT)
    [[ -n $nvdimm ]] || fail "there is no nvdimm"
}

make_ext4() { mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0,nodiscard,stride=512,stripe_width=512 "$1"; }
make_xfs() { mkfs.xfs -q -f -K -m reflink=0 -d su=2m,sw=1 "$1"; }

# prepare_file_system TYPE DEVICE NAME: 2 MiB stripes, so that large files get extents that huge pages can map.
prepare_file_system() {
    local type=$1 device=$2 directory=$3
    if [[ $device != "$nvdimm" ]] || ((format)); then
        "make_$type" "$device" > /run/mkfs 2>&1 || fail "mkfs.$type $device: $(tr '\n' ' ' < /run/mkfs)"
    fi
    mkdir -p "$directory"
    mount -t "$type" -o dax=always "$device" "$directory" 2> /run/mount-errors ||
        fail "mount of $type on $device: $(tr '\n' ' ' < /run/mount-errors)"
    chmod 1777 "$directory"
}

device_named() {
    case $1 in
        legacy) echo "$legacy" ;;
        nvdimm) echo "$nvdimm" ;;
    esac
}

run_command() {
    local -a command environment
    mapfile -d '' -t command < "$run/command"
    mapfile -d '' -t environment < "$run/environment"
    environment+=(DAX_VM_LEGACY="$legacy" DAX_VM_NVDIMM="$nvdimm")
    if ((mount)) && [[ $ext4 != none ]]; then environment+=(DAX_VM_EXT4=/mnt/ext4-dax); fi
    if ((mount)) && [[ $xfs != none ]]; then environment+=(DAX_VM_XFS=/mnt/xfs-dax); fi
    cd "$(< "$run/directory")" || fail "no such directory: $(< "$run/directory")"
    local status=0 output complaints relay
    local -a relays
    # Through pipes: a port can be opened only once, and programs open their own output again.
    exec {output}> >(exec cat > "$(port output)")
    relays=($!)
    exec {complaints}> >(exec cat > "$(port complaints)")
    relays+=($!)
    note "running ${command[*]}"
    setsid --wait env --ignore-environment "${environment[@]}" "${command[@]}" \
        < /dev/null 1>&"$output" 2>&"$complaints" {output}>&- {complaints}>&- || status=$?
    exec {output}>&- {complaints}>&-
    # What the command left running may hold the pipes open: not waited for.
    local tries
    for relay in "${relays[@]}"; do
        for ((tries = 0; tries < 50; tries++)); do
            kill -0 "$relay" 2> /dev/null || break
            sleep 0.1
        done
    done
    finish "$status"
}

prepare_system
prepare_devices
if ((mount)); then
    if [[ $ext4 != none ]]; then prepare_file_system ext4 "$(device_named "$ext4")" /mnt/ext4-dax; fi
    if [[ $xfs != none ]]; then prepare_file_system xfs "$(device_named "$xfs")" /mnt/xfs-dax; fi
fi
run_command
