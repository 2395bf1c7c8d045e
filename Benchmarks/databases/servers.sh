# shellcheck shell=bash
# What the drivers of database servers have in common. Source it first: it takes LD_PRELOAD out of the environment, so
# that no client or helper is under the shim, and keeps it for the server.
#
#   server_in DIRECTORY [USER...]          # where it works; as root it runs as the first USER that there is
#   server_start PROGRAM ARGS...           # natively, or under the shim where LD_PRELOAD was set
#   server_await PROGRAM ARGS...           # until the program succeeds
#   interruptible COMMAND ARGS...          # a signal ends the driver at once, and not only when the command has ended
#   server_native                          # from now on without the shim
#   ticks=$(server_ticks); ...; server_figures "$ticks" "$wall_begin"
#   server_end TERM                        # stops it, and waits for it
library=${LD_PRELOAD:-}
mounts=${PMEMSHIM_MOUNTS:-}
given_runtime=${PMEMSHIM_RUNTIME_DIR:-}
unset LD_PRELOAD PMEMSHIM_MOUNTS PMEMSHIM_RUNTIME_DIR

server=
preload=()
become=(setpriv --pdeathsig=KILL)

fail() {
    echo "${0##*/}: $1" >&2
    exit "${2:-1}"
}

# However the driver ends; where it is killed itself, the server goes by its --pdeathsig.
server_cleanup() {
    if [[ -n $server ]]; then
        kill -KILL "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
}
trap server_cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

server_in() {
    local runtime=$given_runtime user
    directory=$1
    shift
    # sun_path holds 107 bytes.
    ((${#directory} <= 80)) || fail "$directory is too long for a Unix socket"
    if ((EUID == 0 && $#)); then
        for user in "$@" nobody; do
            if id "$user" >/dev/null 2>&1; then break; fi
        done
        become+=(--reuid="$user" --regid="$(id -g "$user")" --clear-groups)
        runtime=$directory/runtime
        [[ -d $runtime ]] || mkdir -m 700 "$runtime"
        # The library may lie below a directory that is closed to that user, as a clone in /root does.
        if [[ -n $library ]] && ! "${become[@]}" test -r "$library"; then
            install -m 755 "$library" "$directory/libpmemshim.so"
            library=$directory/libpmemshim.so
        fi
        chown -hR "$user:$(id -g "$user")" "$directory"
    fi
    if [[ -n $library ]]; then
        preload=("LD_PRELOAD=$library" "PMEMSHIM_MOUNTS=$mounts" "PMEMSHIM_RUNTIME_DIR=$runtime")
    fi
}

# The program replaces all that is before it, so its number is the server's.
server_start() {
    (
        cd "$directory" || exit
        exec "${become[@]}" -- env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME="$directory" LC_ALL=C TZ=UTC \
            "${preload[@]}" "$@"
    ) </dev/null >>"$directory/log" 2>&1 &
    server=$!
}

interruptible() {
    "$@" &
    wait "$!"
}

server_await() {
    local deadline=$((SECONDS + 60))
    until "$@" >/dev/null 2>&1; do
        kill -0 "$server" 2>/dev/null || fail "the server has ended: $(tail -n 1 "$directory/log")"
        ((SECONDS < deadline)) || fail "no answer after 60 s: $*"
        sleep 0.01
    done
}

server_native() { preload=(); }

server_end() {
    kill -"$1" "$server"
    # Its status is its own affair; what it has left is looked at.
    wait "$server" || true
    server=
}

# server_ticks: CPU time of the server with its children, those that it has waited for and those that live (a
# PostgreSQL's checkpointer and walwriter do), in ticks of 10 ms. They stand behind the name in parentheses.
server_ticks() {
    # Any process may end between the names and their files.
    { cat /proc/[0-9]*/stat 2>/dev/null || true; } | sed 's/^\([0-9]*\) (.*) /\1 /' | awk -v server="$server" '
        $1 == server { sum += $13 + $14 + $15 + $16 }
        $3 == server { sum += $13 + $14 }
        END { print sum }'
}

# server_figures TICKS NANOSECONDS: what a driver's last line says, of the time since both were taken.
server_figures() {
    local wall=$(($(date +%s%N) - $2))
    # The last child has to be waited for before it counts.
    sleep 0.2
    echo "$((($(server_ticks) - $1) * 10000000)) $wall"
}
