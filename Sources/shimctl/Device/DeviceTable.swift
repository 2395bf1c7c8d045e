import SystemPackage

/// /etc/pmemshim/devices: what is attached at boot, as crypttab(5) has it for encrypted devices. A line has the image
/// or block device, and, if wanted, a name and a group, with blanks between; `-` leaves one out; `#` begins a comment.
struct DeviceTable {
    struct Line {
        let number: Int
        let device: String
        let name: String?
        let group: String?
    }

    static let path = FilePath("/etc/pmemshim/devices")

    let lines: [Line]

    /// - Throws: a `Complaint` where there is no such file, or a line is wrong, which it names.
    init(reading path: FilePath = DeviceTable.path) throws {
        guard let text = try SystemFile(path: path).text() else {
            throw Complaint(.failure, "--all: there is no \(path.string): it names the devices")
        }
        try self.init(text, path: path)
    }

    private init(_ text: String, path: FilePath) throws {
        var found: [Line] = []
        for (index, raw) in text.lines.enumerated() {
            let fields = raw.prefix { $0 != "#" }.split(whereSeparator: \.isWhitespace).map(String.init)
            guard let device = fields.first else { continue }
            let place = "\(path.string), line \(index + 1)"
            guard fields.count <= 3 else {
                throw Complaint(.failure, "\(place): a device, a name and a group are all that a line can have")
            }
            guard device.hasPrefix("/") else {
                throw Complaint(.failure, "\(place): \"\(device.printable)\" is not an absolute path")
            }
            let options = fields.dropFirst().map { $0 == "-" ? nil : $0 } + [nil, nil]
            if let name = options[0], !DeviceNodes.isName(name) {
                throw Complaint(.failure, "\(place): \"\(name.printable)\" cannot be the name of a device")
            }
            found.append(Line(number: index + 1, device: device, name: options[0], group: options[1]))
        }
        lines = found
    }
}
