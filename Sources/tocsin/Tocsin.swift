import ArgumentParser

@main
struct Tocsin: AsyncParsableCommand {
    mutating func run() async throws {}
}
