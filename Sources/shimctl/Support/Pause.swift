import Glibc

/// Sleeping, without Foundation (Package.swift says why there is none).
enum Pause {
    /// Sleeps so long, also where signals interrupt it.
    static func take(seconds: Double) {
        let whole = max(seconds, 0).rounded(.down)
        var left = timespec(tv_sec: Int(whole), tv_nsec: Int((max(seconds, 0) - whole) * 1e9))
        var wanted: timespec
        repeat { wanted = left } while nanosleep(&wanted, &left) != 0 && errno == EINTR
    }
}
