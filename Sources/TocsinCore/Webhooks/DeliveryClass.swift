/// Who goes first (design, delivery: isolation).
package enum DeliveryClass: String, CaseIterable, Sendable {
    /// `alarm.*`, `verification.*`, `arming.failed`.
    case alarm
    case ordinary

    package init(_ type: EventType) { self = type.isAlarmClass ? .alarm : .ordinary }
}

/// Something for each class.
struct PerClass<Value: Sendable>: Sendable {
    var alarm: Value
    var ordinary: Value

    init(_ value: Value) {
        alarm = value
        ordinary = value
    }

    subscript(_ deliveryClass: DeliveryClass) -> Value {
        get {
            switch deliveryClass {
            case .alarm: alarm
            case .ordinary: ordinary
            }
        }
        _modify {
            switch deliveryClass {
            case .alarm: yield &alarm
            case .ordinary: yield &ordinary
            }
        }
    }
}
