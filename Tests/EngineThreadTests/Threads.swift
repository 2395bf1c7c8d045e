import Glibc
import Synchronization
import TestSupport

/// Runs `body` in that many threads at once, each with its number, and waits for them all. Threads of the system rather
/// than tasks: the engine knows its callers by thread.
func inThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) throws {
    final class Start: Sendable {
        let number: Int
        let body: @Sendable (Int) -> Void

        init(_ number: Int, _ body: @escaping @Sendable (Int) -> Void) {
            self.number = number
            self.body = body
        }
    }
    var threads: [pthread_t] = []
    defer { for thread in threads { pthread_join(thread, nil) } }
    for number in 0..<count {
        var thread = pthread_t()
        let start = Unmanaged.passRetained(Start(number, body))
        let failure = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                start.body(start.number)
                return nil
            }, start.toOpaque())
        guard failure == 0 else {
            start.release()
            throw SetupError("pthread_create: \(failure)")
        }
        threads.append(thread)
    }
}

/// The same for threads that each work with numbers and in a block of their own.
func inThreads(
    _ count: Int,
    working body:
        @escaping @Sendable (
            _ number: Int, _ sequence: inout Sequence, _ buffer: UnsafeMutableRawBufferPointer,
            _ address: UnsafeMutableRawPointer
        ) -> Void
) throws {
    try inThreads(count) { number in
        withBlock { buffer in
            guard let address = buffer.baseAddress else { return }
            var sequence = Sequence(number)
            body(number, &sequence, buffer, address)
        }
    }
}

/// What threads find wrong: counted while they run, expected to be nothing when they have ended.
final class Wrong: Sendable {
    private let count = Atomic<Int>(0)

    func check(_ isRight: Bool) {
        if !isRight { count.wrappingAdd(1, ordering: .relaxed) }
    }

    var times: Int { count.load(ordering: .relaxed) }
}

/// A fixed sequence of numbers per thread.
struct Sequence {
    private var state: UInt64

    init(_ number: Int) { state = UInt64(number) &* 0x9e37_79b9_7f4a_7c15 &+ 1 }

    mutating func next(below bound: Int) -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int(state >> 33) % bound
    }
}
