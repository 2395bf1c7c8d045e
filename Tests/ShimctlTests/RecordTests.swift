import Foundation
import TestSupport
import Testing

/// `record` and `report`.
@Suite("recordings") struct RecordTests {
    private let fixture: MeasuredProgram
    private var file: String { "\(fixture.scratch.path)/a.record" }

    init() throws { fixture = try MeasuredProgram() }

    private func record(calls: Int = 60_000, end: Int = 0) throws -> Run {
        try fixture.run(["record", "-o", file, "--interval", "0.02"], calls: calls, end: end)
    }

    @Test("a recording holds every call, sample by sample, and the program's end")
    func holds() throws {
        let run = try record(end: 3)
        #expect(run.ending == .exited(3))
        #expect(run.stdout == "420000\n")
        let lines = try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n").map {
            try json(String($0))
        }
        #expect(lines.first?["head"]["schema"] == .string("pmemshim.record/1"))
        #expect(lines.last?["end"]["exit_status"] == .number(3))
        let calls = try #require(lines.dropLast().last?["sample"]["mounts"][0]["calls"]["pread"])
        #expect(calls.keys.reduce(0) { $0 + (calls[$1].number ?? 0) } == 60_000)
        #expect(lines.last?["end"]["processes"][0]["command"] == .string("reader"))
    }

    @Test("the page needs nothing from elsewhere, is well-formed, and has every drawing")
    func page() throws {
        _ = try record()
        let page = "\(fixture.scratch.path)/a.html"
        #expect(try fixture.shimctl("report", file, file, "--html", page).ending == .exited(0))
        let text = try String(contentsOfFile: page, encoding: .utf8)
        for unwanted in ["<script", "src=", "href=", "url(", "@import"] {
            #expect(!text.contains(unwanted), "\(unwanted)")
        }
        for heading in ["Side by side", "Served share over time", "Calls a second", "Why calls were passed on", "hot"] {
            #expect(text.contains(heading), "\(heading)")
        }
        // Python's parser for XML is strict: what it reads, a browser reads.
        let body = text.replacing("<!DOCTYPE html>", with: "").replacing("<meta charset=\"utf-8\">", with: "")
            .replacing("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">", with: "")
        let parsed = try spawn(
            "/usr/bin/python3",
            [
                "-c",
                "import sys, xml.etree.ElementTree as e; print(len(list(e.fromstring(sys.stdin.read()).iter('svg'))))",
            ],
            stdin: Array(body.utf8))
        #expect(parsed.ending == .exited(0), "\(parsed.stderr)")
        #expect(Int(parsed.stdout.trimmingCharacters(in: .whitespacesAndNewlines)) ?? 0 >= 9)
    }

    @Test("a browser draws the page: the colours of its curves and bars are in the picture")
    func browser() throws {
        guard let chromium = ProgramPath.of("chromium") else { try Test.cancel("there is no chromium here") }
        _ = try record()
        let page = "\(fixture.scratch.path)/a.html"
        let picture = "\(fixture.scratch.path)/a.png"
        #expect(try fixture.shimctl("report", file, "--html", page).ending == .exited(0))
        let run = try spawn(
            chromium,
            [
                "--headless", "--no-sandbox", "--disable-gpu", "--window-size=940,1600",
                "--user-data-dir=\(fixture.scratch.path)/chromium", "--screenshot=\(picture)", "file://\(page)",
            ], environment: ["HOME": fixture.scratch.path, "PATH": "/usr/bin:/bin"], timeout: .seconds(120))
        #expect(run.ending == .exited(0), "\(run.stderr)")
        // Blue is what was served, orange what was passed on; white is the page. (Pixels by colour, from the PNG.)
        let colours = try spawn(
            "/usr/bin/python3", ["-c", Self.colours, picture, "0969da", "d9730d", "ffffff"], timeout: .seconds(120))
        let counts = colours.stdout.split(separator: " ").compactMap { Int($0.filter(\.isNumber)) }
        #expect(counts.count == 3 && counts[0] > 100 && counts[1] > 100 && counts[2] > 100_000, "\(colours.stdout)")
    }

    /// Prints how many pixels of a PNG of 8 bits have each colour: the format's five filters are undone.
    private static let colours = """
        import struct, sys, zlib
        data, at, body = open(sys.argv[1], "rb").read(), 8, b""
        while at < len(data):
            size, kind = struct.unpack(">I4s", data[at:at + 8])
            if kind == b"IHDR": width, height, _, colour = struct.unpack(">IIBB", data[at + 8:at + 18])
            if kind == b"IDAT": body += data[at + 8:at + 8 + size]
            at += size + 12
        raw, bpp = zlib.decompress(body), 4 if colour == 6 else 3
        wanted = [bytes.fromhex(text) for text in sys.argv[2:]]
        counts, above, stride = [0] * len(wanted), bytearray(width * bpp), width * bpp
        for row in range(height):
            kind, line = raw[row * (stride + 1)], bytearray(raw[row * (stride + 1) + 1:(row + 1) * (stride + 1)])
            for i in range(stride) if kind else ():
                left, up = line[i - bpp] if i >= bpp else 0, above[i]
                corner = above[i - bpp] if i >= bpp else 0
                guess = left + up - corner
                near = min((abs(guess - left), 0, left), (abs(guess - up), 1, up), (abs(guess - corner), 2, corner))[2]
                line[i] = line[i] + (0, left, up, (left + up) // 2, near)[kind] & 255
            above = line
            for i in range(0, stride, bpp):
                for index, want in enumerate(wanted): counts[index] += line[i:i + 3] == want
        print(*counts)
        """

    @Test("names that would be markup are text in the page")
    func escapes() throws {
        let command = [
            "record", "-o", file, "--mount", fixture.mount.directory, "--", "/bin/echo", "<script>alert(1)</script>&",
        ]
        #expect(try fixture.shimctl(command).ending == .exited(0))
        let page = "\(fixture.scratch.path)/a.html"
        #expect(try fixture.shimctl("report", file, "--html", page).ending == .exited(0))
        let text = try String(contentsOfFile: page, encoding: .utf8)
        #expect(!text.contains("<script>"))
        #expect(text.contains("&lt;script&gt;alert(1)&lt;/script&gt;&amp;"))
    }

    @Test("a recording that was cut short is shown as far as it goes")
    func cutShort() throws {
        _ = try record()
        let text = try String(contentsOfFile: file, encoding: .utf8)
        try Data(text.utf8.dropLast(40)).write(to: URL(filePath: file))
        let run = try fixture.shimctl("report", file)
        #expect(run.ending == .exited(0), "\(run.stderr)")
        #expect(run.stdout.contains("(cut short)"))
    }

    @Test(
        "what is no recording is refused with its name and line",
        arguments: [
            "", "nonsense\n", "{\"sample\":{\"elapsed_ns\":1,\"mounts\":[]}}\n",
            "{\"head\":{\"schema\":\"other/1\"}}\n",
        ])
    func refuses(text: String) throws {
        try Data(text.utf8).write(to: URL(filePath: file))
        let run = try fixture.shimctl("report", file)
        #expect(run.ending == .exited(1))
        #expect(run.stderr.contains("a.record"), "\(run.stderr)")
    }

    @Test("numbers beyond all bounds end neither report")
    func bounds() throws {
        let most = UInt64.max
        let mount = """
            {"path":"/m","backing":"memory","windows":\(most),"mapped_bytes":\(most),\
            "calls":{"pread":{"served":\(most),"cold":\(most)}},"served_read":\(most),"passed_read":\(most),\
            "served_written":\(most),"passed_written":\(most),"faults":\(most)}
            """
        let head = """
            {"head":{"schema":"pmemshim.record/1","version":"","command":"c","kernel":"","processor":"",\
            "time_unix_ns":0}}
            """
        let group = #"{"offset":\#(most),"reads":\#(most),"writes":\#(most)}"#
        let end = """
            {"end":{"elapsed_ns":\(most),"cpu_ns":\(most),"saved_ns":-1e300,\
            "processes":[{"pid":1,"command":"c","served":\(most),"passed_on":\(most)}],\
            "files":[{"path":"/f","groups":[\(group)]}]}}
            """
        let samples = [0, most - 1, most].map { "{\"sample\":{\"elapsed_ns\":\($0),\"mounts\":[\(mount)]}}" }
        try Data(([head] + samples + [end]).joined(separator: "\n").utf8).write(to: URL(filePath: file))
        #expect(try fixture.shimctl("report", file).ending == .exited(0))
        #expect(try fixture.shimctl("report", file, "--html", "\(fixture.scratch.path)/a.html").ending == .exited(0))
    }

    @Test("what runs already is recorded for as long as is asked")
    func running() throws {
        let run = try fixture.shimctl("record", "-o", file, "--seconds", "0.2", "--interval", "0.05")
        #expect(run.ending == .exited(0), "\(run.stderr)")
        let lines = try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n")
        #expect((4...8).contains(lines.count), "\(lines.count)")
    }
}
