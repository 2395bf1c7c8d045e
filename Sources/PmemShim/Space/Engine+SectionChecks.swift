#if PMEMSHIM_CHECKS
    import CShimSys
    import Synchronization

    extension Engine {
        /// Each page array that is mapped lies at a place of its own in one of the regions, and that place is taken.
        /// (A place may be taken without an array: one that could not be covered is never given away.) Entries and
        /// places change only under the lock.
        func sectionViolation(_ held: LockHeld) -> Violation? {
            let size = UInt(PS_DEVICE_ARRAY_SIZE)
            let perRegion = Int(PS_ROOT_REGION_SIZE) / Int(size)
            var (low, high): (UInt64, UInt64) = (0, 0)
            for index in 0..<Arena.sections {
                let entry = sectionEntry(index)
                let base = entry.pointee.base.load(ordering: .relaxed)
                guard entry.pointee.key.load(ordering: .relaxed) != 0, base != 0 else { continue }
                var number = -1
                for region in 0..<Int(PS_ROOT_REGIONS) {
                    let start = sectionRegion(region).pointee.load(ordering: .relaxed)
                    guard start != 0, base &- start < UInt(PS_ROOT_REGION_SIZE), (base &- start) % size == 0 else {
                        continue
                    }
                    number = region &* perRegion &+ Int((base &- start) / size)
                }
                guard number >= 0 else { return Violation("a page array lies outside its regions", index) }
                let bit: UInt64 = 1 << UInt64(number & 63)
                let taken = number < 64 ? space.pointee.sectionPlaces.0 : space.pointee.sectionPlaces.1
                guard taken & bit != 0 else { return Violation("a page array lies at a free place", index) }
                guard (number < 64 ? low : high) & bit == 0 else {
                    return Violation("two page arrays lie at the same place", index)
                }
                if number < 64 { low |= bit } else { high |= bit }
            }
            return nil
        }
    }
#endif
