#if PMEMSHIM_CHECKS
    import CShimSys

    /// Something that must hold under the engine lock, and does not.
    struct Violation {
        /// What is the case, as a sentence.
        let rule: StaticString
        /// Of which number, slot or mount.
        let index: Int
        /// What was found there.
        let seen: Int64

        init(_ rule: StaticString, _ index: Int, _ seen: Int64 = 0) {
            self.rule = rule
            self.index = index
            self.seen = seen
        }

        /// Says it on standard error, and ends the process.
        func stop(_ held: LockHeld, _ engine: Engine) -> Never {
            var line = PathText(engine.scratch(held), capacity: 1_024)
            line.append("pmemshim[")
            line.append(UInt64(max(ps_sys_process(), 0)))
            line.append("]: ")
            line.append(rule)
            line.append(" (")
            line.append(UInt64(index.magnitude))
            line.append(": ")
            if seen < 0 { line.append("-") }
            line.append(seen.magnitude)
            line.append(")\n")
            _ = ps_sys_write(2, engine.scratch(held), line.count)
            ps_trap()
        }
    }
#endif
