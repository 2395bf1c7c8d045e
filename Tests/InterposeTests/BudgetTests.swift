import Foundation
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#endif

@Suite("What windows take of a process is bounded, and given back")
struct BudgetTests {
    @Test("10,000 files used at once and closed leave at most 64 mappings and 4 MiB", arguments: [0, 24])
    func manyFiles(mapAfter: Int?) throws {
        try expectSameAsNative(
            "many-files", "opened-used-and-closed", on: .tmpfs, serving: ["pread"], mebibytes: 256,
            mapAfter: mapAfter)
    }

    @Test("200 sparse files of 1 TiB leave room for everything else", arguments: [0, nil])
    func enormousFiles(mapAfter: Int?) throws {
        try expectSameAsNative("many-files", "enormous", on: .tmpfs, serving: [], mapAfter: mapAfter)
    }
}

@Suite("Programs that run with more rights than their user")
struct SecureTests {
    /// In a mount namespace of its own: /etc is a copy with an ld.so.preload that names the library, and a setuid copy
    /// of `cat` lies on a tmpfs. User 65534 asks for a log and a runtime directory where only root may write.
    private static let script = #"""
        set -eu
        library=$1 place=$2
        mkdir "$place/etc" "$place/bin" "$place/roots" "$place/library"
        chmod 755 "$place/.." "$place" "$place/bin" "$place/library"
        chmod 700 "$place/roots"
        cp -a /etc/. "$place/etc"
        cp "$library" "$place/library/libpmemshim.so"
        chmod 755 "$place/library/libpmemshim.so"
        echo "$place/library/libpmemshim.so" > "$place/etc/ld.so.preload"
        cp /bin/cat "$place/bin/cat"
        chown root "$place/bin/cat"
        chmod 4755 "$place/bin/cat"
        head -c 1000000 /dev/zero > "$place/bin/file"
        mount --bind "$place/etc" /etc
        for program in "$place/bin/cat" /bin/cat; do
            setpriv --reuid=65534 --regid=65534 --clear-groups env PMEMSHIM_MOUNTS="$place" PMEMSHIM_MAP_AFTER=0 \
                PMEMSHIM_LOG="$place/roots/log" PMEMSHIM_RUNTIME_DIR="$place/roots/runtime" \
                "$program" "$place/bin/file" | cksum
        done
        ls "$place/roots" | wc -l
        setpriv --reuid=65534 --regid=65534 --clear-groups env PMEMSHIM_MOUNTS="$place" PMEMSHIM_MAP_AFTER=0 \
            PMEMSHIM_LOG=/tmp/secure-log.$$ "$place/bin/cat" "$place/bin/file" > /dev/null
        test ! -e /tmp/secure-log.$$ && echo "a setuid program logs nothing"
        setpriv --reuid=65534 --regid=65534 --clear-groups env PMEMSHIM_MOUNTS="$place" PMEMSHIM_MAP_AFTER=0 \
            PMEMSHIM_LOG=/tmp/secure-log.$$ cat "$place/bin/file" > /dev/null
        test -e /tmp/secure-log.$$ && echo "an ordinary one does"
        rm -f /tmp/secure-log.$$
        """#

    @Test("a setuid program under /etc/ld.so.preload obeys none of its user's variables")
    func setuidProgram() throws {
        if geteuid() != 0 { try Test.cancel("only root can make a setuid program of root's") }
        let mount = try ScratchMount(.tmpfs)
        let run = try spawn(
            "/usr/bin/unshare", ["--mount", "/bin/bash", "-c", Self.script, "secure", Shim.library, mount.directory])
        #expect(run.ending == .exited(0), "\(run.stderr)")
        let lines = run.lines.filter { !$0.isEmpty }
        try #require(lines.count == 5, "\(run.stdout)\(run.stderr)")
        #expect(lines[0] == lines[1])
        #expect(lines[2...] == ["0", "a setuid program logs nothing", "an ordinary one does"], "\(run.stderr)")
    }
}
