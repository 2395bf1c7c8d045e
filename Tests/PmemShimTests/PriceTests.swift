import Testing

@testable import PmemShim

/// What a sequence of files at one number costs with the rule, over what it costs natively.
private struct Lives {
    /// Of a call through the kernel, ns.
    static let native: UInt64 = 305

    var patience = Patience(bits: 0)
    private(set) var shimCost: UInt64 = 0
    private(set) var nativeCost: UInt64 = 0

    /// A file of `pages` pages that gets `calls` calls. `isAlone`: the process has one thread and no other window.
    mutating func live(calls: UInt64, pages: UInt64, isAlone: Bool = true) {
        nativeCost += calls * Lives.native
        shimCost += calls * Lives.native
        let wanted = UInt64(patience.calls(usual: 1 << UInt32(Patience.usual)))
        guard calls > wanted else {
            patience = patience.afterWaiting()
            return
        }
        let served = calls - wanted
        patience = patience.afterLook(calls: UInt32(wanted), pages: pages)
        shimCost += Price.ofFile(pages: pages, calls: served)
        shimCost -= served * Price.savedByCall
        patience = patience.afterServing(calls: isAlone ? served : nil, isExact: isAlone, pages: pages)
    }

    var ratio: Double { Double(shimCost) / Double(nativeCost) }
}

@Suite("The price of a file, and the patience of a number")
struct PriceTests {
    @Test func aFileIsPaidForByAsManyCallsAsItHasPagesAndSome() {
        #expect(!Price.isPaid(calls: 300, pages: 256))
        #expect(Price.isPaid(calls: 512, pages: 256))
        #expect(Price.isLost(calls: 300, pages: 256))
        #expect(!Price.isLost(calls: 400, pages: 256))
    }

    @Test func pagesThatNoCallCanHaveTouchedCostNothing() {
        #expect(Price.ofFile(pages: 1 << 40, calls: 1) == Price.ofFile(pages: 16, calls: 1))
        #expect(Price.ofFile(pages: UInt64.max, calls: UInt64.max) > 0)
    }

    @Test func nothingIsKnownOfANumberAtFirst() {
        #expect(Patience(bits: 0).calls(usual: 77) == 77)
    }

    @Test(arguments: [4, 8, 16, 64, 128, 255, 256, 300, 350, 400, 511, 512, 600, 1_000, 5_000] as [UInt64])
    func filesThatAreOpenedAgainAndAgainCostNoMoreThanNatively(calls: UInt64) {
        for pages in [1, 16, 256, 512] as [UInt64] {
            var lives = Lives()
            for _ in 0..<200 { lives.live(calls: calls, pages: pages) }
            #expect(lives.ratio <= 1.05, "\(pages) pages")
        }
    }

    @Test(arguments: [512, 1_000, 5_000] as [UInt64])
    func filesThatAreReadMoreThanTwiceAreFaster(calls: UInt64) {
        var lives = Lives()
        for _ in 0..<200 { lives.live(calls: calls, pages: 256) }
        #expect(lives.ratio <= 0.8)
    }

    @Test(arguments: [8, 64, 300, 400, 1_000] as [UInt64])
    func threadsThatShareTheCallsLoseNoMore(calls: UInt64) {
        var lives = Lives()
        for _ in 0..<500 { lives.live(calls: calls, pages: 256, isAlone: false) }
        #expect(lives.ratio <= 1.05)
    }

    /// Every sequence of two lengths, turn by turn and in runs. The worst is one of files that end just when their
    /// number has been looked at, in turns with short ones.
    @Test func noSequenceOfTwoLengthsLosesMuch() {
        let lengths: [UInt64] = [1, 9, 20, 100, 257, 300, 513, 700, 1_100, 3_000]
        for first in lengths {
            for second in lengths {
                for run in [1, 2, 7, 40] {
                    var lives = Lives()
                    for turn in 0..<400 {
                        lives.live(calls: turn / run % 2 == 0 ? first : second, pages: 256)
                    }
                    #expect(lives.ratio <= 1.13, "\(first) and \(second), \(run) at a time")
                }
            }
        }
    }

    @Test func aFileThatHasPaidMakesTheNextOneEasier() {
        var lives = Lives()
        lives.live(calls: 2_000, pages: 256)
        #expect(lives.patience.isEager)
        lives.live(calls: 20, pages: 256)
        #expect(!lives.patience.isEager)
    }

    @Test func aFileInGroupsCostsOneFaultForEach() {
        #expect(Price.pages(size: -1, inGroups: false) == 1)
        #expect(Price.pages(size: 16 << 20, inGroups: false) == 4_097)
        #expect(Price.pages(size: 16 << 20, inGroups: true) == 9 * Price.pagesOfFault)
        // A log that is written once in order, 4 KiB at a time: what the next one at its number waits for.
        for inGroups in [false, true] {
            let pages = Price.pages(size: 16 << 20, inGroups: inGroups)
            let after = Patience(bits: 0).afterServing(calls: 4_096, isExact: true, pages: pages)
            #expect(after.isEager == inGroups)
        }
    }

    @Test func filesWhoseCallsAreLookedAtInVainAreLookedAtLater() {
        var patience = Patience(bits: Patience.eager)
        for shift in [9, 10, 11, 12, 12] as [UInt32] {
            patience = patience.afterServing(calls: 10, isExact: true, pages: 16, wasVain: true)
            #expect(patience.calls(usual: 0) == 1 << shift)
            // Calls that would have paid are no reason to be eager again.
            patience = patience.afterLook(calls: 1 << shift, pages: 16)
            #expect(!patience.isEager)
        }
        for _ in 0..<100 { patience = patience.afterWaiting() }
        #expect(patience.calls(usual: 0) == 1 << UInt32(Patience.doubting))
        #expect(patience.afterServing(calls: 1_000, isExact: true, pages: 16).isEager)
    }

    @Test func whatHasBecomeVeryPatientBecomesLessSo() {
        var patience = Patience(bits: Patience.longest)
        for _ in 0..<100 { patience = patience.afterWaiting() }
        #expect(patience.calls(usual: 0) == 1 << UInt32(Patience.doubting))
    }

    @Test func callsDoNotRunOverIntoThePatience() {
        let patience = Patience(bits: 0x5a)
        var word = CallsWord(count: UInt64(CallsWord.most), patience)
        word = word.next
        #expect(word.count == CallsWord.most)
        #expect(word.patience == patience)
        #expect(word.withoutCount.count == 0)
        #expect(word.withoutCount.patience == patience)
    }
}
