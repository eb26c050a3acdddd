import Testing

@testable import TocsinDelivery

/// URL, then what it means without and with the lab switch: `ok` or the error's code.
private let urls = table(
    #"""
    https://hooks.example.com/in                  | ok                     | ok
    https://hooks.example.com                     | ok                     | ok
    https://hooks.example.com?token=1             | ok                     | ok
    HTTPS://Hooks.Example.COM/In                  | ok                     | ok
    https://hooks.example.com./in                 | ok                     | ok
    https://hooks.example.com:443/in              | ok                     | ok
    https://hooks.example.com:8443/in             | ok                     | ok
    https://my_hooks.example.com/a%20b?c=%7B%7D   | ok                     | ok
    https://xn--bcher-kva.example/in              | ok                     | ok
    https://8.8.8.8/in                            | ok                     | ok
    https://[2606:4700:4700::1111]/in             | ok                     | ok
    https://receiver/in                           | ok                     | ok
    https://1.example/in                          | ok                     | ok
    http://hooks.example.com/in                   | url_https_required     | ok
    https://hooks.example.com:9000/in             | url_refused_port       | ok
    https://hooks.example.com:22/in               | url_refused_port       | ok
    https://hooks.example.com:0/in                | url_bad_port           | url_bad_port
    https://hooks.example.com:65536/in            | url_bad_port           | url_bad_port
    https://hooks.example.com:/in                 | url_bad_port           | url_bad_port
    https://hooks.example.com:0443/in             | url_bad_port           | url_bad_port
    https://hooks.example.com:+443/in             | url_bad_port           | url_bad_port
    https://hooks.example.com:443:443/in          | url_bad_port           | url_bad_port
    ftp://hooks.example.com/in                    | url_bad_scheme         | url_bad_scheme
    hooks.example.com/in                          | url_bad_scheme         | url_bad_scheme
    //hooks.example.com/in                        | url_bad_scheme         | url_bad_scheme
    https:/hooks.example.com/in                   | url_bad_scheme         | url_bad_scheme
                                                  | url_bad_scheme         | url_bad_scheme
    https://                                      | url_bad_host           | url_bad_host
    https:///in                                   | url_bad_host           | url_bad_host
    https://./in                                  | url_bad_host           | url_bad_host
    https://hooks..example.com/in                 | url_bad_host           | url_bad_host
    https://hooks.example.com../in                | url_bad_host           | url_bad_host
    https://-hooks.example.com/in                 | url_bad_host           | url_bad_host
    https://hooks%2eexample.com/in                | url_bad_host           | url_bad_host
    https://hooks.example.com\@evil.example/in    | url_userinfo           | url_userinfo
    https://hooks.example.com\evil/in             | url_bad_host           | url_bad_host
    https://user:secret@hooks.example.com/in      | url_userinfo           | url_userinfo
    https://@hooks.example.com/in                 | url_userinfo           | url_userinfo
    https://hooks.example.com/in#part             | url_fragment           | url_fragment
    https://hooks.example.com/a b                 | url_bad_character      | url_bad_character
    https://hooks.example.com/a\b                 | url_bad_character      | url_bad_character
    https://hooks.example.com/a%2                 | url_bad_character      | url_bad_character
    https://hooks.example.com/a%zz                | url_bad_character      | url_bad_character
    https://hooks.example.com/ä                   | url_bad_character      | url_bad_character
    https://bücher.example/in                     | url_host_not_ascii     | url_host_not_ascii
    https://127。0。0。1/in                         | url_host_not_ascii     | url_host_not_ascii
    https://2130706433/in                         | url_ambiguous_address  | url_ambiguous_address
    https://0x7f.1/in                             | url_ambiguous_address  | url_ambiguous_address
    https://0x7f000001/in                         | url_ambiguous_address  | url_ambiguous_address
    https://127.1/in                              | url_ambiguous_address  | url_ambiguous_address
    https://0177.0.0.1/in                         | url_ambiguous_address  | url_ambiguous_address
    https://127.0.0.01/in                         | url_ambiguous_address  | url_ambiguous_address
    https://127.0.0.256/in                        | url_ambiguous_address  | url_ambiguous_address
    https://1.2.3.4.5/in                          | url_ambiguous_address  | url_ambiguous_address
    https://hooks.0x7f/in                         | url_ambiguous_address  | url_ambiguous_address
    https://127.0.0.1/in                          | url_refused_address    | ok
    https://127.0.0.1./in                         | url_refused_address    | ok
    https://10.1.2.3/in                           | url_refused_address    | ok
    https://[::1]/in                              | url_refused_address    | ok
    https://[::ffff:127.0.0.1]/in                 | url_refused_address    | ok
    https://[::ffff:8.8.8.8]/in                   | url_refused_address    | url_refused_address
    https://169.254.169.254/latest/meta-data      | url_refused_address    | url_refused_address
    https://0.0.0.0/in                            | url_refused_address    | url_refused_address
    https://[fe80::1%25eth0]/in                   | url_bad_host           | url_bad_host
    https://[fe80::1]/in                          | url_refused_address    | url_refused_address
    https://[::1/in                               | url_bad_host           | url_bad_host
    https://[::1]x/in                             | url_bad_host           | url_bad_host
    https://[127.0.0.1]/in                        | url_bad_host           | url_bad_host
    https://[]/in                                 | url_bad_host           | url_bad_host
    https://::1/in                                | url_bad_host           | url_bad_host
    https://017700000001/in                       | url_ambiguous_address  | url_ambiguous_address
    https://0X7F000001/in                         | url_ambiguous_address  | url_ambiguous_address
    https://0x7f.0x0.0x0.0x1/in                   | url_ambiguous_address  | url_ambiguous_address
    https://127.0.1/in                            | url_ambiguous_address  | url_ambiguous_address
    https://0/in                                  | url_ambiguous_address  | url_ambiguous_address
    https://0x/in                                 | url_ambiguous_address  | url_ambiguous_address
    https://127.0.0.1../in                        | url_bad_host           | url_bad_host
    https://2130706433./in                        | url_ambiguous_address  | url_ambiguous_address
    https://0x7f000001.:443/in                    | url_ambiguous_address  | url_ambiguous_address
    https://%31%32%37.0.0.1/in                    | url_bad_host           | url_bad_host
    https://127.0.0.1%2f.example.com/in           | url_bad_host           | url_bad_host
    https://127.0.0.1%00.example.com/in           | url_bad_host           | url_bad_host
    https://[::ffff:7f00:1]/in                    | url_refused_address    | ok
    https://[0:0:0:0:0:ffff:127.0.0.1]/in         | url_refused_address    | ok
    https://[64:ff9b::a9fe:a9fe]/in               | url_refused_address    | url_refused_address
    https://[2002:a9fe:a9fe::]/in                 | url_refused_address    | url_refused_address
    https://[2001:0:1::1]/in                      | url_refused_address    | url_refused_address
    https://[2606:4700::5efe:a9fe:a9fe]/in        | url_refused_address    | url_refused_address
    https://[fd00:ec2::254]/in                    | url_refused_address    | url_refused_address
    https://[::1%25lo]/in                         | url_bad_host           | url_bad_host
    https://[::1%lo]/in                           | url_bad_host           | url_bad_host
    https://[::]/in                               | url_refused_address    | url_refused_address
    https://100.100.100.200/in                    | url_refused_address    | url_refused_address
    https://user@127.0.0.1/in                     | url_userinfo           | url_userinfo
    https://hooks.example.com@127.0.0.1/in        | url_userinfo           | url_userinfo
    https://hooks.example.com%40127.0.0.1/in      | url_bad_host           | url_bad_host
    https://:secret@hooks.example.com/in          | url_userinfo           | url_userinfo
    https://ⓔxample.com/in                        | url_host_not_ascii     | url_host_not_ascii
    https://１２７.０.０.１/in                      | url_host_not_ascii     | url_host_not_ascii
    https://xn--/in                               | url_bad_host           | url_bad_host
    https://hooks.example.com:8443@10.0.0.1/in    | url_userinfo           | url_userinfo
    https://hooks.example.com;127.0.0.1/in        | url_bad_host           | url_bad_host
    https://hooks.example.com,127.0.0.1/in        | url_bad_host           | url_bad_host
    https://hooks.example.com:80:443/in           | url_bad_port           | url_bad_port
    https://localhost/in                          | ok                     | ok
    javascript://127.0.0.1/in                     | url_bad_scheme         | url_bad_scheme
    file:///etc/passwd                            | url_bad_scheme         | url_bad_scheme
    gopher://127.0.0.1:25/in                      | url_bad_scheme         | url_bad_scheme
    """#
)

@Suite
struct EndpointURLTests {
    @Test(arguments: urls)
    func `the table of URLs holds`(row: [String]) throws {
        try #require(row.count == 3)
        #expect(verdict(row[0], .strict) == row[1], "without the lab switch")
        #expect(verdict(row[0], .lab) == row[2], "with the lab switch")
    }

    private func verdict(_ text: String, _ policy: EgressPolicy) -> String {
        do throws(EndpointURLError) {
            _ = try EndpointURL(text, policy: policy)
            return "ok"
        } catch {
            return error.code.rawValue
        }
    }

    @Test(arguments: ["\r\n", "\n", "\t", "\0", "\u{7F}"])
    func `a control character anywhere is refused`(character: String) {
        #expect(verdict("https://hooks.example.com/\(character)", .lab) == "url_bad_character")
        #expect(verdict("https://hooks\(character).example.com/", .lab) == "url_bad_character")
    }

    @Test
    func `2048 bytes are taken and one more is not`() {
        let start = "https://hooks.example.com/"
        let path = String(repeating: "a", count: EndpointURL.lengthMax - start.utf8.count)
        #expect(verdict(start + path, .strict) == "ok")
        #expect(verdict(start + path + "a", .strict) == "url_too_long")
    }

    @Test
    func `a combining mark hides no delimiter`() {
        #expect(verdict("https://hooks.example.com#\u{301}", .strict) != "ok")
        #expect(verdict("https://user@\u{301}hooks.example.com/", .strict) != "ok")
    }

    @Test
    func `the parts are normalised`() throws {
        let url = try EndpointURL("HTTPS://Hooks.Example.COM.:8443?a=/b", policy: .strict)

        #expect(url.host == "hooks.example.com")
        #expect(url.port == 8443)
        #expect(url.target == "/?a=/b")
        #expect(url.description == "https://hooks.example.com:8443/?a=/b")
        #expect(url.constantHead.hasPrefix("POST /?a=/b HTTP/1.1\r\nHost: hooks.example.com:8443\r\n"))
    }

    @Test
    func `an IPv6 host keeps its brackets on the wire`() throws {
        let url = try EndpointURL("https://[2606:4700:4700:0::1111]:443/", policy: .strict)

        #expect(url.description == "https://[2606:4700:4700::1111]/")
        #expect(url.constantHead.contains("Host: [2606:4700:4700::1111]\r\n"))
    }

    @Test
    func `further ports can be allowed`() throws {
        var policy = EgressPolicy.strict
        policy.allowedPorts.insert(9443)

        #expect(verdict("https://hooks.example.com:9443/", policy) == "ok")
    }
}
