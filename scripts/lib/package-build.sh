# shellcheck shell=bash
# How scripts/package builds. Sourced by it.

# build_package DIRECTORY VERSION: builds the work tree's copy in DIRECTORY/pmemshim-VERSION, where what Swift has built
# stays for the next time, and puts what comes of it into DIRECTORY/results.
build_package() {
    local directory=$1 version=$2
    local tree=$directory/pmemshim-$version
    mkdir -p "$directory"
    copy_tree "$tree"
    rm -rf "$directory/results" "$directory"/pmemshim*_*
    mkdir "$directory/results"
    (cd "$tree" && dpkg-buildpackage --build=binary --unsigned-source --unsigned-changes) > "$directory/log" 2>&1 || {
        tail -n 40 "$directory/log" >&2
        die "dpkg-buildpackage failed: all of its output is in $directory/log"
    }
    mv "$directory"/pmemshim*_"$version"_amd64.* "$directory/results/"
    build_tarball "$tree" "$directory/results/pmemshim-$version-linux-x86_64.tar.xz"
}

# copy_tree DIRECTORY: the work tree, with packaging/debian as debian too. Files that are the same stay as they are, and
# so does .build: Swift then builds only what has changed.
copy_tree() {
    local tree=$1 list
    list=$(mktemp)
    git -C "$ROOT" ls-files -z --cached --others --exclude-standard |
        # What was deleted and is not committed yet is still among them.
        while IFS= read -r -d '' file; do
            if [[ -e $ROOT/$file || -L $ROOT/$file ]]; then printf '%s\0' "$file"; fi
        done > "$list"
    # git ignores the versions of the Swift packages; that both builds of a pair are of the same ones, it decides.
    if [[ -f $ROOT/Package.resolved ]]; then printf 'Package.resolved\0' >> "$list"; fi
    mkdir -p "$tree"
    # rsync deletes nothing by a list of names: what is there no more goes before.
    (cd "$tree" && find . -name .build -prune -o \( -type f -o -type l \) -printf '%P\0') |
        LC_ALL=C sort --zero-terminated |
        LC_ALL=C comm --zero-terminated -23 - <(LC_ALL=C sort --zero-terminated "$list") |
        (cd "$tree" && xargs --null --no-run-if-empty rm --)
    rsync --archive --from0 --files-from="$list" "$ROOT/" "$tree/"
    rm "$list"
    rm -rf "$tree/debian"
    cp --archive "$ROOT/packaging/debian" "$tree/debian"
}

# build_tarball TREE FILE: what scripts/install puts below a prefix, below one directory.
build_tarball() {
    local tree=$1 file=$2 work name
    name=$(basename "$file" .tar.xz)
    work=$(mktemp -d)
    "$tree/scripts/install" --no-build --prefix /usr/local --destdir "$work" > /dev/null
    mv "$work/usr/local" "$work/$name"
    # It will be unpacked into directories that are there already: only those with our name are ours to remove.
    sed -i '/^d /{/pmemshim/!d}' "$work/$name/share/pmemshim/manifest"
    # Files only: tar would give directories that are there already, /usr/local/bin say, another owner and mode.
    (cd "$work" && find "$name" -type f | LC_ALL=C sort) > "$work/list"
    tar --create --directory "$work" --no-recursion --verbatim-files-from --files-from "$work/list" \
        --format=ustar --owner=root:0 --group=root:0 --mtime="@$SOURCE_DATE_EPOCH" |
        xz --threads=1 > "$file"
    rm -rf "$work"
}

# compare_results DIRECTORY DIRECTORY: each package and tarball of the first is in the second, the same to the byte.
compare_results() {
    local file different=0
    for file in "$1"/*.deb "$1"/*.tar.xz; do
        if cmp "$file" "$2/$(basename "$file")"; then
            printf '%s: the same bytes, sha256 %s\n' "$(basename "$file")" "$(sha256sum "$file" | cut -c 1-16)..."
        else
            different=1
        fi
    done
    ((!different)) || die "two builds differ; diffoscope tells how: $1, $2"
}
