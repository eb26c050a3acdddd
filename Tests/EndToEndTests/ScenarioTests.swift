import Testing
import TocsinJSON

extension EndToEnd {
    /// The three scenarios of the arming document, told by a partner and heard by a dealer's app.
    @Suite
    struct Scenarios {
        @Test(.timeLimit(.minutes(5)))
        func `scenario 1: a failed arming tells which door is open, and the site stays disarmed`() async throws {
            try await play { play in
                let more: JSONObject = ["zones": [["number": 5, "name": "Back Door"]]]
                let reply = try await play.report("ARM_FAILURE", more: more)

                let partition = try #require(reply["partitions"]?.array?.first)
                #expect(partition["state"] == "disarmed")
                #expect(partition["applied"] == true)
                let failed = try await play.delivery("arming.failed")
                #expect(
                    failed.text
                        == play.envelope(
                            of: failed,
                            data: """
                                {"site_id":"\(play.site)","partition_id":"\(play.partition)",\
                                "message":"Cannot arm - Back Door is open",\
                                "reasons":[{"code":"zone_open","zone_number":5,"zone_name":"Back Door",\
                                "message":"Cannot arm - Back Door is open",\
                                "remedy":"Close Back Door (zone 5) or bypass it"}],\
                                "by":{"user_id":"user_123","method":"keypad"}}
                                """
                        )
                )
                #expect(reply["event_ids"] == [.string(failed.eventID)])
                #expect(try await play.admin.states(play.site) == [play.partition: "disarmed"])
            }
        }

        @Test(.timeLimit(.minutes(5)))
        func `scenario 2: arm away goes through the exit delay to armed`() async throws {
            try await play { play in
                let began = Time.ago(seconds: 2)
                try await play.report("ARMING_IN_PROGRESS", at: began, more: ["delay_seconds": 60])
                let leaving = try await play.delivery("arming.state_changed")
                #expect(leaving.text == play.change(leaving, "disarmed", "arming_in_progress", at: began, sequence: 1))

                let ended = Time.ago(seconds: 1)
                let reply = try await play.report("ARMED_AWAY", at: ended)
                #expect(reply["event_ids"]?.array?.count == 2)
                let armed = try await play.delivery("partition.armed")
                let data = #"{"partition_id":"\#(play.partition)","site_id":"\#(play.site)","mode":"away","by":"user"}"#
                #expect(armed.text == play.envelope(of: armed, data: data))
                let changed = try await play.receiver.first("arming.state_changed") { $0.eventID != leaving.eventID }
                let sequence = Int(changed.header("X-CHeKT-Sequence") ?? "") ?? 0
                #expect((2...3).contains(sequence))
                #expect(
                    changed.text
                        == play.change(changed, "arming_in_progress", "armed_away", at: ended, sequence: sequence)
                )
                #expect(try await play.admin.states(play.site) == [play.partition: "armed_away"])
            }
        }

        @Test(.timeLimit(.minutes(5)))
        func `scenario 3: a disarm in the entry delay cancels the alarm, and nothing else does`() async throws {
            let fleet = [Fleet.site(named: Fleet.site), Fleet.site(named: "Next door")]
            try await play(sites: fleet) { play in
                let neighbour = try play.installation.siteID("Next door")
                for site in [play.site, neighbour] {
                    try await play.partner.report(site, Report(state: "armed_away", timestamp: Time.ago(seconds: 9)))
                }
                try await play.report("ENTRY_DELAY", at: Time.ago(seconds: 2), more: ["delay_seconds": 3])
                let disarmed = Time.ago(seconds: 1)
                try await play.report("DISARMED", at: disarmed)
                let event = try await play.delivery("partition.disarmed")
                let data =
                    #"{"partition_id":"\#(play.partition)","site_id":"\#(play.site)","by":"user","operator_id":"user_123"}"#
                #expect(event.text == play.envelope(of: event, data: data))

                // The neighbour's countdown ends after ours would have: its alarm shows that ours never came.
                try await play.partner.report(
                    neighbour,
                    Report(state: "ENTRY_DELAY", timestamp: Time.ago(seconds: 1), more: ["delay_seconds": 3])
                )
                let alarm = try await play.delivery("alarm.created")
                let expected =
                    #"{"alarm_id":"A-1","site_id":"\#(neighbour)","priority":"HIGH","trigger":"entry-delay-expired"}"#
                #expect(alarm.text == play.envelope(of: alarm, data: expected))
                let log = try await play.admin.log(dealer: play.installation.dealerID())
                #expect(log.filter { $0.type == "alarm.created" }.map(\.siteID) == [neighbour])
                #expect(try await play.admin.states(play.site) == [play.partition: "disarmed"])
                let stillArmed = try play.installation.partitionID("Next door")
                #expect(try await play.admin.states(neighbour) == [stillArmed: "armed_away"])
            }
        }

        /// A stage with one site (or those given), its partner, and an app that listens.
        private func play(
            sites: [JSON] = [Fleet.site(named: Fleet.site)],
            _ body: (Play) async throws -> Void
        ) async throws {
            try await Receiver.with { receiver in
                try await Installation.with(Fleet.of(sites: sites, hooks: [receiver.url()])) { installation in
                    let server = try await installation.start()
                    let play = Play(
                        installation: installation,
                        receiver: receiver,
                        partner: server.api(try await installation.partnerToken(server)),
                        admin: server.api(installation.adminToken),
                        secret: try installation.secret(of: receiver.url()),
                        site: try installation.siteID(Fleet.site),
                        partition: try installation.partitionID(Fleet.site)
                    )
                    try await body(play)
                    for arrival in receiver.arrivals.current { play.expectSigned(arrival) }
                    #expect(try await server.stop() == 0)
                    try await installation.expectCleanLedger()
                }
            }
        }
    }
}

