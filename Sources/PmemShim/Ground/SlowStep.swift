import CShimSys

/// A step that is made on the engine's own stack (ps_own_stack.h), with its arguments and its result: closures that
/// capture would have to be allocated.
protocol SlowStep {
    /// The stack is one for all: who makes a step has the lock.
    var held: LockHeld { get }
    mutating func run()
}

extension Engine {
    /// Makes the step on the engine's own stack, in the process that the arena belongs to.
    @inline(__always)
    func onOwnStack<Step: SlowStep>(_ step: inout Step, _ function: @convention(c) (UnsafeMutableRawPointer) -> Void) {
        withUnsafeMutablePointer(to: &step) {
            ps_on_own_stack(
                address + Arena.stackOffset, Arena.stackLength, function, UnsafeMutableRawPointer($0))
        }
    }
}
