# shellcheck shell=bash
# What scripts/install installs, and where below the prefix. Sourced by it.

# The version of everything (the one place that says it).
version() {
    sed -n 's/^#define PS_VERSION "\(.*\)"$/\1/p' "$ROOT/Sources/CShimSys/include/ps_version.h"
}

# The files that are to be installed: their modes, where they are now, and where they belong, relative to the prefix.
MODES=()
SOURCES=()
TARGETS=()

plan() {
    [[ -f $2 ]] || die "there is no $2"
    MODES+=("$1")
    SOURCES+=("$2")
    TARGETS+=("$3")
}

# plan_files LAYOUT PREFIX BUILD WORK: fills the three; what has to be made is made in WORK.
plan_files() {
    local layout=$1 prefix=$2 build=$3 work=$4 file
    local library zsh
    if [[ $layout == debian ]]; then
        library=lib/x86_64-linux-gnu/pmemshim
        zsh=share/zsh/vendor-completions
        plan_unstripped "$build" "$work" "$library"
        # Where gdb, which is in /usr, loads it by itself for a library at that path.
        plan 644 "$ROOT/scripts/gdb/libpmemshim.so-gdb.py" \
            "share/gdb/auto-load/usr/$library/libpmemshim.so-gdb.py"
    else
        library=lib/pmemshim
        zsh=share/zsh/site-functions
        plan_stripped "$build" "$work" "$library"
        # gdb loads it from here where `add-auto-load-safe-path` allows the directory.
        plan 644 "$ROOT/scripts/gdb/libpmemshim.so-gdb.py" "$library/libpmemshim.so-gdb.py"
        plan 644 "$ROOT/LICENSE" share/doc/pmemshim/LICENSE
        # It names what is linked in statically.
        plan 644 "$ROOT/packaging/debian/copyright" share/doc/pmemshim/copyright
        plan_units "$prefix" "$work"
    fi
    plan_completions "$build" "$work" "$zsh"
    for file in "$ROOT"/docs/man/*.[1-8]; do
        if [[ -f $file ]]; then plan 644 "$file" "share/man/man${file##*.}/$(basename "$file")"; fi
    done
    for file in "$ROOT"/packaging/profiles/*.profile; do
        if [[ -f $file ]]; then plan 644 "$file" "share/pmemshim/profiles/$(basename "$file")"; fi
    done
    # Beside one another as in the repository: their links lead from one to the other.
    plan 644 "$ROOT/README.md" share/doc/pmemshim/README.md
    for file in "$ROOT"/docs/*.md "$ROOT"/docs/plots/*.svg "$ROOT"/docs/plots/{top-80,top-120,report}.png; do
        if [[ -f $file ]]; then plan 644 "$file" "share/doc/pmemshim/${file#"$ROOT/"}"; fi
    done
}

# As they are shipped, the library with its debug information beside it.
plan_stripped() {
    local build=$1 work=$2 library=$3
    strip_library "$build/libpmemshim.so" "$build/stripped"
    plan 644 "$build/stripped/libpmemshim.so" "$library/libpmemshim.so"
    plan 644 "$build/stripped/libpmemshim.so.debug" "$library/libpmemshim.so.debug"
    # Half of it is debug information. Its symbols stay, for the backtrace of a Swift program that ends in a trap.
    objcopy --strip-debug "$build/shimctl" "$work/shimctl" || die "$build/shimctl cannot be stripped"
    plan 755 "$work/shimctl" bin/shimctl
}

# With all of it, for dh_strip, which moves it into a package of its own.
plan_unstripped() {
    local build=$1 work=$2 library=$3 file
    for file in shimctl libpmemshim.so; do
        # gold joins the indices of all compile units into one that gdb cannot read, and says so each time.
        objcopy --remove-section=.debug_names "$build/$file" "$work/$file" || die "$build/$file cannot be copied"
    done
    plan 644 "$work/libpmemshim.so" "$library/libpmemshim.so"
    plan 755 "$work/shimctl" bin/shimctl
}

plan_completions() {
    local build=$1 work=$2 zsh=$3 shell
    for shell in bash zsh fish; do
        "$build/shimctl" --generate-completion-script "$shell" > "$work/$shell" ||
            die "shimctl makes no completion script for $shell"
    done
    # It is read, never run: bash-completion's are without the line that makes it a program.
    sed -i '1{/^#!/d}' "$work/bash"
    plan 644 "$work/bash" share/bash-completion/completions/shimctl
    plan 644 "$work/zsh" "$zsh/_shimctl"
    plan 644 "$work/fish" share/fish/vendor_completions.d/shimctl.fish
}

# Units name the command by its full path, which is that of the package.
plan_units() {
    local prefix=$1 work=$2 file name place
    place=$(printf '%s' "$prefix" | sed 's/[\\&,]/\\&/g')
    for file in "$ROOT"/packaging/systemd/*.*; do
        [[ -f $file ]] || continue
        name=$(basename "$file")
        sed "s,/usr/bin/shimctl,$place/bin/shimctl,g" "$file" > "$work/$name"
        plan 644 "$work/$name" "lib/systemd/system/$name"
    done
}