/// What a scenario needs at hand.
private struct Play {
    let installation: Installation
    let receiver: Receiver
    let partner: API
    let admin: API
    let secret: String
    let site: String
    let partition: String

    @discardableResult
    func report(_ state: String, at timestamp: String = Time.now(), more: JSONObject = [:]) async throws -> JSON {
        try await partner.report(site, Report(state: state, timestamp: timestamp, more: more))
    }

    func delivery(_ type: String) async throws -> Arrival { try await receiver.first(type) }

    /// The catalogue's envelope around the data, with what only the commit knows taken from the delivery itself.
    func envelope(of arrival: Arrival, data: String) -> String {
        let createdAt = (try? JSONParser.parse(arrival.body))?["created_at"]?.string ?? ""
        #expect(createdAt.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/) != nil, "created_at is \(createdAt)")
        return #"{"id":"\#(arrival.eventID)","type":"\#(arrival.type)","created_at":"\#(createdAt)","data":\#(data)}"#
    }

    /// The arming document's flat body, with our three members after its own.
    func change(_ arrival: Arrival, _ old: String, _ new: String, at timestamp: String, sequence: Int) -> String {
        """
        {"event_type":"arming.state_changed","site_id":"\(site)","new_state":"\(new)","previous_state":"\(old)",\
        "timestamp":"\(timestamp)","triggered_by":"user_123","source":"keypad","id":"\(arrival.eventID)",\
        "partition_id":"\(partition)","sequence":\(sequence)}
        """
    }

    /// Both signature schemes hold, and fail for a body that is one byte different.
    func expectSigned(_ arrival: Arrival) {
        #expect(Signatures.isChektValid(arrival, secret: secret))
        #expect(Signatures.isStandardValid(arrival, secret: secret))
        var forged = arrival
        forged.body.append(UInt8(ascii: " "))
        #expect(!Signatures.isChektValid(forged, secret: secret))
        #expect(!Signatures.isStandardValid(forged, secret: secret))
        #expect(arrival.eventID.hasPrefix("evt_"))
        #expect(arrival.header("X-CHeKT-Event-Id") == arrival.eventID)
        #expect(arrival.header("X-CHeKT-Delivery-Id")?.hasPrefix("dlv_") == true)
        #expect(arrival.header("X-CHeKT-Dealer-Id") == nil)
        #expect(arrival.header("Content-Type")?.hasPrefix("application/json") == true)
    }
}
