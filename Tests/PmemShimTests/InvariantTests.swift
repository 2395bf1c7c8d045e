import CShimSys
import Synchronization
import Testing

@testable import PmemShim

/// An engine whose lock the calling thread has, with a file in one slot, a window of it, and number 5 that it is of.
private struct Sample {
    let engine: Engine
    let held: LockHeld
    let slot: UInt32

    static let fd: Int32 = 5
    static let base: UInt = 1 << 30
    static let length: Int64 = 2 << 20

    var inode: UnsafeMutablePointer<Inode> { engine.inode(slot) }
    var word: UnsafeMutablePointer<Descriptor>? { engine.descriptor(Sample.fd) }

    static func with<Result>(_ body: (Sample) throws -> Result) throws -> Result {
        try withLock { engine, held in
            engine.mounts(held).pointee.mounts = 1
            let slot = try #require(engine.inodeSlot(held, facts(7), mount: 0))
            let sample = Sample(engine: engine, held: held, slot: slot)
            sample.fill()
            return try body(sample)
        }
    }

    static func facts(_ number: UInt64) -> ps_file_facts {
        var facts = ps_file_facts()
        facts.device = 1
        facts.inode = number
        facts.size = 1 << 20
        return facts
    }

    private func fill() {
        inode.pointee.references = 1
        inode.pointee.probeBase.store(Sample.base, ordering: .relaxed)
        inode.pointee.base.store(Sample.base, ordering: .relaxed)
        inode.pointee.length.store(Sample.length, ordering: .relaxed)
        inode.pointee.source = Sample.fd
        inode.set(InodeFlag.writable)
        inode.pointee.readLimit.store(4_096, ordering: .relaxed)
        inode.pointee.writeLimit.store(4_096, ordering: .relaxed)
        engine.windows.pointee.windows.store(1, ordering: .relaxed)
        engine.windows.pointee.mapped = Sample.length
        engine.raiseBound(Sample.fd)
        mean(slot, by: Sample.fd)
    }

    func mean(_ slot: UInt32, by fd: Int32) {
        let flags = DescriptorWord.ours | DescriptorWord.maps | DescriptorWord.mapsWritable
        engine.descriptor(fd)?.pointee.word.store(DescriptorWord(0).learnt(flags, inode: slot).bits, ordering: .relaxed)
    }

    /// As of every file that is not on DAX: end probes are made in a second mapping, which is as long, at 4,096 in it.
    func probesBehindTheWindow() {
        inode.pointee.probeBase.store(Sample.base + UInt(Sample.length), ordering: .relaxed)
        inode.pointee.readableProbe = 4_096
        engine.windows.pointee.mapped = 2 * Sample.length
    }

    /// Takes the window away, as far as the counts are concerned.
    func withoutWindow() {
        inode.pointee.base.store(0, ordering: .relaxed)
        inode.pointee.length.store(0, ordering: .relaxed)
        inode.pointee.source = -1
        inode.clear(InodeFlag.writable)
        engine.windows.pointee.windows.store(0, ordering: .relaxed)
        engine.windows.pointee.mapped = 0
    }

    func rule(limitsAreExact: Bool = true) -> String? {
        engine.violation(held, limitsAreExact: limitsAreExact).map { String(describing: $0.rule) }
    }
}

/// A way to break a sample, and what the check must say of it.
private struct Breakage: CustomTestStringConvertible {
    let rule: String
    let apply: @Sendable (Sample) -> Void
    var testDescription: String { rule }

    init(_ rule: String, _ apply: @escaping @Sendable (Sample) -> Void) {
        self.rule = rule
        self.apply = apply
    }

    static let all: [Breakage] = slots + windows + numbers

    private static let slots = [
        Breakage("a chain leads to a slot that was not handed out") { $0.inode.pointee.next = 99 },
        Breakage("a slot is in a chain twice") { $0.inode.pointee.next = UInt16($0.slot + 1) },
        Breakage("a slot is in another chain than its file's") { $0.inode.pointee.number = 8 },
        Breakage("a slot in use has no reference") { $0.inode.pointee.references = 0 },
        Breakage("a free slot is in use, or free twice") {
            $0.engine.files.pointee.freeInode = UInt16($0.slot + 1)
        },
        Breakage("a slot is neither in use nor free") {
            $0.engine.files.pointee.usedInodes.store(2, ordering: .relaxed)
        },
        Breakage("a free slot has a window") {
            $0.engine.files.pointee.usedInodes.store(2, ordering: .relaxed)
            $0.engine.files.pointee.freeInode = UInt16($0.slot + 2)
            $0.engine.inode($0.slot + 1).pointee.base.store(1 << 31, ordering: .relaxed)
        },
        Breakage("a mount counts other files than there are") { $0.engine.mount(0).pointee.files = 2 },
        Breakage("a slot is of a mount that is not known") {
            $0.engine.mounts($0.held).pointee.mounts = 0
        },
        Breakage("a size is below 0") { $0.inode.pointee.size.store(-1, ordering: .relaxed) },
    ]

