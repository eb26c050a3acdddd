import Foundation
import TocsinCore

/// A notice as the bytes of a mail (RFC 5322): seven bits, short lines, nothing of its words outside of an encoding.
///
/// Site and zone names are strangers' words. Whatever is not plain ASCII text is encoded, line ends among it, so that
/// they can begin no header and no line of the SMTP dialogue.
struct MailMessage {
    /// Longer subjects are cut: no mail program shows more.
    static let subjectScalarsMax = 200

    let notice: Notice
    let sender: MailSender
    let recipient: MailAddress

    /// Header and body with CRLF line ends, not yet dot-stuffed.
    var bytes: [UInt8] {
        let body = Data(normalizedText.utf8)
            .base64EncodedString(options: [.lineLength76Characters, .endLineWithCarriageReturn, .endLineWithLineFeed])
        let headers = [
            "Date: \(Self.date(notice.createdAt))",
            "From: \(Self.phrase(sender.name)) <\(sender.address)>",
            "To: <\(recipient)>",
            "Message-ID: <\(notice.messageID)@\(sender.address.domain)>",
            "Subject: \(Self.words(notice.subject))",
            // So that nobody's absence notice answers (RFC 3834).
            "Auto-Submitted: auto-generated",
            "MIME-Version: 1.0",
            "Content-Type: text/plain; charset=utf-8",
            "Content-Transfer-Encoding: base64",
        ]
        return Array((headers.joined(separator: "\r\n") + "\r\n\r\n" + body + "\r\n").utf8)
    }

    private var normalizedText: String {
        var scalars = String.UnicodeScalarView()
        for scalar in notice.text.unicodeScalars {
            if scalar == "\n" {
                scalars.append(contentsOf: "\r\n".unicodeScalars)
            } else {
                scalars.append(scalar.isControl ? " " : scalar)
            }
        }
        return String(scalars)
    }

    // MARK: Headers

    /// The text of an unstructured header: as it is if it is short plain ASCII, else as encoded words (RFC 2047).
    static func words(_ text: String) -> String {
        let clean = cleaned(text)
        let isPlain = clean.utf8.allSatisfy { (0x20...0x7E).contains($0) } && !clean.contains("=?")
        return isPlain && clean.utf8.count <= plainLengthMax ? clean : encodedWords(clean)
    }

    /// A name beside an address: an atom or two as they are, anything else as encoded words.
    static func phrase(_ text: String) -> String {
        let clean = cleaned(text)
        let isPlain = clean.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: " "):
                true
            default: false
            }
        }
        return isPlain && clean.utf8.count <= plainLengthMax ? clean : encodedWords(clean)
    }

    /// Leaves room for the header's name in a line of 78.
    private static let plainLengthMax = 64
    /// 45 bytes are 60 characters of base64: with the frame an encoded word of 72, of at most 75.
    private static let bytesPerEncodedWord = 45

    /// Control characters and all kinds of line ends become spaces.
    private static func cleaned(_ text: String) -> String {
        var scalars = String.UnicodeScalarView()
        for scalar in text.unicodeScalars.prefix(subjectScalarsMax) { scalars.append(scalar.isControl ? " " : scalar) }
        return String(scalars)
    }

    /// Splits between characters, so that each word can be decoded alone.
    private static func encodedWords(_ text: String) -> String {
        var chunks: [[UInt8]] = [[]]
        for scalar in text.unicodeScalars {
            let bytes = Array(String(scalar).utf8)
            if let last = chunks.last, last.count + bytes.count > bytesPerEncodedWord { chunks.append([]) }
            chunks[chunks.count - 1] += bytes
        }
        return chunks.map { "=?utf-8?B?\(Data($0).base64EncodedString())?=" }.joined(separator: "\r\n ")
    }

    private static let weekdays = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// `Tue, 26 May 2026 10:21:34 +0000` (RFC 5322, 3.3).
    static func date(_ instant: Instant) -> String {
        let seconds = max(instant.secondsSinceEpoch, 0)
        let day = seconds / 86_400
        let (year, month, dayOfMonth) = Civil.date(daysSinceEpoch: day)
        let time = [seconds / 3600 % 24, seconds / 60 % 60, seconds % 60].map { $0 < 10 ? "0\($0)" : "\($0)" }
        let weekday = weekdays[Int(day % 7)]
        return "\(weekday), \(dayOfMonth) \(months[month - 1]) \(year) \(time.joined(separator: ":")) +0000"
    }
}

extension Unicode.Scalar {
    /// Control characters, and what some programs take for a line's end or for a change of direction.
    fileprivate var isControl: Bool {
        switch properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator: true
        default: (0x202A...0x202E).contains(value) || (0x2066...0x2069).contains(value)
        }
    }
}
