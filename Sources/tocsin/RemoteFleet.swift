import TocsinFleet
import TocsinJSON
import TocsinServer

/// The fleet file's operations as the server calls them.
struct RemoteFleet: FleetControl {
    let service: FleetService

    func apply(_ text: [UInt8], _ request: FleetRequest) async throws -> FleetReply {
        let options = FleetOptions(isDryRun: request.isDryRun, prunes: request.prunes, forces: request.forces)
        let origin = FleetOrigin(
            actor: request.actor,
            requestID: request.requestID,
            traceID: request.traceID,
            address: request.address
        )
        do {
            let outcome = try await service.apply(text, options: options, origin: origin)
            guard !request.isDryRun else {
                return FleetReply(json: outcome.json, dealers: [], apps: [], partners: [], endpoints: [])
            }
            return FleetReply(
                json: outcome.json,
                dealers: outcome.deletedDealers,
                apps: outcome.touchedApps,
                partners: outcome.touchedPartners,
                endpoints: outcome.touchedEndpoints
            )
        } catch let error as FleetError {
            throw Self.refusal(error)
        }
    }

    func export() async throws -> JSON { try await service.export() }

    private static func refusal(_ error: FleetError) -> APIError {
        let code: ErrorCode =
            switch error.code {
            case .malformed: .malformedRequest
            case .invalid: .validationFailed
            case .refused: .deletionRefused
            case .failed: .serviceUnavailable
            }
        var details: JSONObject = ["problems": .array(error.problems.map(\.json))]
        // Secrets of what a broken-off application has stored are told here or never.
        details["result"] = error.partial?.json
        return APIError(code, error.message, field: "file", details: details)
    }
}
