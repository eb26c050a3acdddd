import ArgumentParser

struct Listen: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Follow an app's events.")
}
