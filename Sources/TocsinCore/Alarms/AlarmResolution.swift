/// What came of an alarm, as the catalogue writes it (decisions §6).
package enum AlarmResolution: String, CaseIterable, Sendable {
    case handled
    case falsePositive = "false-positive"
    case escalated
}
