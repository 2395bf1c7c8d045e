/// One kind of call that `shimctl bench` measures.
struct BenchRow: Equatable {
    enum Operation: String, CaseIterable {
        /// pread at random offsets.
        case pread
        /// read from beginning to end, again and again.
        case read
        /// pwrite at random offsets of what is there.
        case pwrite
        /// write at the end of a file that grows.
        case append
        /// fdatasync after a pwrite of 4 KiB, without the pwrite.
        case fdatasync
        /// Opening a file, one pread of 4 KiB and closing it, another file each time: with the shim what a window costs
        /// that comes and goes.
        case open
        /// A page of 4 KiB that comes into a mapping and goes with it: the kernel's price, the same on both sides.
        case page
    }

    let operation: Operation
    /// Bytes of each call; 0 where it has no size.
    let size: Int
    /// Between two calls the program does something else with its memory, as programs do, which leaves the kernel's
    /// code and tables no longer in the nearest caches: a call then costs more than in a loop of nothing else.
    let isAmongWork: Bool

    /// As the worker's command line has it: `pread-4096`, `pread-4096-work`.
    var name: String {
        (size > 0 ? "\(operation.rawValue)-\(size)" : operation.rawValue) + (isAmongWork ? "-work" : "")
    }

    var title: String {
        let bytes = Figures.bytes(UInt64(size))
        return switch operation {
        case .pread: "pread \(bytes), random"
        case .read: "read \(bytes), in order"
        case .pwrite: "overwrite \(bytes), random"
        case .append: "append \(bytes)"
        case .fdatasync: "fdatasync after 4 KiB"
        case .open: "open, pread 4 KiB, close"
        case .page: "a page that is mapped"
        }
    }

    init(_ operation: Operation, _ size: Int = 0, amongWork: Bool = false) {
        self.operation = operation
        self.size = size
        isAmongWork = amongWork
    }

    /// - Returns: nothing for a name that no row has.
    init?(named name: String) {
        let parts = name.split(separator: "-")
        guard let first = parts.first, let operation = Operation(rawValue: String(first)),
            let size = parts.count > 1 ? Int(parts[1]) : 0, (0...1 << 20).contains(size)
        else { return nil }
        self.init(operation, size, amongWork: parts.last == "work")
    }

    /// What people look at.
    static let table: [BenchRow] = [
        .init(.pread, 64), .init(.pread, 4_096), .init(.pread, 65_536), .init(.read, 4_096), .init(.read, 65_536),
        .init(.pwrite, 64), .init(.pwrite, 4_096), .init(.pwrite, 65_536), .init(.append, 4_096), .init(.fdatasync),
    ]

    /// What an estimate needs: two sizes make a line.
    static let calibration: [BenchRow] =
        [Operation.pread, .pwrite, .append].flatMap { operation in
            [512, 4_096, 65_536].map { BenchRow(operation, $0, amongWork: true) }
        } + [.init(.fdatasync), .init(.open), .init(.page)]
}
