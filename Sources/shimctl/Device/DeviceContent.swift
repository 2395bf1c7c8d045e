import CBlock
import CShimSys
import Glibc
import SystemPackage

/// What stands on a device, as libblkid knows it: file systems, RAID members, swap, partition tables.
struct DeviceContent {
    private let device: DeviceFile

    init(of device: DeviceFile) { self.device = device }

    /// The name of what stands in `range` of the device (`ext4`, `gpt`), or that there is more than one thing.
    /// - Returns: nothing where libblkid knows nothing of it.
    func found(in range: Range<UInt64>? = nil) throws -> String? {
        let probe = try makeProbe(range)
        defer { blkid_free_probe(probe) }
        switch blkid_do_safeprobe(probe) {
        case 0: return name(probe)
        case 1: return nil
        case -2: return "more than one file system"
        default: throw Complaint(.failure, "\(device.path.string.printable): libblkid cannot read it")
        }
    }

    /// What the device holds, if that is known by what stands in the first 2 MiB, which hold nothing but superblocks on
    /// a device of ours.
    func foundBeforeArrays() throws -> String? {
        let probe = try makeProbe(nil)
        defer { blkid_free_probe(probe) }
        let result = blkid_do_safeprobe(probe)
        guard result == 0 else { return result == -2 ? "more than one file system" : nil }
        let place = (value("SBMAGIC_OFFSET", probe) ?? value("PTMAGIC_OFFSET", probe)).flatMap(UInt64.init)
        guard let place, place < UInt64(PS_DEVICE_ARRAY_OFFSET) else { return nil }
        return name(probe)
    }

    /// Takes away the signatures libblkid finds outside the superblocks, as wipefs(8) does; how many there were.
    func wipe() throws -> Int {
        let probe = try makeProbe(nil)
        defer { blkid_free_probe(probe) }
        var wiped = 0
        // Each step finds one signature; none is found twice. More than a few are not to be had.
        while wiped < 64, blkid_do_probe(probe) == 0 {
            guard blkid_do_wipe(probe, 0) == 0 else {
                throw Complaint(.failure, "\(device.path.string.printable): a signature cannot be wiped")
            }
            wiped += 1
        }
        return wiped
    }

    private func name(_ probe: blkid_probe) -> String {
        value("TYPE", probe) ?? value("PTTYPE", probe).map { "a \($0) partition table" } ?? "something"
    }

    private func makeProbe(_ range: Range<UInt64>?) throws -> blkid_probe {
        guard let probe = blkid_new_probe() else { throw Complaint(.failure, "libblkid: \(Errno(rawValue: errno))") }
        let offset = range.map { Int64($0.lowerBound) } ?? 0
        let count = range.map { Int64($0.upperBound - $0.lowerBound) } ?? Int64(device.size)
        guard blkid_probe_set_device(probe, device.descriptor.rawValue, offset, count) == 0 else {
            blkid_free_probe(probe)
            throw Complaint(.failure, "\(device.path.string.printable): libblkid cannot read it")
        }
        blkid_probe_enable_superblocks(probe, 1)
        blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_MAGIC)
        blkid_probe_enable_partitions(probe, 1)
        blkid_probe_set_partitions_flags(probe, BLKID_PARTS_MAGIC)
        return probe
    }

    private func value(_ name: String, _ probe: blkid_probe) -> String? {
        var text: UnsafePointer<CChar>?
        guard blkid_probe_lookup_value(probe, name, &text, nil) == 0, let text else { return nil }
        return String(cString: text).printable
    }
}
