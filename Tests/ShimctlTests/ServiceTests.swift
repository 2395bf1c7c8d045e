import Foundation
import TestSupport
import Testing

/// `profile apply` and `revert`: in a mount namespace with an /etc of the test's own.
@Suite("services get a profile, and lose it again") struct ServiceTests {
    /// Runs a script as root in which `$S` is shimctl, and /etc/systemd/system and /etc/postgresql are empty.
    private func run(_ script: String) throws -> Run {
        let setup = """
            set -e
            mount -t tmpfs none /etc/systemd/system
            mkdir -p /etc/postgresql && mount -t tmpfs none /etc/postgresql
            mkdir -p /etc/postgresql/15/main /dev/shm/pmemshim-test.$$/data
            trap 'rm -rf /dev/shm/pmemshim-test.$$' EXIT
            D=/dev/shm/pmemshim-test.$$/data
            printf '[Service]\\nExecStart=/bin/true\\n' > /etc/systemd/system/store.service
            printf "data_directory = '%s'\\t# here\\n" "$D" > /etc/postgresql/15/main/postgresql.conf
            printf '# variables\\nLANG = %s\\n' "'C'" > /etc/postgresql/15/main/environment
            F=/etc/systemd/system/store.service.d/pmemshim.conf
            E=/etc/postgresql/15/main/environment

            """
        return try spawn(
            "/usr/bin/unshare", ["--mount", "/bin/sh", "-c", setup + script],
            environment: [
                "S": try Shim.shimctl, "PATH": "/usr/bin:/bin", "PMEMSHIM_LIBRARY": try EmptyLibrary.shared.get().path,
                "PMEMSHIM_PROFILES": "\(Shim.packageRoot)/packaging/profiles", "LC_ALL": "C",
            ])
    }

    private func needsRoot() throws {
        if geteuid() != 0 { try Test.cancel("a mount namespace needs root") }
    }

    @Test("a unit gets a drop-in with the library and the mounts, which revert removes with its directory")
    func unit() throws {
        try needsRoot()
        let run = try run(
            """
            "$S" profile apply store --mount "$D" --yes && cat "$F"
            "$S" profile apply store.service --mount "$D" --yes
            "$S" profile revert store --yes && ls -A /etc/systemd/system
            """)
        #expect(run.ending == .exited(0), "\(run.stderr)")
        #expect(run.stdout.contains("[Service]\nEnvironment=\"LD_PRELOAD="), "\(run.stdout)")
        #expect(run.stdout.contains("Environment=\"PMEMSHIM_MOUNTS=/dev/shm/pmemshim-test."))
        #expect(run.stdout.contains("says so already"))
        #expect(run.stdout.contains("systemctl daemon-reload && systemctl restart store"))
        #expect(run.stdout.hasSuffix("restart store\nstore.service\n"))
    }

    @Test("a cluster gets its lines, with the data directory of its configuration, and keeps what others wrote")
    func cluster() throws {
        try needsRoot()
        let run = try run(
            """
            cp -p "$E" /tmp/before.$$
            "$S" profile apply 15/main --yes && cat "$E" && stat -c %a "$E"
            "$S" profile revert postgresql@15-main --yes && cmp "$E" /tmp/before.$$ && echo same; rm /tmp/before.$$
            """)
        #expect(run.ending == .exited(0), "\(run.stderr)")
        #expect(run.stdout.contains("LANG = 'C'\n# begin pmemshim"), "\(run.stdout)")
        #expect(run.stdout.contains("PMEMSHIM_MOUNTS = '/dev/shm/pmemshim-test."))
        #expect(run.stdout.contains("pg_ctlcluster 15 main restart"))
        #expect(run.stdout.contains("shared_buffers"))
        #expect(run.stdout.hasSuffix("same\n"))
    }

    @Test("revert leaves no environment file where there was none before apply, however often that was")
    func madeFile() throws {
        try needsRoot()
        let run = try run(
            """
            rm "$E"; D2=$D/2; mkdir "$D2"
            "$S" profile apply 15/main --yes > /dev/null
            "$S" profile apply 15/main --mount "$D2" --yes > /dev/null && grep -c "$D2'" "$E"
            "$S" profile revert 15/main --yes > /dev/null && ls -A "${E%/*}"
            """)
        #expect(run.stdout == "1\npostgresql.conf\n", "\(run.stdout)\(run.stderr)")
    }

    @Test("revert leaves what others wrote into the environment file that apply made, and an empty one that was there")
    func keptFile() throws {
        try needsRoot()
        let run = try run(
            """
            rm "$E"; "$S" profile apply 15/main --yes > /dev/null; echo "A = '1'" >> "$E"
            "$S" profile revert 15/main --yes > /dev/null && cat "$E"
            : > "$E"; "$S" profile apply 15/main --yes > /dev/null
            "$S" profile revert 15/main --yes > /dev/null && stat -c %s "$E"
            """)
        #expect(run.stdout == "A = '1'\n0\n", "\(run.stdout)\(run.stderr)")
    }

