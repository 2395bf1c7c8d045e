import PmemDeviceFormat
import PmemShim

extension CreateCommand {
    /// `create --recreate`: both copies again; nothing else is written.
    func putBack() throws -> Superblock {
        let file = try DeviceFile.open(device, for: .change)
        defer { file.close() }
        try file.demandAlone()
        let pair = try file.superblocks()
        let superblock = try pair.superblock.map { try agreeing($0, pair, file) } ?? fromOptions(file, pair)
        try file.reserve(Superblock.size, at: Superblock.offsets)
        try file.write(superblock)
        try tell(file, superblock)
        return superblock
    }

    /// The parameters of the copy that is left; options may repeat them.
    private func agreeing(_ superblock: Superblock, _ pair: SuperblockPair, _ file: DeviceFile) throws -> Superblock {
        if pair.agreement == .differ, !force {
            throw Complaint(
                .failure,
                "the two copies are of different devices (\(pair.first.shortText), \(pair.second.shortText)):"
                    + " --force takes the first")
        }
        if !force { try file.demandOwnBeginning(pair) }
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
        let evidence = RecreateEvidence(file, pair)
        if !force, let found = try DeviceContent(of: file).foundBeforeArrays() ?? evidence.stranger() {
            throw Complaint(
                .failure, "\"\(device.printable)\" holds \(found) and no superblock: not overwritten without --force")
        }
        guard let size, let pageSize else {
            throw Complaint(
                .failure,
                "\"\(device.printable)\" has no superblock that is left: --size and --page-size are needed,"
                    + " as they were given to create (it has \(file.size) bytes; without --page-size create takes 4096)"
                    + (try evidence.hint()))
        }
        guard size.bytes <= file.size else {
            throw Complaint(
                .failure,
                "\"\(device.printable)\" has \(Figures.bytes(file.size)), less than --size \(size.description)")
        }
        let superblock = try parameters(for: file, uuid: uuid.flatMap(Superblock.Identifier.init) ?? .random())
        if !force, let objection = try evidence.objection(to: superblock.geometry) {
            throw Complaint(
                .failure,
                "\"\(device.printable)\" does not look like a device of \(size.bytes) bytes with pages of"
                    + " \(pageSize.bytes): \(objection): nothing written; --force takes your word for it")
        }
        return superblock
    }

    /// Where the data is supposed to be there should be something: with another page size it would lie elsewhere.
    private func tell(_ file: DeviceFile, _ superblock: Superblock) throws {
        let evidence = RecreateEvidence(file, try file.superblocks())
        if let found = try evidence.content(superblock.geometry) {
            try Output.line("data: \(found)")
            return
        }
        try Output.line("data: nothing that is known")
        for (other, found) in try evidence.others(than: superblock.geometry) {
            Output.warn("shimctl create: with --page-size \(other.pageSize) there would be \(found)")
        }
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
