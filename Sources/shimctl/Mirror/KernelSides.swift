import Glibc
import PmemShim

/// The two sides of a set to which the kernel writes. What is written just now differs for a moment.
final class KernelSides {
    private let devices: MirrorSet
    private let epoch: UInt64
    /// Bytes that were copied from the device to its mirror.
    private(set) var mended: UInt64 = 0

    init(_ devices: MirrorSet, epoch: UInt64) {
        self.devices = devices
        self.epoch = epoch
    }

    /// Those of `pages` that differ, and go on differing for a quarter of a second.
    func stillDifferent(_ pages: [UInt64]) throws -> [UInt64] {
        var left = pages
        for attempt in 0..<6 where !left.isEmpty {
            if attempt > 0 { Pause.take(seconds: 0.05) }
            left = try compare(left, to: .nowhere).different
        }
        return left
    }

    /// Copies those that differ. Only while nobody writes to the device: a write on its way to both would be lost on
    /// one.
    func mend(_ pages: [UInt64]) throws {
        guard !pages.isEmpty else { return }
        mended += try compare(pages, to: .place(epoch: epoch)).tally.copied
    }

    private func compare(_ pages: [UInt64], to target: PageCopier.Target) throws -> PageCopier {
        let copier = PageCopier(devices.primary, devices.mirror, epoch: epoch)
        try copier.run(PageRanges(pages.map { $0..<$0 + 1 }), to: target, overlay: nil)
        return copier
    }
}
