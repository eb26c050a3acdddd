import Foundation
import Testing

/// What the documents promise must be there.
@Suite struct DocumentationTests {
    private static let pages = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"]

    private func documents() throws -> [Repository.File] {
        try Self.pages.filter(Repository.exists).map { Repository.File(path: $0, text: try Repository.text($0)) }
            + Repository.files(in: "docs", ending: ".md")
    }

    @Test(arguments: pages + ["LICENSE", "tocsin", ".ci/run", "docs/vocabulary.md"])
    func `the repository has what a newcomer looks for`(path: String) {
        #expect(Repository.exists(path))
    }

    @Test func `links between documents lead somewhere`() throws {
        for document in try documents() {
            let folder = (document.path as NSString).deletingLastPathComponent
            for match in document.text.matches(of: /\]\(([^)#\s]+)(#[^)]*)?\)/) {
                let target = String(match.1)
                if target.contains("://") || target.hasPrefix("mailto:") { continue }
                let path = folder.isEmpty ? target : "\(folder)/\(target)"
                #expect(Repository.exists(path), "\(document.path) links to \(target)")
            }
        }
    }

    @Test func `documents carry no machine's paths`() throws {
        for document in try documents() {
            #expect(!document.text.contains("/wo" + "rk/"), "\(document.path)")
        }
    }

    @Test func `the architecture's layers are the manifest's targets`() throws {
        let manifest = try Repository.text("Package.swift")
        let architecture = try Repository.text("ARCHITECTURE.md")
        for match in manifest.matches(of: /layer\(\s*"(\w+)"/) {
            #expect(architecture.contains("`\(match.1)`"), "ARCHITECTURE.md does not tell what \(match.1) is for")
        }
    }

    @Test func `everything CI does is what the README says`() throws {
        #expect(try Repository.text(".ci/run").contains("./tocsin test"))
        #expect(try Repository.text("README.md").contains("./tocsin test"))
        #expect(try Repository.text("README.md").contains("./tocsin demo"))
    }
}
