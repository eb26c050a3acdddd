// swift-tools-version: 6.2
import PackageDescription

// The inner loop: `TOCSIN_CORE_ONLY=1 swift test --scratch-path .build-core` resolves no dependency and builds only the
// pure targets, so an edit is tested in seconds.
let coreOnly = Context.environment["TOCSIN_CORE_ONLY"] != nil

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .treatAllWarnings(as: .error),
]

func layer(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], resources: [Resource] = []) -> Target {
    .testTarget(name: name, dependencies: dependencies, resources: resources, swiftSettings: settings)
}

func nio(_ product: String) -> Target.Dependency { .product(name: product, package: "swift-nio") }
func crypto(_ product: String) -> Target.Dependency { .product(name: product, package: "swift-crypto") }
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let metrics: Target.Dependency = .product(name: "Metrics", package: "swift-metrics")
let lifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let signals: Target.Dependency = .product(name: "UnixSignals", package: "swift-service-lifecycle")
let hummingbird: Target.Dependency = .product(name: "Hummingbird", package: "hummingbird")
let httpTypes: Target.Dependency = .product(name: "HTTPTypes", package: "swift-http-types")
let tls: Target.Dependency = .product(name: "NIOSSL", package: "swift-nio-ssl")
let httpClient: Target.Dependency = .product(name: "AsyncHTTPClient", package: "async-http-client")
let yams: Target.Dependency = .product(name: "Yams", package: "Yams")

// Narrows the test bundle while working on one part: `TOCSIN_TESTS=TocsinDeliveryTests swift test`.
let chosenTests = Context.environment["TOCSIN_TESTS"].map { $0.split(separator: ",").map(String.init) }

// Core first: each layer may import only what stands above it in this list.
let pureTargets: [Target] = [
    layer("TocsinJSON"),
    layer("TocsinCore", ["TocsinJSON"]),
    layer("TocsinSimulation", ["TocsinCore"]),
    tests("TocsinCoreTests", ["TocsinCore", "TocsinJSON"], resources: [.copy("Tables")]),
    tests("TocsinSimulationTests", ["TocsinSimulation"]),
]

let serverTargets: [Target] = [
    layer("TocsinLedger", ["TocsinCore", "TocsinJSON"]),
    layer("TocsinLedgerSQLite", ["TocsinLedger", .product(name: "GRDB", package: "GRDB.swift"), logging, metrics]),
    layer(
        "TocsinEngine",
        [
            "TocsinLedger", crypto("Crypto"), crypto("CryptoExtras"), logging, metrics, lifecycle,
            .product(name: "HeapModule", package: "swift-collections"),
        ]
    ),
    layer(
        "TocsinDelivery",
        [
            "TocsinEngine", nio("NIOCore"), nio("NIOPosix"), nio("NIOHTTP1"), nio("NIOTLS"),
            nio("NIOConcurrencyHelpers"), tls,
            crypto("Crypto"), logging, metrics, lifecycle,
            .product(name: "HeapModule", package: "swift-collections"),
        ]
    ),
    layer(
        "TocsinServer",
        [
            "TocsinDelivery", hummingbird, httpTypes, nio("NIOCore"), nio("NIOHTTP1"),
            .product(name: "JWTKit", package: "jwt-kit"), crypto("Crypto"), logging, metrics, lifecycle,
        ]
    ),
    layer("TocsinFleet", ["TocsinDelivery", yams]),
    .target(
        name: "TocsinLab",
        dependencies: [
            "TocsinServer", "TocsinFleet", "TocsinLedgerSQLite", nio("NIOCore"), nio("NIOPosix"), nio("NIOHTTP1"),
            httpClient, crypto("Crypto"), hummingbird, logging, lifecycle,
        ],
        resources: [.embedInCode("Peers")],
        swiftSettings: settings
    ),
    .executableTarget(
        name: "tocsin",
        dependencies: [
            "TocsinServer", "TocsinFleet", "TocsinLab", "TocsinLedgerSQLite", "TocsinSimulation", httpClient,
            nio("NIOCore"), nio("NIOPosix"), nio("NIOHTTP1"),
            .product(name: "ArgumentParser", package: "swift-argument-parser"),
            .product(name: "Configuration", package: "swift-configuration"),
            logging, metrics, lifecycle, signals,
        ],
        swiftSettings: settings,
        // In place of the system's allocator: docs/decisions/0006-allocator.md.
        linkerSettings: [.linkedLibrary("jemalloc", .when(platforms: [.linux]))]
    ),
    layer("TocsinTestSupport", ["TocsinEngine", "TocsinLedgerSQLite", "TocsinDelivery", nio("NIOCore"), logging]),
    tests(
        "TocsinLedgerTests",
        ["TocsinTestSupport", "TocsinLedgerSQLite", .product(name: "GRDB", package: "GRDB.swift")]
    ),
    tests("TocsinEngineTests", ["TocsinTestSupport", "TocsinEngine", "TocsinSimulation", logging, lifecycle]),
    tests(
        "TocsinDeliveryTests",
        [
            "TocsinTestSupport", "TocsinDelivery", nio("NIOCore"), nio("NIOPosix"), nio("NIOHTTP1"), nio("NIOEmbedded"),
            nio("NIOConcurrencyHelpers"), tls, logging, crypto("Crypto"), lifecycle,
        ]
    ),
    tests(
        "TocsinServerTests",
        ["TocsinTestSupport", "TocsinServer", .product(name: "HummingbirdTesting", package: "hummingbird")]
    ),
    tests("TocsinLabTests", ["TocsinLab", nio("NIOCore")]),
    tests("TocsinFleetTests", ["TocsinTestSupport", "TocsinFleet"], resources: [.copy("Tables")]),
    tests(
        "EndToEndTests",
        ["TocsinJSON", "tocsin", nio("NIOCore"), nio("NIOPosix"), nio("NIOHTTP1"), httpClient, crypto("Crypto")]
    ),
    tests("RepositoryTests", []),
]

// One trait at most per package: SwiftPM hands several to the compiler in random order and rebuilds the package for it.
let packages: [Package.Dependency] = [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0", traits: ["YAML"]),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    .package(
        url: "https://github.com/hummingbird-project/hummingbird",
        from: "2.28.1",
        traits: ["ConfigurationSupport"]
    ),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    .package(url: "https://github.com/vapor/jwt-kit", from: "5.7.1"),
]

let package = Package(
    name: "tocsin",
    platforms: [.macOS(.v15)],
    products: coreOnly ? [] : [.executable(name: "tocsin", targets: ["tocsin"])],
    dependencies: coreOnly ? [] : packages,
    targets: (coreOnly ? pureTargets : pureTargets + serverTargets)
        .filter { $0.type != .test || chosenTests?.contains($0.name) ?? true }
)
