"""A DNS server on loopback that answers from a script, for tests of who may be connected to.

Reads one line of JSON from standard input: {"name.test": [[record, …], …]}. The nth question for a name and a type gets the
nth list of records, and the last list from then on. A record is `A 192.0.2.1`, `AAAA ::1`, `CNAME other.test`, each as of the
name that was asked for, or with an owner before it: `other.test A 192.0.2.1`. Instead of a record: `NXDOMAIN`, `SERVFAIL`,
`SILENT`, `GARBAGE`, `OTHER-ID`, `OTHER-NAME` (forged, then silent), `BIG` (does not fit a datagram).

Prints `listening PORT`, then `TYPE name` per question. Ends with its input.
"""

import ipaddress
import json
import socket
import sys
import threading
from collections import Counter

from dnslib import AAAA, CNAME, QTYPE, RCODE, RR, A, DNSRecord, TXT

RDATA = {"A": A, "AAAA": lambda text: AAAA(tuple(ipaddress.IPv6Address(text).packed)), "CNAME": CNAME}


class Zone:
    def __init__(self, script):
        self.script = {name.lower(): rounds for name, rounds in script.items()}
        self.asked = Counter()
        self.lock = threading.Lock()

    def records(self, name, kind):
        with self.lock:
            turn = self.asked[name, kind]
            self.asked[name, kind] += 1
        rounds = self.script.get(name, [["NXDOMAIN"]])
        return rounds[min(turn, len(rounds) - 1)]

    def answer(self, data, by_tcp):
        request = DNSRecord.parse(data)
        name, kind = str(request.q.qname).rstrip(".").lower(), QTYPE[request.q.qtype]
        print(kind, name, flush=True)
        # Another connection for the same question is the same turn.
        records = self.records(name, kind if not by_tcp else kind + "-tcp")
        reply = request.reply()
        for record in records:
            words = record.split()
            if words[0] == "SILENT":
                return None
            if words[0] == "GARBAGE":
                return data[:2] + b"\x81\x80\x00\x01\x00\x07\xff\xff" + b"\xc0\x0c" * 40
            if words[0] == "OTHER-ID":
                reply.header.id ^= 1
            elif words[0] == "OTHER-NAME":
                reply.q.qname = "other.test"
            elif words[0] in ("NXDOMAIN", "SERVFAIL"):
                reply.header.rcode = getattr(RCODE, words[0])
            elif words[0] == "BIG":
                for number in range(40):
                    reply.add_ar(RR("filler.test", QTYPE.TXT, rdata=TXT(f"{number} " + "x" * 200), ttl=0))
            else:
                owner = name if len(words) == 2 else words[0]
                kind_of_record, value = words[-2:]
                if kind_of_record == "CNAME" or kind_of_record == kind:
                    reply.add_answer(RR(owner, getattr(QTYPE, kind_of_record), rdata=RDATA[kind_of_record](value), ttl=0))
        packed = reply.pack()
        if not by_tcp and len(packed) > 1232:
            short = reply.truncate()
            short.add_question(reply.q)
            packed = short.pack()
        return packed


def serve_datagrams(zone, sock):
    while True:
        data, peer = sock.recvfrom(4096)
        packed = zone.answer(data, by_tcp=False)
        if packed is not None:
            sock.sendto(packed, peer)


def serve_connections(zone, sock):
    while True:
        connection, _ = sock.accept()
        with connection:
            stream = connection.makefile("rb")
            length = int.from_bytes(stream.read(2), "big")
            packed = zone.answer(stream.read(length), by_tcp=True)
            if packed is not None:
                connection.sendall(len(packed).to_bytes(2, "big") + packed)


def main():
    zone = Zone(json.loads(sys.stdin.readline()))
    while True:
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        datagrams.bind(("127.0.0.1", 0))
        connections = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            connections.bind(datagrams.getsockname())
            break
        except OSError:  # the port is free for datagrams only
            datagrams.close()
            connections.close()
    connections.listen()
    for serve, sock in ((serve_datagrams, datagrams), (serve_connections, connections)):
        threading.Thread(target=serve, args=(zone, sock), daemon=True).start()
    print("listening", datagrams.getsockname()[1], flush=True)
    sys.stdin.read()


main()
