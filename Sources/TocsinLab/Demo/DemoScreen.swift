import Synchronization

/// Lays the demo out for a terminal of 100 columns; colours and a live line only where there is a terminal.
package final class DemoScreen: Sendable {
    package enum Style: String, Sendable {
        case title = "1;36"
        case good = "32"
        case bad = "1;31"
        case warm = "33"
        case faint = "2"
        case strong = "1"
    }

    private struct State {
        var hasLiveLine = false
    }

    static let width = 100

    private let isTerminal: Bool
    private let write: @Sendable (String) -> Void
    private let state = Mutex(State())

    /// Takes where text goes, as it is, and whether that is a terminal.
    package init(isTerminal: Bool, write: @escaping @Sendable (String) -> Void) {
        self.isTerminal = isTerminal
        self.write = write
    }

    func styled(_ text: String, _ style: Style) -> String {
        isTerminal ? "\u{1B}[\(style.rawValue)m\(text)\u{1B}[0m" : text
    }

    /// Writes a line; a live line below it is written over.
    func line(_ text: String = "") {
        state.withLock { state in
            write((state.hasLiveLine ? "\r\u{1B}[2K" : "") + text + "\n")
            state.hasLiveLine = false
        }
    }

    /// Shows a line that the next one replaces; only on a terminal.
    func live(_ text: String) {
        guard isTerminal else { return }
        state.withLock { state in
            write("\r\u{1B}[2K" + text)
            state.hasLiveLine = true
        }
    }

    func heading(_ text: String, _ remark: String = "") {
        let gap = max(2, Self.width - text.count - remark.count)
        line()
        line(styled(text, .title) + String(repeating: " ", count: gap) + styled(remark, .faint))
        line(styled(String(repeating: "─", count: Self.width), .faint))
    }

    /// Left part, right part at the right margin.
    func row(_ left: String, _ right: String, style: Style? = nil) {
        let gap = right.isEmpty ? 0 : max(1, Self.width - left.count - right.count)
        line((style.map { styled(left, $0) } ?? left) + String(repeating: " ", count: gap) + styled(right, .faint))
    }

    static func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }
}
