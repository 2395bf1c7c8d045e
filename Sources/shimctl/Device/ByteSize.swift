import ArgumentParser

/// A size as people write it: `4194304`, `512M`, `1.5T`, `16TiB`. Units are binary.
struct ByteSize: ExpressibleByArgument, Equatable {
    let bytes: UInt64

    init(bytes: UInt64) { self.bytes = bytes }

    /// - Returns: nothing for what is no size, is more than a file offset can name, or is no whole number of bytes.
    init?(argument: String) {
        let number = argument.prefix { $0.isNumber && $0.isASCII || $0 == "." }
        var unit = argument.dropFirst(number.count).uppercased()
        if unit.hasSuffix("IB") { unit.removeLast(2) } else if unit.hasSuffix("B") { unit.removeLast() }
        guard let shift = ["": 0, "K": 10, "M": 20, "G": 30, "T": 40, "P": 50][unit] else { return nil }
        let limit = UInt64(Int64.max)
        if let whole = UInt64(number) {
            guard whole <= limit >> shift else { return nil }
            bytes = whole << shift
        } else {
            guard shift > 0, number.last != ".", number.first != ".", let value = Double(number) else { return nil }
            let product = value * Double(UInt64(1) << shift)
            guard product < 0x1p62 else { return nil }
            bytes = UInt64(product.rounded())
        }
    }

    var description: String { Figures.bytes(bytes) }
}

/// `--page-size`: 4096, 16384, 65536, or the same with a unit.
struct PageSize: ExpressibleByArgument {
    let bytes: UInt32

    init?(argument: String) {
        guard let size = ByteSize(argument: argument), [4_096, 16_384, 65_536].contains(size.bytes) else { return nil }
        bytes = UInt32(size.bytes)
    }
}
