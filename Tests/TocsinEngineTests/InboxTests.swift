import Testing
import TocsinEngine

struct InboxTests {
    @Test func `what is put ahead overtakes the rest in its own order`() async {
        let inbox = Inbox<Int>(capacity: 10)
        inbox.put(1)
        inbox.put(11, ahead: true)
        inbox.put(2)
        inbox.put(12, ahead: true)
        #expect(inbox.count == 4)
        #expect(await inbox.next() == [11, 12, 1, 2])
        inbox.put(3)
        inbox.put(13, ahead: true)
        #expect(inbox.takeAhead() == [13])
        #expect(inbox.takeAhead() == nil)
        #expect(inbox.takeWaiting() == [3])
    }

    @Test func `both lanes fill it`() {
        let inbox = Inbox<Int>(capacity: 2)
        #expect(inbox.put(1))
        #expect(inbox.put(2, ahead: true))
        #expect(!inbox.put(3))
        #expect(!inbox.put(4, ahead: true))
    }

    @Test func `what gathers wakes nobody, and goes with what does`() async {
        let inbox = Inbox<Int>(capacity: 10)
        let taken = Task { await inbox.next() }
        inbox.gather(1)
        inbox.gather(2)
        inbox.wake()
        inbox.put(3)
        inbox.close()
        var all = await taken.value ?? []
        while let more = await inbox.next() { all += more }
        #expect(all == [1, 2, 3])
    }

    @Test func `what has gathered is handed out when it is closed`() async {
        let inbox = Inbox<Int>(capacity: 10)
        inbox.gather(1)
        inbox.close()
        #expect(await inbox.next() == [1])
        #expect(await inbox.next() == nil)
    }

    @Test func `what runs in the express lane keeps its children there`() async throws {
        let (own, childs) = try await TaskLane.express {
            await withTaskGroup(of: TaskPriority.self) { group in
                group.addTask { Task.currentPriority }
                return (Task.currentPriority, await group.next())
            }
        }
        #expect(own == TaskLane.express)
        #expect(childs == TaskLane.express)
    }

    @Test func `who gives up the express lane's work cancels it`() async {
        let task = Task {
            try await TaskLane.express {
                while !Task.isCancelled { await Task.yield() }
                return true
            }
        }
        task.cancel()
        #expect(await (try? task.value) == true)
    }
}
