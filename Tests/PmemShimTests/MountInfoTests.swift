import Testing

@testable import PmemShim

@Suite("A line of /proc/self/mountinfo is found by its mount id")
struct MountInfoTests {
    private let text = """
        21 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
        36 21 0:25 / /mnt/with\\040space rw shared:1 master:2 - tmpfs none rw,size=1024k,huge=always
        37 21 0:26 / /dev/shm rw,nosuid - tmpfs tmpfs rw,huge=never
        360 21 0:27 / /t rw - tmpfs - rw

        """

    private func find(_ identifier: UInt64, in text: String) -> (point: String, type: String, huge: Bool)? {
        withBytes(text) { bytes in
            MountInfo.find(identifier, in: bytes).map {
                (String(bytes: $0.point), String(bytes: $0.type), $0.mayUseHugePages)
            }
        }
    }

    @Test func fieldsAreThoseOfTheNamedMount() throws {
        let root = try #require(find(21, in: text))
        #expect(root.point == "/")
        #expect(root.type == "ext4")
        #expect(!root.huge)
    }

    @Test func aLineByItselfTellsAllThatShimctlAsks() {
        let line = "36 21 0:25 / /mnt/a rw shared:1 - ext4 /dev/pmem0 rw,dax=always"
        withBytes(line) { bytes in
            let found = MountInfo(bytes)
            #expect(found?.identifier == 36)
            #expect(found.map { String(bytes: $0.device) } == "0:25")
            #expect(found.map { String(bytes: $0.source) } == "/dev/pmem0")
            #expect(found.map { String(bytes: $0.options) } == "rw,dax=always")
            #expect(MountInfo(bytes, wanted: 37) == nil)
        }
    }

    @Test func optionalFieldsAreSkipped() throws {
        let found = try #require(find(36, in: text))
        #expect(found.type == "tmpfs")
        #expect(found.point == "/mnt/with\\040space")
    }

    @Test func anyHugeOptionButNeverMayMeanHugePages() throws {
        #expect(try #require(find(36, in: text)).huge)
        #expect(!(try #require(find(37, in: text)).huge))
        let within = "1 2 0:1 / /a rw - tmpfs none rw,huge=within_size\n"
        #expect(try #require(find(1, in: within)).huge)
    }

    @Test func anIdIsNotFoundByItsPrefix() throws {
        #expect(try #require(find(360, in: text)).point == "/t")
        #expect(find(3, in: text) == nil)
    }

    @Test func aHyphenAsSourceDoesNotConfuse() throws {
        #expect(try #require(find(360, in: text)).type == "tmpfs")
    }

    @Test(arguments: [
        "", "\n", "21\n", "21 1 254:0 / / rw,relatime -\n", "21 1 254:0 / / rw - ext4\n",
        "x 1 254:0 / / rw - ext4 a b\n",
        "21 1 254:0 / / rw - ext4 /dev/vda rw",
    ])
    func aBrokenOrUnfinishedLineIsNotFound(line: String) {
        #expect(find(21, in: line) == nil)
    }

    @Test func numbersThatDoNotFitAreNone() {
        #expect(withBytes("18446744073709551616", decimal) == nil)
        #expect(withBytes("", decimal) == nil)
        #expect(withBytes("12a", decimal) == nil)
        #expect(withBytes("4294967296", decimal) == 4_294_967_296)
    }
}
