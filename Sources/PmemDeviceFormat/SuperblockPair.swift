/// The two copies of a superblock, as they were found, and what follows.
package struct SuperblockPair: Sendable {
    package enum Copy: Sendable {
        case whole(Superblock)
        case broken(SuperblockError)

        package var superblock: Superblock? {
            if case .whole(let superblock) = self { superblock } else { nil }
        }
    }

    package let first: Copy
    package let second: Copy

    package init(first: Copy, second: Copy) {
        self.first = first
        self.second = second
    }

    /// What the device is: the first copy where it is whole, else the second. An attach that was cut short has raised
    /// the generation of one copy only: the higher one counts.
    package var superblock: Superblock? {
        guard var chosen = first.superblock else { return second.superblock }
        if let other = second.superblock, other.identifier == chosen.identifier, other.geometry == chosen.geometry {
            chosen.generation = max(chosen.generation, other.generation)
            if other.membership?.sequence ?? 0 > chosen.membership?.sequence ?? 0 {
                chosen.membership = other.membership
            }
        }
        return chosen
    }

    package enum Agreement: Equatable, Sendable {
        case identical
        /// An attach was cut short; the next one puts it right.
        case generationsDiffer
        /// Two devices: the second copy is a left-over, or the first has been put there by mistake.
        case differ
        case oneBroken
        case bothBroken
    }

    package var agreement: Agreement {
        switch (first.superblock, second.superblock) {
        case (nil, nil): return .bothBroken
        case (let one?, let two?):
            if one == two { return .identical }
            return one.identifier == two.identifier && one.geometry == two.geometry && one.created == two.created
                ? .generationsDiffer : .differ
        default: return .oneBroken
        }
    }
}
