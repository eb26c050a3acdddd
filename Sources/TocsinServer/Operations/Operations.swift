/// Everything that the server can do over HTTP, on one screen.
///
/// To add an operation:
/// 1. Write it in the file of its noun as a `static let` of type ``Operation``: method, path, `id` (the document's
///    operationId), who may call, query, body and reply schemas, the error codes it refuses with, and its handler.
///    Add it to that file's `all`; a new file's `all` is added below. Routing, authentication, scopes, rate limits, body
///    limits, validation, idempotency keys, audit of refusals and `/openapi.json` follow from the declaration.
/// 2. The handler takes a ``Call``. Read with `call.read { reader in … }`; change with `call.commit { transaction in …
///    return Change(reply, action: "noun.verb", …) }`, which adds the audit entry and the stored reply to the same
///    transaction. Ask the ledger `within: call.reach` and turn `nil` into `APIError.missing(.<thing>NotFound)`. Effects
///    beyond the ledger (`call.services.directory.forget(…)`, `call.services.deliveries.…`) come after the commit.
/// 3. A new error code is a case of ``ErrorCode``; name it in `errors:` of every operation that gives it.
package enum Operations {
    package static let all: [Operation] =
        ArmingOperations.all
        + ArmingActions.all
        + SignalOperations.all
        + AlarmOperations.all
        + SnapshotOperations.all
        + SiteOperations.all
        + PartitionOperations.all
        + ZoneOperations.all
        + UserOperations.all
        + ScheduleOperations.all
        + ContactOperations.all
        + DeviceOperations.all
        + DeviceHeartbeats.all
        + RelayOperations.all
        + DealerOperations.all
        + HolidayOperations.all
        + PartnerOperations.all
        + AppOperations.all
        + EndpointOperations.all
        + DeliveryOperations.all
        + TaskOperations.all
        + EventOperations.all
        + EventTypeOperations.all
        + AuditOperations.all
        + AccessOperations.all
        + FleetOperations.all
        + ServerOperations.all
}
