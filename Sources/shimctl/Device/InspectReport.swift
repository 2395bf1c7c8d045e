import PmemDeviceFormat
import PmemShim

/// What `inspect` shows, as a JSON document and as text. The schema is in docs/shimctl.md.
struct InspectReport: Encodable {
    let schema = "pmemshim.inspect/1"
    let device: String
    /// `image` or `block`.
    let kind: String
    /// Bytes the device has now.
    let size: UInt64
    /// `identical`, `generations_differ`, `differ`, `one_broken` or `both_broken`.
    let copiesAgree: String
    let copies: [Copy]
    @Explicit var superblock: Fields?
    /// What libblkid finds in the data area.
    @Explicit var content: String?
    @Explicit var attached: ListCommand.Entry?
    /// Only what is ready.
    @Explicit var layers: LayerScan.Totals?

    struct Copy: Encodable {
        let offset: UInt64
        let whole: Bool
        /// Empty for a whole one.
        let problem: String
        /// The field that is wrong; empty for a whole one.
        let field: String
        @Explicit var uuid: String?
        @Explicit var attachGeneration: UInt64?
    }

    struct Fields: Encodable {
        let uuid: String
        let version: UInt32
        let pageSize: UInt32
        let descriptorSize: UInt32
        let deviceSize: UInt64
        let sectionCount: UInt64
        let arrayOffset: UInt64
        let dataOffset: UInt64
        let dataSize: UInt64
        let attachGeneration: UInt64
        let createdUnixNs: UInt64
        let groupCount: UInt64
        let pageCount: UInt64
        @Explicit var set: Set?
    }

    /// Of a device that has a mirror, or is one.
    struct Set: Encodable {
        let uuid: String
        /// `primary`, `mirror` or `promoted`.
        let role: String
        let peerUuid: String
        let peerPath: String
        /// As shimctl mirror status says it; empty for a primary.
        let state: String
    }

    init(
        file: DeviceFile, pair: SuperblockPair, attachment: Attachment?, content: String?, totals: LayerScan.Totals?
    ) {
        device = file.path.string.printable
        kind = file.isBlockDevice ? "block" : "image"
        size = file.size
        copiesAgree =
            switch pair.agreement {
            case .identical: "identical"
            case .generationsDiffer: "generations_differ"
            case .differ: "differ"
            case .oneBroken: "one_broken"
            case .bothBroken: "both_broken"
            }
        copies = zip(Superblock.offsets, [pair.first, pair.second]).map(Copy.init)
        superblock = pair.superblock.map(Fields.init)
        self.content = content
        attached = attachment.map(ListCommand.Entry.init)
        layers = totals
    }
}

extension InspectReport.Copy {
    init(_ offset: UInt64, _ copy: SuperblockPair.Copy) {
        self.offset = offset
        switch copy {
        case .whole(let superblock):
            whole = true
            problem = ""
            field = ""
            uuid = superblock.identifier.description
            attachGeneration = superblock.generation
        case .broken(let reason):
            whole = false
            problem = reason.description
            field = "\(reason.field.name)"
        }
    }
}

extension InspectReport.Set {
    init(_ membership: SetMembership) {
        uuid = membership.set.description
        role = "\(membership.role)"
        peerUuid = membership.peer.description
        peerPath = MirrorMaker.path(membership)
        state = membership.role == .primary ? "" : membership.text
    }
}

extension InspectReport.Fields {
    init(_ superblock: Superblock) {
        uuid = superblock.identifier.description
        version = superblock.membership == nil ? 1 : 2
        pageSize = superblock.geometry.pageSize
        descriptorSize = 64
        deviceSize = superblock.geometry.deviceSize
        sectionCount = superblock.geometry.sectionCount
        arrayOffset = superblock.geometry.arrayOffset
        dataOffset = superblock.geometry.dataOffset
        dataSize = superblock.geometry.dataSize
        attachGeneration = superblock.generation
        createdUnixNs = superblock.created
        groupCount = superblock.geometry.groupCount
        pageCount = superblock.geometry.pageCount
        set = superblock.membership.map(InspectReport.Set.init)
    }
}
