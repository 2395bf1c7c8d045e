#!/bin/bash
# What scripts/lib/package-chroot.sh runs in its Debian: /package-test has the package and a later version of it. /mnt
# is a tmpfs. Usage: package-inside.sh VERSION LATER-VERSION
set -euo pipefail
cd /package-test
version=$1
later=$2
library=/usr/lib/x86_64-linux-gnu/pmemshim/libpmemshim.so

say() { printf '\033[1m==> package: in the Debian: %s\033[0m\n' "$*"; }
die() {
    echo "package-inside: $*" >&2
    exit 1
}
# equal WHAT EXPECTED FOUND
equal() { [[ $2 == "$3" ]] || die "$1: '$3', and not '$2'"; }

apt() {
    # apt has a user of its own, who may not read root's files, and says so.
    apt-get --yes --quiet --no-install-recommends -o APT::Sandbox::User=root -o Dpkg::Use-Pty=0 "$@" > log 2>&1 || {
        cat log >&2
        die "apt-get $* failed"
    }
}

# What is between install and upgrade: the commands as a user gives them. What they change on the system, they change
# back.
inside_use() {
    local served
    say "use"
    shimctl check "$(command -v sqlite3)"
    # Mapped at once: the database is small.
    PMEMSHIM_MAP_AFTER=0 shimctl run --mount /mnt -- sqlite3 /mnt/used.db \
        "create table t as with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000)
            select i, hex(zeroblob(200)) as filler from n;
         pragma cache_size = 10;
         select sum(i), sum(length(filler)) from t;" > answer
    equal "the database's answer" "200010000|8000000" "$(cat answer)"
    served=$(served_calls)
    ((served > 1000)) || die "of the calls on /mnt $served were served"
    shimctl stats
    say "advise"
    shimctl advise /mnt
    shimctl advise --mount /mnt -- sqlite3 /mnt/used.db "pragma cache_size = 10; select count(*) from t a, t b
        where b.rowid = a.i * 7919 % 20000 + 1;" > answer
    equal "the database's answer" "20000" "$(cat answer)"
    shimctl run --profile sqlite --mount /mnt -- sqlite3 /mnt/used.db "select max(i) from t;" > answer
    equal "the database's answer" "20000" "$(cat answer)"
    say "record and report"
    PMEMSHIM_MAP_AFTER=0 shimctl record -o /mnt/used.record --interval 0.02 --mount /mnt -- sqlite3 /mnt/used.db \
        "pragma cache_size = 10; select sum(length(filler)) from t;" > answer
    shimctl report /mnt/used.record
    shimctl report /mnt/used.record --html /mnt/used.html
    grep --quiet 'Served share over time' /mnt/used.html || die "the page has no drawing"
    use_cluster
    # The page of a manual and a completion are where their readers look.
    [[ -f /usr/share/man/man1/shimctl.1.gz ]] || die "there is no page of the manual"
    bash -c 'source /usr/share/bash-completion/completions/shimctl && complete -p shimctl'
    rm /mnt/used.* answer
}

# A PostgreSQL cluster of Debian's gets the library by its profile, and loses it again.
use_cluster() {
    local environment=/etc/postgresql/15/main/environment pid served
    say "a PostgreSQL cluster"
    # A pool that holds next to nothing: what is read comes from files.
    pg_createcluster 15 main --datadir /mnt/cluster --pgoption shared_buffers=1MB > log 2>&1 ||
        die "pg_createcluster: $(cat log)"
    cp "$environment" /mnt/environment
    shimctl profile apply 15/main --yes
    pg_ctlcluster 15 main start
    pid=$(head -n 1 /mnt/cluster/postmaster.pid)
    grep --quiet "$library" "/proc/$pid/maps" || die "the cluster does not have the library"
    as_postgres psql --quiet --command "create table t as select i, repeat('x', 200) as filler
        from generate_series(1, 100000) i" --command "create index on t(i)" \
        --command "set enable_seqscan = off; set enable_bitmapscan = off; set jit = off;
            select sum(length(t.filler)) from generate_series(1, 100000) g
                join t on t.i = g::bigint * 7919 % 100000 + 1" > answer
    grep --quiet 20000000 answer || die "the cluster's answer is $(cat answer)"
    shimctl doctor --cluster 15/main
    shimctl stats --user postgres
    served=$(shimctl stats --user postgres --json |
        perl -MJSON::PP -0777 -ne 'print decode_json($_)->{total}{served}')
    ((served > 1000)) || die "of the cluster's calls $served were served"
    shimctl profile revert 15/main --yes
    cmp "$environment" /mnt/environment || die "revert has left something"
    pg_ctlcluster 15 main restart
    pid=$(head -n 1 /mnt/cluster/postmaster.pid)
    if grep --quiet "$library" "/proc/$pid/maps"; then die "the cluster still has the library"; fi
    pg_dropcluster --stop 15 main
    rm -r /mnt/environment /dev/shm/pmemshim-"$(id --user postgres)"
}