    @Test("nothing is written without a yes, with --dry-run, or over what somebody else has written")
    func untouched() throws {
        try needsRoot()
        let run = try run(
            """
            set +e
            "$S" profile apply store --mount "$D"; echo "a $?"
            "$S" profile apply store --mount "$D" --dry-run; echo "b $?"; ls -A /etc/systemd/system
            mkdir "${F%/*}"; echo mine > "$F"
            "$S" profile apply store --mount "$D" --yes; echo "c $?"
            "$S" profile revert store --yes; echo "d $?"; cat "$F"
            echo "PMEMSHIM_MOUNTS = '/a'" >> "$E"
            "$S" profile apply 15/main --yes; echo "e $?"; "$S" profile revert 15/main --yes; echo "f $?"
            rm "$E"; ln -s /etc/passwd "$E"; "$S" profile apply 15/main --yes; echo "g $?"
            """)
        for line in ["a 1", "b 0", "store.service", "c 1", "d 1", "mine", "e 1", "f 1", "g 1"] {
            #expect(run.lines.contains(Substring(line)), "\(line) in \(run.stdout)\(run.stderr)")
        }
        #expect(run.stderr.contains("--yes writes without asking"))
        #expect(run.stderr.contains("was not written by shimctl"))
        #expect(run.stderr.contains("line 3, sets PMEMSHIM_MOUNTS"))
    }

    @Test("a service that is not there, or a directory that is not served, is refused")
    func refused() throws {
        try needsRoot()
        let run = try run(
            """
            set +e
            mkdir -p /run/pmemshim && mount -t tmpfs none /run/pmemshim # devices of the tests beside this one
            "$S" profile apply nosuch --mount "$D" --yes; echo "a $?"
            "$S" profile apply 16/main --yes; echo "b $?"
            "$S" profile apply store --yes; echo "c $?"
            "$S" profile apply store --mount /proc --yes; echo "d $?"
            "$S" profile apply 'a b' --mount "$D" --yes; echo "e $?"
            "$S" profile revert store --yes; echo "f $?"
            """)
        #expect(run.lines.filter { $0.count == 3 || $0.count == 4 } == ["a 1", "b 1", "c 1", "d 64", "e 64", "f 1"])
        #expect(run.stderr.contains("there is no unit nosuch.service"))
        #expect(run.stderr.contains("nothing would be served"))
    }

    @Test("no link on the way is followed, and what doctor reads in a cluster's directory cannot hold it up")
    func links() throws {
        try needsRoot()
        let run = try run(
            """
            set +e
            mkdir /etc/postgresql/elsewhere; echo "SECRET = '1'" > /etc/postgresql/elsewhere/environment
            cp /etc/postgresql/15/main/postgresql.conf /etc/postgresql/elsewhere/
            mv /etc/postgresql/15/main /etc/postgresql/15/old; ln -s /etc/postgresql/elsewhere /etc/postgresql/15/main
            "$S" profile apply 15/main --mount "$D" --yes; echo "a $?"; cat /etc/postgresql/elsewhere/environment
            rm /etc/postgresql/15/main; mv /etc/postgresql/15/old /etc/postgresql/15/main
            mkfifo "$D/postmaster.pid"; timeout 10 "$S" doctor --cluster 15/main > /dev/null; echo "b $?"
            """)
        #expect(run.stdout.hasSuffix("a 1\nSECRET = '1'\nb 0\n"), "\(run.stdout)\(run.stderr)")
        #expect(run.stderr.contains("is a symbolic link"), "\(run.stderr)")
    }

    @Test("root's own variables do not get into a service, and lines of other systems are read")
    func environment() throws {
        try needsRoot()
        let run = try run(
            """
            export PMEMSHIM_DISABLE=1 PMEMSHIM_MAP_AFTER=often
            "$S" profile apply store --mount "$D" --yes > /dev/null; cat "$F"
            printf '# a\\r\\ndata_directory = "x"\\r\\n' > /etc/postgresql/15/main/postgresql.conf
            printf "data_directory = '%s'\\r\\n" "$D" >> /etc/postgresql/15/main/postgresql.conf
            printf "A = '1'\\r\\nB = '2'\\r\\n" > "$E"; cp "$E" /tmp/before.$$
            "$S" profile apply 15/main --yes > /dev/null && grep -c PMEMSHIM_MOUNTS "$E"
            "$S" profile revert 15/main --yes > /dev/null && cmp "$E" /tmp/before.$$ && echo same; rm /tmp/before.$$
            """)
        #expect(!run.stdout.contains("PMEMSHIM_DISABLE") && !run.stdout.contains("often"), "\(run.stdout)")
        #expect(run.stdout.hasSuffix("\n1\nsame\n"), "\(run.stdout)\(run.stderr)")
    }

    @Test("a preload of the service's own is not replaced in silence")
    func otherPreload() throws {
        try needsRoot()
        let run = try run(
            """
            mkdir "${F%/*}"; printf '[Service]\\nEnvironment="LD_PRELOAD=libother.so"\\n' > "${F%/*}/override.conf"
            set +e; "$S" profile apply store --mount "$D" --yes; echo "a $?"; ls "${F%/*}"
            """)
        #expect(run.stdout == "a 1\noverride.conf\n", "\(run.stdout)")
        #expect(run.stderr.contains("override.conf sets LD_PRELOAD"), "\(run.stderr)")
    }

    @Test("doctor reads what was applied, and misses a library that has gone")
    func doctor() throws {
        try needsRoot()
        let run = try run(
            """
            "$S" profile apply store --mount "$D" --yes > /dev/null
            sed -i 's/LD_PRELOAD=[^"]*/LD_PRELOAD=\\/no\\/such.so/' "$F"
            set +e; "$S" doctor --unit store; echo "a $?"
            """)
        let written = run.stdout.contains("/etc/systemd/system/store.service.d/pmemshim.conf: written")
        #expect(written, "\(run.stdout)\(run.stderr)")
        #expect(run.stdout.contains("/no/such.so is not"))
        #expect(run.lines.contains("a 1"))
    }
}
