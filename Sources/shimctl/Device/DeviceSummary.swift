import PmemDeviceFormat
import PmemShim

/// Capacity and overhead of a device, for people.
struct DeviceSummary {
    private let superblock: Superblock

    init(_ superblock: Superblock) { self.superblock = superblock }

    func text(of name: String, _ done: String) -> String {
        let geometry = superblock.geometry
        let overhead = geometry.deviceSize - geometry.dataSize
        let share = Figures.percentText(geometry.dataSize, of: geometry.deviceSize)
        return """
            \(done) \(name.printable), \(superblock.identifier.description)
              device    \(Figures.bytes(geometry.deviceSize)), pages of \(Figures.bytes(UInt64(geometry.pageSize)))
              capacity  \(Figures.bytes(geometry.dataSize)) (\(share) %), from byte \
            \(Figures.count(geometry.dataOffset)) on
              overhead  \(Figures.bytes(overhead)), of it page arrays \(Figures.bytes(geometry.arraySize)) in \
            \(Figures.count(geometry.sectionCount)) \(geometry.sectionCount == 1 ? "section" : "sections")
            """
    }
}