    private static let windows = [
        Breakage("a limit is below 0") { $0.inode.pointee.readLimit.store(-4_096, ordering: .relaxed) },
        Breakage("a limit lies beyond the window") {
            $0.inode.pointee.readLimit.store(Sample.length, ordering: .relaxed)
        },
        Breakage("there is a limit without a window") { $0.withoutWindow() },
        Breakage("there is a length without a window") { $0.inode.pointee.base.store(0, ordering: .relaxed) },
        Breakage("there is a source without a window") {
            $0.withoutWindow()
            $0.inode.pointee.source = Sample.fd
        },
        Breakage("no window, and writable") {
            $0.withoutWindow()
            $0.inode.set(InodeFlag.writable)
        },
        Breakage("a window is not of whole pages") { $0.inode.pointee.length.store(5_000, ordering: .relaxed) },
        Breakage("end probes are made elsewhere than in or behind the window") {
            $0.inode.pointee.probeBase.store(4_096, ordering: .relaxed)
        },
        Breakage("the page for probes lies outside of the window") {
            $0.probesBehindTheWindow()
            $0.inode.pointee.readableProbe = Sample.length
        },
        Breakage("a limit is not where end probes can be made") {
            $0.probesBehindTheWindow()
            $0.inode.pointee.readableProbe = 8_192
        },
        Breakage("writes are served to a window that is read-only") { $0.inode.clear(InodeFlag.writable) },
        Breakage("other windows are counted than there are") {
            $0.engine.windows.pointee.windows.store(2, ordering: .relaxed)
        },
        Breakage("other bytes are counted than are mapped") { $0.engine.windows.pointee.mapped = 0 },
        Breakage("a window lies in a range that is retired") {
            $0.engine.windows.pointee.retired = 1
            $0.engine.retired($0.held, 0).pointee = RetiredRange(base: Sample.base + 4_096, length: 4_096)
        },
        Breakage("a range lingers, and none is retired") {
            $0.engine.windows.pointee.lingering.store(1, ordering: .relaxed)
        },
    ]

    private static let numbers = [
        Breakage("a page array lies outside its regions") {
            $0.engine.sectionEntry(0).pointee.key.store(1, ordering: .relaxed)
            $0.engine.sectionEntry(0).pointee.base.store(4_096, ordering: .relaxed)
        },
        Breakage("a number names a slot that is not in use") { $0.mean(3, by: Sample.fd) },
        Breakage("a slot has fewer references than numbers") { $0.mean($0.slot, by: 4) },
        Breakage("slots have more references than numbers") { $0.inode.pointee.references = 2 },
        Breakage("a window's source does not mean its file") { $0.inode.pointee.source = 4 },
    ]
}

@Suite("What must hold of the engine's tables")
struct InvariantTests {
    @Test("a state that is right is found so")
    func nothingWrong() throws {
        try Sample.with { #expect($0.rule() == nil) }
    }

    @Test("a state in which end probes are made behind the window is right too")
    func probesElsewhere() throws {
        try Sample.with { sample in
            sample.probesBehindTheWindow()
            #expect(sample.rule() == nil)
        }
    }

    @Test("each way to break it is found, and named", arguments: Breakage.all)
    fileprivate func broken(_ breakage: Breakage) throws {
        try Sample.with { sample in
            breakage.apply(sample)
            #expect(sample.rule() == breakage.rule)
        }
    }

    @Test("limits are hints where other threads, or handlers, may have set them")
    func hints() throws {
        try Sample.with { sample in
            sample.inode.pointee.readLimit.store(Sample.length, ordering: .relaxed)
            #expect(sample.rule(limitsAreExact: false) == nil)
            sample.withoutWindow()
            #expect(sample.rule(limitsAreExact: false) == nil)
        }
    }

    @Test("a number that has just been forgotten excuses the reference that is to be given back, and no other")
    func evictionUnderWay() throws {
        try Sample.with { sample in
            sample.engine.checks.pointee.evictions.store(1, ordering: .relaxed)
            sample.word?.pointee.word.store(DescriptorWord(0).evicted.bits, ordering: .relaxed)
            #expect(sample.rule() == nil)
            sample.inode.pointee.references = 2
            #expect(sample.rule() == "slots have more references than numbers")
        }
    }

    @Test("slots that are handed out and given back are in their places")
    func slotsComeAndGo() throws {
        try Sample.with { sample in
            let engine = sample.engine
            var others: [UInt32] = []
            for number in 0..<64 as Range<UInt64> {
                let slot = try #require(engine.inodeSlot(sample.held, Sample.facts(100 + number), mount: 0))
                engine.inode(slot).pointee.references = 1
                engine.raiseBound(Int32(10 + number))
                sample.mean(slot, by: Int32(10 + number))
                others.append(slot)
            }
            #expect(sample.rule() == nil)
            for (number, slot) in others.enumerated() where number % 3 != 0 {
                engine.forget(sample.held, Int32(10 + number))
                #expect(engine.inode(slot).pointee.references == 0)
                #expect(sample.rule() == nil)
            }
        }
    }
}