as_postgres() { setpriv --reuid=postgres --regid=postgres --clear-groups env --chdir=/ "$@"; }

# served_calls [PID]: how many calls on /mnt were served, of a process or of all.
served_calls() {
    shimctl stats --json ${1:+--pid "$1"} | perl -MJSON::PP -0777 -ne '
        print map { $_->{figures}{served} } grep { $_->{path} eq "/mnt" } @{decode_json($_)->{mounts}}'
}

# All files of the system, with type, mode, owner and target; with their content where they are settings. Left out is
# what apt and dpkg keep of each package that was ever installed, and what ldconfig finds.
list_files() {
    find / -xdev \( -path /package-test -o -path /var/lib/dpkg -o -path /var/lib/apt -o -path /var/cache -o \
        -path /var/log -o -path /run \) -prune -o -printf '%y %m %U:%G %p %l\n' | LC_ALL=C sort
    find /etc -xdev -type f ! -path /etc/ld.so.cache -exec sha256sum {} + | LC_ALL=C sort
}

# start_holder: a program that goes on: sqlite3 under the library, which is asked by `ask`.
start_holder() {
    mkfifo questions
    PMEMSHIM_MAP_AFTER=0 shimctl run --mount /mnt -- sqlite3 -batch /mnt/held.db < questions > holder.log 2>&1 &
    holder=$!
    exec 3> questions
    ask "create table t(i, filler); pragma cache_size = 10;
        with recursive n(i) as (select 1 union all select i + 1 from n where i < 2000)
            insert into t select i, hex(zeroblob(500)) from n; select count(*) from t;" > /dev/null
}

# ask SQL: what the holder answers. `.once` has it in a file of its own, whole before the next command.
ask() {
    local deadline=$((SECONDS + 60))
    printf '.once /package-test/answer.new\n%s\n.shell mv /package-test/answer.new /package-test/answer\n' "$1" >&3
    until [[ -f answer ]]; do
        kill -0 "$holder" 2> /dev/null || die "the program that held the library has ended: $(cat holder.log)"
        ((SECONDS < deadline)) || die "no answer to $1 in a minute: $(cat holder.log)"
        sleep 0.1
    done
    cat answer
    rm answer
}

mapped() { awk '$6 ~ /libpmemshim/ { print $6, $7; exit }' "/proc/$holder/maps"; }

say "install"
list_files > before
apt install ./pmemshim.deb
equal "the version" "shimctl $version" "$(shimctl --version)"
dpkg --verify pmemshim
for field in bin/shimctl "${library#/usr/}"; do
    if ldd "/usr/$field" | grep 'not found'; then die "/usr/$field finds not all of its libraries"; fi
done
inside_use

say "upgrade, while a program runs"
start_holder
equal "the library that it has" "$library " "$(mapped)"
apt install ./next.deb
equal "the version that is installed" "$later" "$(dpkg-query --show --showformat='${Version}' pmemshim)"
equal "the library that it has after the upgrade" "$library (deleted)" "$(mapped)"
served=$(served_calls "$holder")
equal "its answer after the upgrade" "2001000" "$(ask "select sum(i) from t where filler not like '%x%';")"
((${served:-0} > 0 && $(served_calls "$holder") > served)) || die "its figures do not go on: $served"

say "remove"
echo "LD_PRELOAD=$library" > /etc/default/package-test
apt remove pmemshim
grep --quiet '^/etc/default/package-test$' log || die "the removal does not name the file that names the library"
rm /etc/default/package-test
equal "its answer after the removal" "2001000" "$(ask "select sum(i) from t where filler not like '%x%';")"
for file in /usr/bin/shimctl "$library" /usr/share/doc/pmemshim /usr/share/pmemshim /usr/share/man/man1/shimctl.1.gz; do
    [[ ! -e $file ]] || die "$file is still there after the removal"
done
printf '.quit\n' >&3
exec 3>&-
wait "$holder" || die "the program that held the library ended with status $?: $(cat holder.log)"

say "purge"
apt purge pmemshim
apt autoremove --purge
for directory in /dev/shm/pmemshim-*; do [[ ! -e $directory ]] || die "$directory is left"; done
list_files > after
diff before after > difference || {
    cat difference >&2
    die "there are more files, or fewer, than before"
}
say "$(wc -l < after) lines about files are as they were before"
