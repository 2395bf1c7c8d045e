// swift-tools-version: 6.2
import PackageDescription

/// The version script comes from the table of entry points (`scripts/generate`); the linker wants an absolute path.
let exportsMap = "\(Context.packageDirectory)/Sources/ShimC/exports.map"

/// Warnings are errors, in every target of ours.
let strictC: [CSetting] = [
    .define("_GNU_SOURCE"),
    .unsafeFlags([
        "-Wall", "-Wextra", "-Werror", "-std=gnu11",
        // valgrind (3.19, Debian 12) gives every program up at the debug information of two compilers in DWARF 5.
        "-gdwarf-4",
        // One load from the thread pointer; a dynamic model would call __tls_get_addr, which may allocate.
        "-ftls-model=initial-exec",
        // Nothing leaves the .so but what the version script names.
        "-fvisibility=hidden",
        // Our read is called `read`: gcc and clang must not assume they know what it does.
        "-fno-builtin",
        // glibc's headers promise that pointers are not null; the application has promised nothing, and the compiler
        // would drop our checks.
        "-fno-delete-null-pointer-checks",
    ]),
]

let strictSwift: [SwiftSetting] = [.treatAllWarnings(as: .error)]

/// The engine's copies are called behind the compiler's back (`ps_copy_probed_in_place`): nothing may lie below the
/// stack pointer in a function that seems to call nothing.
let noRedZone: [SwiftSetting] = [.unsafeFlags(["-Xcc", "-mno-red-zone"])]

/// shimctl runs on servers without a Swift toolchain: all of Swift is in it, and of other libraries it needs libc6's,
/// libelf and libblkid. No `import Foundation` there, only FoundationEssentials: Foundation needs ICU, which is 44 MB.
let staticSwift: [SwiftSetting] = [.unsafeFlags(["-static-stdlib"])]
let staticRuntime: [LinkerSetting] = [
    .unsafeFlags([
        "-static-stdlib", "-Xclang-linker", "-static-libgcc", "-L\(Context.packageDirectory)/Sources/shimctl/Link",
    ])
]

/// Each room of the engine says in a few lines what it is for.
let roomReadmes = [
    "Ground", "Observe", "Mounts", "Files", "Space", "Windows", "Descriptors", "Durability", "Transfer",
].map { "\($0)/README.md" }

