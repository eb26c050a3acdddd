import TocsinCore
import TocsinJSON

/// Times that callers write: when something happened, by their clock (decisions §1).
enum ReportedTime {
    /// How far a caller's clock may be ahead of ours.
    static let clockSkewMax: Duration = .seconds(30)

    /// Reads a time of the past or the present.
    ///
    /// - Parameters:
    ///   - text: As the caller wrote it.
    ///   - field: Where it stands, for the error.
    ///   - receivedAt: When the request was read.
    /// - Returns: The instant.
    /// - Throws: 422 that names the field, for what is no time, not in UTC, or ahead of our clock.
    static func instant(_ text: String, field: String, receivedAt: Instant) throws -> Instant {
        let timestamp: Instant
        do throws(TimestampError) {
            timestamp = try Instant(rfc3339: text)
        } catch {
            switch error {
            case .malformed: throw APIError.invalid(field, "must be an RFC 3339 time such as \"2026-05-26T10:21:34Z\"")
            case .notUTC:
                throw APIError(.timestampNotUTC, "\"\(field)\" must be in UTC: end it with Z or +00:00.", field: field)
            }
        }
        guard timestamp <= receivedAt + clockSkewMax else {
            throw APIError(
                .timestampInFuture,
                "\"\(field)\" is more than 30 s ahead of our clock. Check that yours is synchronised.",
                field: field,
                details: ["server_time": .string(receivedAt.rfc3339Milliseconds)]
            )
        }
        return timestamp
    }
}

extension PartitionTarget {
    static let schema = Schema.anyOf([.string(1...64), .integer(1...Int64(Partition.maximumPerSite))])
        .described("\"all\", a partition's id, or its number as a number or a string.").example("all")

    /// Reads the `partition` of a request.
    init(_ json: JSON?) throws {
        if let number = json?.integer {
            self = .number(Int(number))
            return
        }
        guard let text = json?.string else { throw UncheckedFieldError(field: "partition") }
        if text == "all" {
            self = .all
        } else if let id = PartitionID(text) {
            self = .id(id)
        } else if let number = Int(text), number > 0, String(number) == text {
            self = .number(number)
        } else {
            throw APIError.invalid("partition", "must be \"all\", a partition's id, or its number")
        }
    }
}
