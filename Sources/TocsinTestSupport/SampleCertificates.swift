/// Client certificates in PEM with their keys, made for tests with openssl; they open nothing.
package enum SampleCertificates {
    package static let chain = """
        -----BEGIN CERTIFICATE-----
        MIIBhDCCASmgAwIBAgIUShsi9oNOjuHcm8F2PTSsAEH4G0swCgYIKoZIzj0EAwIw
        FjEUMBIGA1UEAwwLdG9jc2luIHRlc3QwIBcNMjYxMTIxMTQwMDAwWhgPMjEyNjEw
        MjgxNDAwMDBaMBYxFDASBgNVBAMMC3RvY3NpbiB0ZXN0MFkwEwYHKoZIzj0CAQYI
        KoZIzj0DAQcDQgAEJ/4Hd2vrmmS5Zh7mOTR/43XiDHbYUh7+VTh4Fqnfvmx7cbKi
        OfQik8egKNKfCvfnOE3nTGZcjqQ1OZ2G4bgi66NTMFEwHQYDVR0OBBYEFGpzRxVx
        oWXKOmXo9PJI5fmuPWkwMB8GA1UdIwQYMBaAFGpzRxVxoWXKOmXo9PJI5fmuPWkw
        MA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSQAwRgIhANyeV1rGIFbikd82
        De3zyDPmUMm/3WR5SnL5wdDehOFHAiEArg8Z/KW4Gih/bhWVv8qZ/5hpH7KDuYW0
        sw18bgh0TtQ=
        -----END CERTIFICATE-----
        """
    package static let key = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg4VKQ7oomMMT+VE+O
        CMbRUwQ9zM/lI0xhnVN1rUub+1uhRANCAAQn/gd3a+uaZLlmHuY5NH/jdeIMdthS
        Hv5VOHgWqd++bHtxsqI59CKTx6Ao0p8K9+c4TedMZlyOpDU5nYbhuCLr
        -----END PRIVATE KEY-----
        """
    package static let expiredChain = """
        -----BEGIN CERTIFICATE-----
        MIIBEjCBugIBATAKBggqhkjOPQQDAjAWMRQwEgYDVQQDDAt0b2NzaW4gdGVzdDAe
        Fw0yMDAxMDEwMDAwMDBaFw0yMDAyMDEwMDAwMDBaMBYxFDASBgNVBAMMC3RvY3Np
        biB0ZXN0MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEuRShdACNbdR4LLckOp5n
        HBtl6pgvr+KuEkwB9ZxqTKJ9u+XulpZauh7+pM28Xj87OHRn4bsNZ1nyWblymClL
        3zAKBggqhkjOPQQDAgNHADBEAiAeCACE3TuyUjj262ELv/ut5lQi3JpS3WMHYv8O
        s3W/LgIgcGiEdU+0uaiUoIBcxPLPrUH7xjdOvr8BUyFfZeEF7ag=
        -----END CERTIFICATE-----
        """
    package static let expiredKey = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgaWH9x/ZLzqnIX24Y
        E8IvmXh8Ak5b72monQo4MiUnoXehRANCAAS5FKF0AI1t1HgstyQ6nmccG2XqmC+v
        4q4STAH1nGpMon275e6Wllq6Hv6kzbxePzs4dGfhuw1nWfJZuXKYKUvf
        -----END PRIVATE KEY-----
        """
}
