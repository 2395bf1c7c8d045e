# shellcheck shell=bash
# As root some tests become another user, to whom a clone below /root, or in a directory of mktemp's, is closed: then
# all tests use copies of the library and the programs that are not. Sourced by scripts/test.

OPENED= # the directory of the copies; empty: none are needed

# open_programs DIRECTORY: sets PMEMSHIM_PROGRAMS to it, or to a copy that every user may run.
open_programs() {
    local -a as_another=(setpriv --reuid=65534 --regid=65534 --clear-groups --)
    PMEMSHIM_PROGRAMS=$1
    if ((EUID != 0)) || "${as_another[@]}" test -x "$1/read-files"; then return; fi
    OPENED=$(mktemp --directory /tmp/pmemshim-opened.XXXXXX)
    trap 'rm -rf "$OPENED"' EXIT
    PMEMSHIM_PROGRAMS=$OPENED/programs
    cp --recursive "$1" "$PMEMSHIM_PROGRAMS"
    chmod --recursive go+rX "$OPENED"
}

# open_library FILE: prints a path under which every user can read it, and gdb its debug information.
open_library() {
    if [[ -z $OPENED ]]; then
        echo "$1"
        return
    fi
    install --mode=755 "$1" "$OPENED/"
    if [[ -f $1.debug ]]; then install --mode=644 "$1.debug" "$OPENED/"; fi
    echo "$OPENED/${1##*/}"
}
