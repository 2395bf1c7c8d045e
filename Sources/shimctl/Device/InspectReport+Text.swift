import PmemDeviceFormat
import PmemShim

extension InspectReport {
    var text: String {
        var lines = ["\(device): \(kind == "block" ? "block device" : "image") of \(Figures.bytes(size))"]
        for copy in copies {
            let state =
                copy.whole ? "whole, attach generation \(copy.attachGeneration ?? 0)" : "broken: \(copy.problem)"
            lines.append("superblock at \(copy.offset == 0 ? "0" : "1 MiB"): \(state)")
        }
        if copiesAgree == "differ" { lines.append("the two copies are of different devices") }
        guard let superblock else { return lines.joined(separator: "\n") }
        lines.append(
            """
            identifier     \(superblock.uuid)
            version        \(superblock.version)
            device size    \(superblock.deviceSize) (\(Figures.bytes(superblock.deviceSize)))
            page size      \(superblock.pageSize)
            page arrays    \(superblock.arrayOffset), \(superblock.sectionCount) of 2 MiB
            data           \(superblock.dataOffset), \(superblock.dataSize) (\(Figures.bytes(superblock.dataSize)))
            holds          \(content ?? "nothing that is known")
            attached       \(attachedText)
            """)
        if let set = superblock.set {
            lines.append("set            \(set.uuid), \(set.role) of \(set.peerPath)")
            if !set.state.isEmpty { lines.append("mirror         \(set.state)") }
        }
        if let layers { lines.append(layerText(layers, superblock)) }
        return lines.joined(separator: "\n")
    }

    private var attachedText: String {
        guard let attached else { return "no" }
        guard attached.state == "attached" else { return "registered, but its block devices are gone" }
        let points = attached.mountedOn.joined(separator: ", ")
        return "as \(DeviceNodes.data(attached.name)), \(points.isEmpty ? "not mounted" : "mounted on \(points)")"
    }

    private func layerText(_ layers: LayerScan.Totals, _ superblock: Fields) -> String {
        var table = Table(.text("LAYER"), .number("ALL"), .number("READY"))
        table.add("sections", Figures.count(superblock.sectionCount), Figures.count(layers.sectionsReady))
        table.add("groups", Figures.count(superblock.groupCount), Figures.count(layers.groupsReady))
        table.add("pages", Figures.count(superblock.pageCount), Figures.count(layers.pagesReady))
        var text = table.text
        if layers.pagesReady > 0 {
            text += "\npages: \(Figures.count(layers.pagesAllocated)) allocated,"
            text += " \(Figures.count(layers.pagesBad)) bad, \(Figures.count(layers.pagesOwned)) with an owner;"
            text += " sampled reads \(Figures.count(layers.reads)), writes \(Figures.count(layers.writes))"
        }
        return text
    }
}

/// What `inspect --page` shows.
struct PageReport: Encodable {
    let schema = "pmemshim.page/1"
    let page: UInt64
    let section: UInt64
    let group: UInt64
    /// Bytes from the start of the device, and of the logical block space.
    let deviceOffset: UInt64
    let dataOffset: UInt64
    let sectionReady: Bool
    let groupReady: Bool
    /// `ready`, `allocated`, `bad`, `owned`.
    let flags: [String]
    @Explicit var ownerInode: UInt64?
    @Explicit var ownerIndex: UInt64?
    let reads: UInt32
    let writes: UInt32

    init(number: UInt64, geometry: DeviceGeometry, state: LayerScan.PageState) {
        page = number
        section = number / 32_768
        group = number / 512
        dataOffset = number * UInt64(geometry.pageSize)
        deviceOffset = geometry.dataOffset + dataOffset
        sectionReady = state.sectionReady
        groupReady = state.groupReady
        let names: [(PageFlags, String)] = [
            (.ready, "ready"), (.allocated, "allocated"), (.bad, "bad"), (.owned, "owned"),
        ]
        flags = names.filter { state.flags.contains($0.0) }.map(\.1)
        ownerInode = state.owner?.inode
        ownerIndex = state.owner?.index
        reads = state.reads
        writes = state.writes
    }

    var text: String {
        let owner = ownerInode.map { "inode \($0), page \(ownerIndex ?? 0) of it" } ?? "not known"
        return """
            page     \(page), group \(group)\(groupReady ? "" : " (not ready)"), section \(section)\
            \(sectionReady ? "" : " (not ready)")
            bytes    from \(dataOffset) of the data, \(deviceOffset) of the device
            state    \(flags.isEmpty ? "initial" : flags.joined(separator: ", "))
            owner    \(owner)
            sampled  \(Figures.count(UInt64(reads))) reads, \(Figures.count(UInt64(writes))) writes
            """
    }
}
