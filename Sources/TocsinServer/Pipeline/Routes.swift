import HTTPTypes

/// An operation in its place, with what is worked out once.
final class BoundOperation: Sendable {
    let operation: Operation
    let parameterNames: [String]
    let metrics: OperationMetrics

    init(_ operation: Operation) {
        self.operation = operation
        parameterNames = operation.pathParameters
        metrics = OperationMetrics(operation: operation.id)
    }
}

/// Finds the operation of a method and path.
struct Routes: Sendable {
    enum Match {
        case found(BoundOperation, parameters: [String])
        /// The path exists, but not for this method; `allow` is the header's value.
        case otherMethods(allow: String)
        case none
    }

    /// A node of the tree of path segments.
    private struct Node: Sendable {
        var literals: [Substring: Int] = [:]
        var wildcard: Int?
        var operations: [(method: HTTPRequest.Method, bound: BoundOperation)] = []
    }

    private var nodes = [Node()]

    init(_ operations: [Operation]) {
        for operation in operations { add(BoundOperation(operation)) }
    }

    private mutating func add(_ bound: BoundOperation) {
        var index = 0
        for segment in bound.operation.segments {
            let isWildcard = segment.hasPrefix("{")
            if let next = isWildcard ? nodes[index].wildcard : nodes[index].literals[segment] {
                index = next
                continue
            }
            nodes.append(Node())
            if isWildcard {
                nodes[index].wildcard = nodes.count - 1
            } else {
                nodes[index].literals[segment] = nodes.count - 1
            }
            index = nodes.count - 1
        }
        nodes[index].operations.append((bound.operation.method, bound))
    }

    /// A literal segment wins over a name in braces; a path that ends in a slash is another path.
    func match(_ method: HTTPRequest.Method, _ path: Substring) -> Match {
        var index = 0
        var parameters: [String] = []
        guard path.utf8.first == UInt8(ascii: "/") else { return .none }
        var rest = path.utf8.dropFirst()
        while true {
            // By bytes: looking for a character would put graphemes together all along the path.
            let end = rest.firstIndex(of: UInt8(ascii: "/")) ?? rest.endIndex
            let segment = Substring(rest[..<end])
            if let next = nodes[index].literals[segment] {
                index = next
            } else if let next = nodes[index].wildcard, !segment.isEmpty, let text = percentDecoded(segment) {
                parameters.append(text)
                index = next
            } else {
                return .none
            }
            if end == rest.endIndex { break }
            rest = rest[rest.index(after: end)...]
        }
        let operations = nodes[index].operations
        if operations.isEmpty { return .none }
        let wanted = method == .head ? HTTPRequest.Method.get : method
        if let found = operations.first(where: { $0.method == wanted }) {
            return .found(found.bound, parameters: parameters)
        }
        var methods = operations.map(\.method.rawValue)
        if methods.contains("GET") { methods.append("HEAD") }
        return .otherMethods(allow: methods.joined(separator: ", "))
    }
}
