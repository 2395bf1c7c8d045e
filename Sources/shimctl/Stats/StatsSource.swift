import FoundationEssentials
import Glibc
import SystemPackage

/// Whose figures are looked at: one user's, or for root those of all.
struct StatsSource {
    /// Each with the user's name; empty where it is one's own.
    let places: [(user: String, place: RuntimePlace)]

    /// - Parameters:
    ///   - user: a name or number; nothing: the caller.
    ///   - all: of every user who has any; only root may see them.
    init(user: String? = nil, all: Bool = false) throws {
        guard all else {
            places = [(user ?? "", try RuntimePlace(user: user))]
            return
        }
        guard geteuid() == 0 else { throw Complaint(.failure, "--all-users: only root may read other users' figures") }
        let others = try RuntimePlace.otherUsers.map { ($0.name, try RuntimePlace(user: "\($0.uid)")) }
        places = [("root", try RuntimePlace())] + others
    }

    /// All of them together. One user's file that is damaged does not hide those of others.
    func snapshot() throws -> StatsSnapshot {
        guard places.count > 1 else { return try StatsFile.snapshot(in: places[0].place) }
        var processes: [StatsSnapshot.Process] = []
        var ended: [StatsSnapshot.Ended] = []
        for (user, place) in places {
            do {
                let found = try StatsFile.snapshot(in: place)
                processes += found.processes.map { $0.of(user: user) }
                ended += found.ended.map { $0.of(user: user) }
            } catch {
                Output.warn("shimctl: \(error)")
            }
        }
        processes.sort { ($0.isLive ? 1 : 0, $0.claimed, $0.pid) > ($1.isLive ? 1 : 0, $1.claimed, $1.pid) }
        return StatsSnapshot(time: StatsSnapshot.now(), processes: processes, ended: ended)
    }
}
