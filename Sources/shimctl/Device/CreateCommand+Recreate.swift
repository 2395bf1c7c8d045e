import PmemShim

extension CreateCommand {
    /// `create --recreate`: both copies again; nothing else is written.
    func putBack() throws -> Superblock {
        let file = try DeviceFile.open(device, for: .change)
        defer { file.close() }
        let pair = try file.superblocks()
        let superblock = try pair.superblock.map { try agreeing($0, pair) } ?? fromOptions(file, pair)
        try file.write(superblock)
        try tell(file, superblock)
        return superblock
    }

    /// The parameters of the copy that is left; options may repeat them.
    private func agreeing(_ superblock: Superblock, _ pair: SuperblockPair) throws -> Superblock {
        if pair.agreement == .differ, !force {
            throw Complaint(
                .failure,
                "the two copies are of different devices (\(pair.first.shortText), \(pair.second.shortText)): --force takes"
                    + " the first")
        }
        func demand(_ option: String, _ given: String?, _ found: String) throws {
            guard let given, given != found else { return }
            throw Complaint(.failure, "\(option) is \(given), but the superblock says \(found)")
        }
        try demand("--size", size.map { "\($0.bytes)" }, "\(superblock.geometry.deviceSize)")
        try demand("--page-size", pageSize.map { "\($0.bytes)" }, "\(superblock.geometry.pageSize)")
        try demand(
            "--uuid", uuid.flatMap(Superblock.Identifier.init)?.description, superblock.identifier.description)
        return superblock
    }

    private func fromOptions(_ file: DeviceFile, _ pair: SuperblockPair) throws -> Superblock {
        for case .broken(let reason) in [pair.first, pair.second] where !force {
            // A superblock of a later version, or of a larger device, is not lost: this is the wrong program, or the
            // wrong device.
            if reason.problem == .newer || reason.problem == .beyondDevice {
                throw Complaint(.failure, "\(pair.complaint): not overwritten without --force")
            }
        }
        if !force, let found = try DeviceContent(of: file).found() {
            throw Complaint(
                .failure, "\"\(device.printable)\" holds \(found) and no superblock: not overwritten without --force")
        }
        if let size, size.bytes > file.size {
            throw Complaint(
                .failure,
                "\"\(device.printable)\" has \(Figures.bytes(file.size)), less than --size \(size.description)")
        }
        return try parameters(for: file, uuid: uuid.flatMap(Superblock.Identifier.init) ?? .random())
    }

    /// Where the data is supposed to be there should be something: with another page size it would lie elsewhere.
    private func tell(_ file: DeviceFile, _ superblock: Superblock) throws {
        let geometry = superblock.geometry
        if let found = try content(of: file, geometry) {
            try Output.line("data: \(found)")
            return
        }
        try Output.line("data: nothing that is known")
        for other in DeviceGeometry.pageSizes where other != geometry.pageSize {
            guard let elsewhere = DeviceGeometry(deviceSize: geometry.deviceSize, pageSize: other),
                elsewhere.dataOffset != geometry.dataOffset, let found = try content(of: file, elsewhere)
            else { continue }
            Output.warn("shimctl create: with --page-size \(other) there would be \(found)")
        }
    }

    private func content(of file: DeviceFile, _ geometry: DeviceGeometry) throws -> String? {
        let end = geometry.dataOffset + geometry.dataSize
        guard end <= file.size else { return nil }
        return try DeviceContent(of: file).found(in: geometry.dataOffset..<end)
    }
}

extension SuperblockPair.Copy {
    var shortText: String {
        switch self {
        case .whole(let superblock):
            "\(superblock.identifier.description), \(Figures.bytes(superblock.geometry.deviceSize))"
        case .broken(let reason): reason.description
        }
    }
}
