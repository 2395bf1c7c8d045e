# shellcheck shell=bash
# The kernel of scripts/dax-vm: Debian's package, unpacked once in a cache directory, and an initramfs made from it.
# Sourced by scripts/dax-vm.

# Where modules of use to us are: without the others the cache has an eighth of the size.
kernel_folders() {
    printf './lib/modules/*/kernel/%s/*\n' arch block crypto fs lib mm net/9p \
        drivers/{acpi,block,char,cxl,dax,md,nvdimm,virtio}
}

# Sets kernel_version, kernel_image and kernel_modules (a directory that holds lib/modules).
prepare_kernel() {
    local cache=${XDG_CACHE_HOME:-$HOME/.cache}/pmemshim
    mkdir -p "$cache"
    # Two at once must not unpack over one another.
    exec {cache_lock}> "$cache/lock"
    flock "$cache_lock"
    local found
    found=$(find "$cache" -maxdepth 1 -name 'linux-image-*' -type d ! -name '*.part' | sort --version-sort | tail -n 1)
    if [[ -z $found ]]; then
        fetch_kernel "$cache"
        found=$(find "$cache" -maxdepth 1 -name 'linux-image-*' -type d ! -name '*.part' |
            sort --version-sort | tail -n 1)
    fi
    exec {cache_lock}>&-
    kernel_modules=$found
    kernel_version=$(basename "$found"/lib/modules/*)
    # shellcheck disable=SC2034 # scripts/dax-vm uses it
    kernel_image=$found/vmlinux
}

fetch_kernel() {
    local cache=$1 package archive part
    part=$cache/unpacked.part
    rm -rf "$part"
    mkdir "$part"
    package=$(apt-cache depends linux-image-amd64 2> /dev/null |
        sed -n 's/^ *Depends: \(linux-image-[^ ]*-amd64\)$/\1/p' | head -n 1)
    [[ -n $package ]] || die "apt knows no linux-image-amd64: run apt-get update"
    say "dax-vm: fetching $package into $cache" >&2
    (cd "$part" && apt-get download --quiet "$package" > download.log 2>&1) ||
        die "apt-get download: $(cat "$part/download.log")"
    archive=$(find "$part" -name '*.deb')
    local -a folders
    mapfile -t folders < <(kernel_folders)
    dpkg-deb --fsys-tarfile "$archive" |
        tar --extract --directory "$part" --wildcards \
            './boot/vmlinuz-*' './boot/config-*' './lib/modules/*/modules.*' "${folders[@]}"
    /sbin/depmod --basedir "$part" "$(basename "$part"/lib/modules/*)"
    unpack_image "$part"/boot/vmlinuz-* "$part/vmlinux"
    rm -rf "$archive" "$part/boot"/vmlinuz-*
    mv "$part" "$cache/$(basename "$archive" .deb)"
}

# Debian compresses with xz, and under emulation a kernel unpacks itself for seconds: done here, once. qemu starts the
# bare image through its PVH entry.
unpack_image() {
    local from=$1 to=$2 offset
    while IFS=: read -r offset _; do
        if tail --bytes=+$((offset + 1)) "$from" |
            xz --decompress --single-stream --quiet --stdout > "$to" 2> /dev/null ||
            [[ -s $to ]]; then
            [[ $(head --bytes=4 "$to") == $'\x7fELF' ]] && return
        fi
    done < <(LC_ALL=C grep --only-matching --byte-offset --text --perl-regexp '\xfd7zXZ\x00' "$from")
    die "no ELF image found in $from"
}

# What is needed to reach the host's root; the rest is loaded from there.
make_initramfs() {
    local to=$1 tree module path
    tree=$(dirname "$to")/tree
    mkdir -p "$tree"/{bin,modules,dev,proc,sys,host,changes,root}
    cp "$(command -v busybox)" "$tree/bin/busybox"
    cp "$ROOT/scripts/lib/dax-vm-init.sh" "$tree/init"
    chmod 755 "$tree/init"
    for module in virtio_pci 9pnet_virtio 9p overlay virtio_console virtio_rng; do
        /sbin/modprobe --dirname "$kernel_modules" --set-version "$kernel_version" --show-depends "$module"
    done | sed -n 's/^insmod //p' | awk '!seen[$1]++ { print $1 }' > "$tree/paths"
    while read -r path; do
        cp "$path" "$tree/modules/"
        basename "$path"
    done < "$tree/paths" > "$tree/modules/order"
    rm "$tree/paths"
    (cd "$tree" && find . | busybox cpio -o -H newc 2> /dev/null) > "$to"
    rm -rf "$tree"
}
