import Testing

/// Tests that start the built program and talk to it as its users do: through the command line, HTTP and webhooks.
///
/// One at a time: each starts servers of its own, and several at once would only measure how they share two cores.
@Suite(.serialized)
struct EndToEnd {}