let package = Package(
    name: "pmemshim",
    products: [
        .library(name: "pmemshim", type: .dynamic, targets: ["ShimC"]),
        .executable(name: "shimctl", targets: ["shimctl"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
    ],
    targets: [
        // The ground: raw system calls, guarded copy, signal handler, thread state, shared layouts.
        .target(name: "CShimSys", exclude: ["settings.def"], cSettings: strictC),
        // What lies on a device: superblocks and where everything is. Not in the .so: an attached device's registration
        // tells the engine all it needs.
        .target(name: "PmemDeviceFormat", dependencies: ["CShimSys"], swiftSettings: strictSwift),
        // What shimctl mirror asks of the kernel, and checksums.
        .target(name: "CMirror", cSettings: strictC),
        // The engine as an ordinary module, for tests and shimctl.
        .target(
            name: "PmemShim", dependencies: ["CShimSys"], exclude: roomReadmes,
            // Tests of the engine check its tables each time its lock is given back (docs/testing.md).
            swiftSettings: strictSwift + noRedZone + [.define("PMEMSHIM_CHECKS", .when(configuration: .debug))]),
        // The same sources (a symbolic link) as Embedded Swift, for the .so: no runtime, libc.so.6 only.
        .target(
            name: "PmemShimEmbedded",
            dependencies: ["CShimSys"],
            exclude: roomReadmes,
            swiftSettings: strictSwift + noRedZone + [
                .enableExperimentalFeature("Embedded"),
                // "nounwind" would leave the engine without unwind tables: a handler that interrupts a call of ours may
                // throw, be cancelled, or walk the stack, and has to get through these frames.
                .unsafeFlags([
                    "-wmo", "-Xllvm", "-force-remove-attribute=nounwind", "-Xllvm", "-disable-nounwind-inference",
                    // As that of the C parts, above; and no references to the compiler's module cache, each of which
                    // gdb says it cannot find.
                    "-dwarf-version=4", "-Xfrontend", "-no-clang-module-breadcrumbs",
                ]),
            ]),
        // The C face: one file per family of libc entry points.
        .target(
            name: "ShimC",
            dependencies: ["PmemShimEmbedded", "CShimSys"],
            exclude: ["entry-points.def", "exports.map"],
            // Three instructions and a load less in every call; unwinding goes by the tables.
            cSettings: strictC + [.unsafeFlags(["-Xclang", "-mframe-pointer=none"])],
            linkerSettings: [
                .unsafeFlags([
                    // Without it on the link line the driver links the ordinary Swift runtime.
                    "-enable-experimental-feature", "Embedded", "-wmo",
                    // Bound at load: the first use of a libc name may be in a signal handler, where the loader's lazy
                    // binding does not belong.
                    "-Xlinker", "-z", "-Xlinker", "now",
                    // A missing symbol must fail here, not in a user's program at load time.
                    "-Xlinker", "-z", "-Xlinker", "defs",
                    "-Xlinker", "--version-script=\(exportsMap)",
                    // Without a name gold takes the path that the file is linked at for one, as that of its symbols'
                    // base version: the path of somebody's build directory.
                    "-Xlinker", "-soname", "-Xlinker", "libpmemshim.so",
                ])
            ]),
        .systemLibrary(name: "CElf", providers: [.apt(["libelf-dev"])]),
        .systemLibrary(name: "CBlock", providers: [.apt(["libblkid-dev"])]),
        .executableTarget(
            name: "shimctl",
            dependencies: [
                "PmemDeviceFormat", "PmemShim", "CShimSys", "CMirror", "CElf", "CBlock",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            exclude: ["Link"],
            swiftSettings: strictSwift + staticSwift, linkerSettings: staticRuntime),
        // Scratch mounts, programs and runs with and without the preload, for every suite that spawns.
        .target(
            name: "TestSupport",
            dependencies: [.product(name: "SystemPackage", package: "swift-system")],
            path: "Tests/TestSupport", swiftSettings: strictSwift),
        .testTarget(name: "PmemShimTests", dependencies: ["PmemShim", "CShimSys"], swiftSettings: strictSwift),
        // The engine's entry points called from many threads of the test process: what ThreadSanitizer is for.
        .testTarget(
            name: "EngineThreadTests", dependencies: ["PmemShim", "CShimSys", "TestSupport"],
            swiftSettings: strictSwift),
        .testTarget(
            name: "InterposeTests", dependencies: ["TestSupport"], exclude: ["Programs"], swiftSettings: strictSwift),
        .testTarget(name: "ExerciserTests", dependencies: ["TestSupport"], swiftSettings: strictSwift),
        .testTarget(name: "CrashTests", dependencies: ["TestSupport"], swiftSettings: strictSwift),
        .testTarget(
            name: "ProgramTests", dependencies: ["TestSupport"], exclude: ["Programs"], swiftSettings: strictSwift),
        .testTarget(
            name: "DatabaseTests", dependencies: ["TestSupport"], exclude: ["Programs"], swiftSettings: strictSwift),
        // The other side of a race for the page array.
        .executableTarget(
            name: "page-race", dependencies: ["PmemShim", "CShimSys"], path: "Tests/DeviceTests/PageRace",
            swiftSettings: strictSwift),
        .testTarget(
            name: "DeviceTests",
            dependencies: ["TestSupport", "PmemDeviceFormat", "PmemShim", "CShimSys", "page-race"],
            exclude: ["PageRace"], swiftSettings: strictSwift),
        .testTarget(name: "ShimctlTests", dependencies: ["TestSupport", "CShimSys"], swiftSettings: strictSwift),
    ]
)
