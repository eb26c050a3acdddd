import TocsinJSON

/// An endpoint fails, or was disabled; told to the same app's other endpoints.
package struct EndpointNotice: Hashable, Sendable {
    package var endpointID: EndpointID
    package var url: String
    package var reason: String
    package var message: String
    package var failingSince: Instant?

    package init(endpointID: EndpointID, url: String, reason: String, message: String, failingSince: Instant?) {
        self.endpointID = endpointID
        self.url = url
        self.reason = reason
        self.message = message
        self.failingSince = failingSince
    }
}

extension EndpointNotice: EventPayload {
    package static let members: [EventMember<Self>] = [
        .required("endpoint_id", "The endpoint that fails.", example: "ep_7c3m") { $0.endpointID },
        .required("url", "Its address.", form: .url, example: "https://receiver.example/hook") { $0.url },
        .required(
            "reason",
            "A code: `failing` or `gone`, as in the endpoint's `disabled_reason`, or `certificate_expiring`.",
            example: "failing"
        ) { $0.reason },
        .message("Every attempt has failed for an hour") { $0.message },
        .optional("failing_since", "Since when every attempt has failed.", example: "2026-05-26T09:21:30Z") {
            $0.failingSince
        },
    ]
}

package struct TestPing: Hashable, Sendable {
    package var endpointID: EndpointID
    package var message: String

    package init(endpointID: EndpointID, message: String) {
        self.endpointID = endpointID
        self.message = message
    }
}

extension TestPing: EventPayload {
    package static let members: [EventMember<Self>] = [
        .required("endpoint_id", "The endpoint that is tested.", example: "ep_7c3m") { $0.endpointID },
        .message("This is a test; nothing happened.") { $0.message },
    ]
}
