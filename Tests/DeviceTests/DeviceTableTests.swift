import Foundation
import TestSupport
import Testing

/// `shimctl attach --all`: what a machine does at boot with /etc/pmemshim/devices, here in a mount namespace whose
/// /etc/pmemshim is the test's own.
@Suite("attach --all", .serialized) struct DeviceTableTests {
    init() throws { try DeviceImage.skipUnlessAttachable() }

    private func attachAll(_ table: String) throws -> Run {
        // The directory is the package's; where that is not installed it is there for the mount only.
        try spawn(
            "/usr/bin/unshare",
            [
                "--mount", "/bin/sh", "-c",
                """
                mkdir /etc/pmemshim 2> /dev/null && MADE=1
                mount -t tmpfs none /etc/pmemshim && cat > /etc/pmemshim/devices && "$S" attach --all; STATUS=$?
                umount /etc/pmemshim; [ -z "$MADE" ] || rmdir /etc/pmemshim
                exit $STATUS
                """,
            ], environment: ["S": try Shim.shimctl, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"],
            stdin: Array(table.utf8))
    }

    @Test("every device of the table is attached, with its name, and those that are attached already are left alone")
    func all() throws {
        let first = try DeviceImage(size: "64M")
        let second = try DeviceImage(size: "64M")
        defer {
            _ = try? first.detach()
            _ = try? shimctl(["detach", second.path])
            first.close()
            second.close()
        }
        let name = "named-\(getpid())"
        let table = "# at boot\n\(first.path)\n\n\(second.path) \(name) - # the second\n"
        let run = try attachAll(table)
        #expect(run.ending == .exited(0), "\(run.stderr)")
        let listed = try shimctl(["list"]).stdout
        #expect(listed.contains(first.path) && listed.contains(second.path))
        #expect(listed.contains("\(name)"), "\(listed)")
        let again = try attachAll(table)
        #expect(again.ending == .exited(0) && again.stdout == "", "\(again.stdout)\(again.stderr)")
    }

    @Test("one that cannot be attached does not keep the others from coming back, and is named")
    func oneMissing() throws {
        let image = try DeviceImage(size: "64M")
        defer {
            _ = try? image.detach()
            image.close()
        }
        let run = try attachAll("/no/such/device\n\(image.path)\n")
        #expect(run.ending == .exited(1))
        #expect(run.stderr.contains("/no/such/device"))
        #expect(try shimctl(["list"]).stdout.contains(image.path))
    }

    @Test(
        "a line that is wrong is refused with its number, before anything is attached",
        arguments: ["relative.img\n", "/a b c d\n", "/a .hidden\n"])
    func wrong(line: String) throws {
        let run = try attachAll("# one\n" + line)
        #expect(run.ending == .exited(1))
        #expect(run.stderr.contains("/etc/pmemshim/devices, line 2"), "\(run.stderr)")
    }

    @Test("detach of what is not there says what is")
    func detachUnknown() throws {
        let run = try shimctl(["detach", "nosuch"])
        #expect(run.ending == .exited(1))
        #expect(run.stderr.contains("nothing of the name \"nosuch\" is attached"), "\(run.stderr)")
    }
}
