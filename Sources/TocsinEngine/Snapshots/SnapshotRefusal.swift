import TocsinCore

/// Why an upload was not taken; nothing of it was kept.
package enum SnapshotRefusal: Error, Hashable, Sendable {
    /// Longer than ``Snapshot/sizeMaximum``.
    case tooLarge
    /// Other than its `Content-Length`.
    case incomplete(received: Int, announced: Int)
    case media(MediaProblem)
    /// The disk is full, or has only what the ledger may need.
    case noSpace
    /// As many uploads as may be are under way.
    case busy
    /// The disk does not do what it is asked to.
    case unavailable(String)

    /// What the metric calls it.
    package var reason: String {
        switch self {
        case .tooLarge: "too_large"
        case .incomplete: "incomplete"
        case .media(.empty): "empty"
        case .media(.otherType): "type"
        case .media(.truncated), .media(.damaged): "damaged"
        case .noSpace: "no_space"
        case .busy: "busy"
        case .unavailable: "unavailable"
        }
    }

    package static let reasons = [
        "too_large", "incomplete", "empty", "type", "damaged", "no_space", "busy", "unavailable",
    ]
}
