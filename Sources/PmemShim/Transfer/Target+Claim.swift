import CShimSys
import Synchronization

extension Target {
    /// After a call that has claimed has ended.
    @inline(__always)
    func hasEnded(_ engine: Engine) {
        if descriptor.pointee.word.load(ordering: .relaxed) != word.bits { engine.dropLingering() }
    }
}
