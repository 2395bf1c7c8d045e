#!/bin/busybox sh
# shellcheck shell=dash
# First program of the machine of scripts/dax-vm, in its initramfs: puts a tmpfs over the host's root and goes there.
set -eu
busybox=/bin/busybox
$busybox mount -t proc proc /proc
$busybox mount -t sysfs sysfs /sys
$busybox mount -t devtmpfs devtmpfs /dev
while read -r module; do $busybox insmod "/modules/$module"; done < /modules/order
$busybox mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro hostroot /host
$busybox mount -t tmpfs -o mode=755 changes /changes
$busybox mkdir /changes/upper /changes/work
$busybox mount -t overlay -o lowerdir=/host,upperdir=/changes/upper,workdir=/changes/work overlay /root
for directory in proc sys dev; do
    $busybox mkdir -p "/root/$directory"
    $busybox mount --move "/$directory" "/root/$directory"
done
run=
# shellcheck disable=SC2013 # words are wanted
for word in $($busybox cat /root/proc/cmdline); do
    case $word in pmemshim.run=*) run=${word#*=} ;; esac
done
guest=
while IFS= read -r line; do
    case $line in guest=*) eval "$line" ;; esac
done < "/root/$run/settings"
exec $busybox switch_root /root /bin/bash "$guest" "$run"
