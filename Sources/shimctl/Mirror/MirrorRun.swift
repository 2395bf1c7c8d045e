import ArgumentParser
import Glibc

/// `shimctl mirror run`: passes in the background.
struct MirrorRun: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Copy what has changed, again and again.",
        discussion: """
            A pass begins every so many seconds, or as soon as the last one has ended. What has changed is known from \
            the kernel, which tells of writes (BPF, or else tracefs), and, for pages that programs map directly, from \
            the files' change times. A pass that fails is told of, and the next one tries again: a mirror that was \
            away is taken up when it is back. Apart from that everything is compared once a day, to find what was \
            missed: that must never happen, and is told. A device that is not mounted is waited for. Ends at SIGTERM \
            and SIGINT.

            EXIT STATUS
              0 when it was stopped, or its --passes are made; 1 if it cannot begin, or the last of --passes failed; \
            64 for a bad option
            """)

    @OptionGroup var options: MirrorPassOptions

    @Option(parsing: .unconditional, help: ArgumentHelp("From one pass to the next.", valueName: "seconds"))
    var every = 30.0

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Compare everything once in so long, whatever is known, a part after each pass; 0: never.",
            valueName: "seconds"))
    var fullEvery = 86_400.0

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Do that with no more than so much in a second.", valueName: "bytes"))
    var fullRate = ByteSize(bytes: 100 << 20)

    @Option(parsing: .unconditional, help: ArgumentHelp("End after so many passes.", valueName: "number"))
    var passes: Int?

    func validate() throws {
        guard (0.1...86_400).contains(every) else { throw ValidationError("--every: 0.1 to 86400 seconds.") }
        guard fullEvery == 0 || (every...1e8).contains(fullEvery) else {
            throw ValidationError("--full-every: 0, or at least --every.")
        }
        guard fullRate.bytes >= 1 << 20 else { throw ValidationError("--full-rate: 1 MiB a second is the least.") }
        if let passes, passes < 1 { throw ValidationError("--passes: at least 1.") }
    }

    func run() throws {
        var hasFailed = false
        try Complaint.reported(by: "mirror run") {
            let runner = MirrorRunner(options)
            runner.scrubbed = fullEvery > 0 ? min(every / fullEvery, 1) : 0
            runner.scrubRate = fullRate.bytes
            // What is wrong from the beginning is said at once.
            do {
                try options.set.open().close()
            } catch is Complaint where MirrorRunner.isStopped != 0 {
                return
            }
            var done = 0
            var lastWord = ""
            var failures = 0
            while MirrorRunner.isStopped == 0, passes.map({ done < $0 }) ?? true {
                let begin = ContinuousClock.now
                do {
                    if try isMounted() {
                        _ = try runner.pass()
                        lastWord = ""
                        failures = 0
                        hasFailed = false
                    } else {
                        say("not mounted: waiting", &lastWord)
                    }
                } catch let complaint as Complaint where MirrorRunner.isStopped == 0 {
                    say(complaint.description, &lastWord)
                    // Who is in the way will soon be done.
                    if !complaint.isTemporary { failures += 1 }
                    hasFailed = true
                } catch is Complaint {
                    break
                }
                done += 1
                guard passes.map({ done < $0 }) ?? true else { break }
                // What fails may do so because the freeze is slow, and then everybody waits: more and more rarely.
                let periods = Double(1 << min(failures, 6))
                hasFailed = false
                rest(until: begin + .seconds(failures > 1 ? max(every, min(every * periods, 300)) : every), runner)
            }
        }
        if hasFailed { throw ExitCode(1) }
    }

    private func isMounted() throws -> Bool {
        try Attachment.find(options.set.device)?.mountPoints.isEmpty == false
    }

    /// The same is not said again and again.
    private func say(_ text: String, _ last: inout String) {
        if text != last { Output.warn("shimctl mirror run: \(text)") }
        last = text
    }

    private func rest(until end: ContinuousClock.Instant, _ runner: MirrorRunner) {
        while MirrorRunner.isStopped == 0 {
            let left = (end - .now) / .seconds(1)
            guard left > 0 else { return }
            Pause.take(seconds: min(left, 0.5))
            runner.drain()
        }
    }
}
