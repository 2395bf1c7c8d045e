# shellcheck shell=bash
# How scripts/install writes what is planned, and takes it away again. Sourced by it; `top` is the prefix below DESTDIR,
# `layout` and `work` are the script's own.
#
# The manifest has a line for each file that is installed (f), and for each directory that was made for it (d), relative
# to the prefix. The prefix itself is `.`, and what had to be made above it `..`, `../..` and so on.

# Written by scripts/install, which has set them.
: "${top?}" "${destdir?}" "${layout?}" "${work?}"

MANIFEST=share/pmemshim/manifest
# What the next end of the script takes away again: files under their temporary names, and directories made for them.
DRAFTS=()
MADE=()

abandon_files() {
    local i
    ((${#DRAFTS[@]})) && rm -f -- "${DRAFTS[@]}"
    for ((i = ${#MADE[@]} - 1; i >= 0; i--)); do rmdir -- "${MADE[i]}" 2> /dev/null || true; done
    DRAFTS=()
    MADE=()
}

# refuse PATH REASON: nothing has been renamed yet, so nothing is different.
refuse() {
    local reason=$2
    # The tools say which of their temporary names it was; the last part of their line says why.
    reason=${reason##*: }
    if [[ $reason == "Permission denied" ]]; then reason+=" (run it as root, or with another --prefix)"; fi
    die "$1 cannot be written: $reason; nothing has been changed"
}

draft_name() { printf '%s/.%s.pmemshim-%d' "$(dirname "$1")" "$(basename "$1")" $$; }

# make_directory PATH: with all that is missing above it; each is one of ours.
make_directory() {
    local path=$1 message
    [[ -d $path ]] && return
    make_directory "$(dirname "$path")"
    message=$(LC_ALL=C mkdir -m 755 -- "$path" 2>&1) || refuse "$path" "$message"
    MADE+=("$path")
}

write_draft() {
    local mode=$1 source=$2 target=$3 draft message
    if [[ -d $target && ! -L $target ]]; then refuse "$target" "it is a directory"; fi
    make_directory "$(dirname "$target")"
    draft=$(draft_name "$target")
    DRAFTS+=("$draft")
    message=$(LC_ALL=C install -m "$mode" -- "$source" "$draft" 2>&1) || refuse "$target" "$message"
}

# Writes every file under a temporary name beside its place.
write_files() {
    local i
    for i in "${!TARGETS[@]}"; do write_draft "${MODES[i]}" "${SOURCES[i]}" "$top/${TARGETS[i]}"; done
    if [[ $layout == prefix ]]; then
        # Its directory first: the manifest names it.
        make_directory "$(dirname "$top/$MANIFEST")"
        write_manifest > "$work/manifest"
        write_draft 644 "$work/manifest" "$top/$MANIFEST"
        TARGETS+=("$MANIFEST")
    fi
}

write_manifest() {
    local target directory
    printf '# What scripts/install of pmemshim has made, for --uninstall.\nversion %s\n' "$(version)"
    {
        for target in "${TARGETS[@]}" "$MANIFEST"; do printf 'f %s\n' "$target"; done
        for directory in "${MADE[@]}"; do printf 'd %s\n' "$(relative "$directory")"; done
        # Directories that an earlier run has made are still ours.
        if [[ -f $top/$MANIFEST ]]; then sed -n '/^d /p' "$top/$MANIFEST"; fi
    } | LC_ALL=C sort --unique
}

relative() { realpath --canonicalize-missing --no-symlinks --relative-to="${top:-/}" -- "$1"; }

# Renames all of them: from here on there is nothing that takes room. What an earlier version had, and this one has not,
# goes.
place_files() {
    local target path earlier=
    local -A wanted=()
    local -a gone=()
    for target in "${TARGETS[@]}"; do wanted[$target]=1; done
    if [[ $layout == prefix && -f $top/$MANIFEST ]]; then earlier=$(listed f); fi
    while read -r path; do
        if [[ -n $path && -z ${wanted[$path]:-} ]]; then gone+=("$top/$path"); fi
    done <<< "$earlier"
    trap '' INT TERM HUP
    for target in "${TARGETS[@]}"; do
        mv --force --no-target-directory -- "$(draft_name "$top/$target")" "$top/$target"
    done
    DRAFTS=()
    MADE=()
    if ((${#gone[@]})); then rm -f -- "${gone[@]}"; fi
    trap - INT TERM HUP
}

# listed KIND: its paths in the manifest. It is a file that anybody who may write below the prefix can change, and this
# may be root: nothing outside of the prefix is believed, but that directories above it were made.
listed() {
    local kind path
    while read -r kind path; do
        [[ $kind == "$1" ]] || continue
        if [[ $kind == d && $path =~ ^(\.\./)*\.\.$ ]]; then
            : # Removed only where it is empty.
        elif [[ -z $path || $path == /* || /$path/ == */../* ]]; then
            die "$top/$MANIFEST names '$path', which is not below the prefix: nothing has been removed"
        fi
        printf '%s\n' "$path"
    done < "$top/$MANIFEST"
}

remove_installed() {
    local path message files directories count=0
    [[ $layout == prefix ]] || die "the Debian package is removed by apt or dpkg"
    [[ -f $top/$MANIFEST ]] ||
        die "there is no $top/$MANIFEST: what is below ${top:-/} was not installed by scripts/install"
    # Read as a whole, and believed, before anything goes.
    files=$(listed f)
    directories=$(listed d)
    while read -r path; do
        # The manifest last: where something cannot be removed, it still tells what there is.
        [[ -n $path && $path != "$MANIFEST" ]] || continue
        [[ -e $top/$path || -L $top/$path ]] || continue
        message=$(LC_ALL=C rm -f -- "$top/$path" 2>&1) ||
            die "$top/$path cannot be removed: ${message##*: }; $count files were, before it"
        count=$((count + 1))
    done <<< "$files"
    rm -f -- "$top/$MANIFEST" || die "$top/$MANIFEST cannot be removed"
    # The longest first, so that a directory goes before the one that it lies in; somebody else's file keeps it.
    while read -r path; do
        if [[ -d $path ]]; then rmdir -- "$path" 2> /dev/null || true; fi
    done < <(absolute "$directories" | awk '{ print length, $0 }' | sort --numeric-sort --reverse | cut -d ' ' -f 2-)
    say "install: removed $((count + 1)) files below ${top:-/}"
}

absolute() {
    local path
    while read -r path; do
        if [[ -n $path ]]; then realpath --canonicalize-missing --no-symlinks -- "$top/$path"; fi
    done <<< "$1"
}
