import Glibc
import PmemShim
import Synchronization

/// One of two processes that race for the first touch of the same pages: page-race FILE ROUNDS SIDE.
///
/// FILE is shared by both sides: a page of control words, then one section's descriptors, whatever bytes they hold.
/// Every round is a generation of its own, so that section, group and pages are all in their initial state when both
/// begin. After each round side 0 looks whether anything was lost or done twice, and says so. It ends with a count.
@main
struct PageRace {
    private let shared: UnsafeMutableRawPointer
    private let side: Int
    private var meetings: UInt64 = 0
    private var wrong = 0
    /// Rounds in which each side did a layer: both were inside at the same time.
    private var together = 0

    private static let control = 4_096
    private static let arrayLength = 2 << 20

    static func main() {
        let arguments = CommandLine.arguments
        guard arguments.count == 4, let rounds = UInt32(arguments[2]), let side = Int(arguments[3]), 0...1 ~= side
        else {
            print("usage: page-race FILE ROUNDS 0|1")
            exit(64)
        }
        let descriptor = open(arguments[1], O_RDWR | O_CLOEXEC)
        guard descriptor >= 0,
            let shared = mmap(nil, control + arrayLength, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0),
            shared != MAP_FAILED
        else {
            perror(arguments[1])
            exit(1)
        }
        var race = PageRace(shared: shared, side: side)
        race.run(rounds)
    }

    private init(shared: UnsafeMutableRawPointer, side: Int) {
        self.shared = shared
        self.side = side
    }

    private func word(_ index: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
        (shared + index * 64).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    /// Goes on when the other has come as far.
    private mutating func meet() {
        meetings += 1
        word(0).pointee.wrappingAdd(1, ordering: .acquiringAndReleasing)
        var turns = 0
        var begin = 0
        while word(0).pointee.load(ordering: .acquiring) < meetings * 2 {
            turns += 1
            // Both may be on one processor; but a yield at once would let them start far apart.
            if turns > 2_000 { sched_yield() }
            if turns == 2_001 { begin = time(nil) }
            if turns > 2_001, turns & 0xfff == 0, time(nil) - begin > 60 {
                print("the other side did not come")
                exit(3)
            }
        }
    }

    private mutating func complain(_ round: UInt32, _ what: String) {
        wrong += 1
        if wrong <= 20 { print("round \(round): \(what)") }
    }

    private mutating func run(_ rounds: UInt32) {
        for round in 1...rounds {
            guard
                let array = PageArray(
                    base: shared + Self.control, byteCount: Self.arrayLength, pageCount: 32_768, tag: round)
            else { exit(1) }
            // The same for both, another group each time.
            let page = UInt64(round % 64) * 512 + UInt64(round % 509)
            let mine = word(1 + side)
            meet()
            var delay = UInt32.random(in: 0..<64) * UInt32.random(in: 0..<8)
            while delay > 0 {
                delay -= 1
                _ = mine.pointee.load(ordering: .sequentiallyConsistent)
            }
            let done = array.prepare(page) ?? []
            array.insert(side == 0 ? .allocated : .bad, of: page)
            array.addReads(1, to: page)
            array.addWrites(UInt32(1 + side), to: page ^ 1)
            mine.pointee.store(UInt64(done.rawValue), ordering: .releasing)
            meet()
            if side == 0 { look(round, array, page) }
        }
        // Nobody goes while the other may still wait.
        meet()
        if side == 0 { print("rounds \(rounds), wrong \(wrong), both inside at once in \(together)") }
        exit(wrong == 0 ? 0 : 1)
    }

    private mutating func look(_ round: UInt32, _ array: PageArray, _ page: UInt64) {
        let both = [1, 2].map { side in
            let done = word(side).pointee.load(ordering: .acquiring)
            return PageArray.Initialised(rawValue: UInt8(truncatingIfNeeded: done))
        }
        for (layer, name) in [(PageArray.Initialised.section, "section"), (.group, "group")] {
            let count = both.filter { $0.contains(layer) }.count
            if count != 1 { complain(round, "the \(name) was initialised \(count) times") }
        }
        if both[0] != both[1], !both.contains([]) { together += 1 }
        let flags = array.flags(of: page)
        if flags != [.ready, .allocated, .bad] { complain(round, "flags are \(flags)") }
        if array.reads(of: page) != 2 { complain(round, "\(array.reads(of: page)) reads instead of 2") }
        if array.writes(of: page ^ 1) != 3 { complain(round, "\(array.writes(of: page ^ 1)) writes instead of 3") }
        let first = page & ~511
        for index in first..<first + 512 where index != page && array.flags(of: index) != .ready {
            complain(round, "page \(index) is \(array.flags(of: index))")
        }
        if !array.isSectionReady(of: page) || !array.isGroupReady(of: page) {
            complain(round, "a layer is not ready")
        }
    }
}
