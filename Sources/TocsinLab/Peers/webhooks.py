"""What both peers share: the events, the signing and the services they stand on.

The events, headers and signatures are those that Tocsin sends (docs/webhooks.md), so that the receiver can hold all to the same.
"""

import base64
import contextlib
import ctypes
import hashlib
import hmac
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

CONFIGURATION = json.loads(os.environ["TOCSIN_PEER"])
ENDPOINTS = CONFIGURATION["endpoints"]  # [{"url": …, "secret": "whsec_…"}]
KEYS = [base64.b64decode(endpoint["secret"].removeprefix("whsec_")) for endpoint in ENDPOINTS]
FANOUT = CONFIGURATION["fanout"]  # endpoints that each event goes to: those of its dealer
EVENTS = CONFIGURATION["events"]
DIRECTORY = CONFIGURATION["directory"]
TYPE = "arming.state_changed"


def event(number):
    """The event with that number: its id and its body, as long as one of Tocsin's."""
    name = f"{number:026d}"
    body = {
        "event_type": TYPE,
        "site_id": f"site_{name}",
        "new_state": "armed_away" if number % 2 else "disarmed",
        "previous_state": "disarmed" if number % 2 else "armed_away",
        "timestamp": "2026-01-15T10:30:00Z",
        "triggered_by": "user_123",
        "source": "keypad",
        "id": f"evt_{name}",
        "partition_id": f"p_{name}",
        "sequence": number + 1,
    }
    return f"evt_{name}", json.dumps(body, separators=(",", ":"))


def deliveries(numbers):
    """Each delivery of these events: the endpoint's number, the event's id, sequence and body."""
    dealers = len(ENDPOINTS) // FANOUT
    for number in numbers:
        identifier, body = event(number)
        first = number % dealers * FANOUT
        for endpoint in range(first, first + FANOUT):
            yield endpoint, identifier, number + 1, body


def signed(endpoint, identifier, sequence, body):
    """The headers of one attempt."""
    key, now, payload = KEYS[endpoint], str(int(time.time())), body.encode()
    own = hmac.digest(key, f"{now}.".encode() + payload, hashlib.sha256).hex()
    standard = hmac.digest(key, f"{identifier}.{now}.".encode() + payload, hashlib.sha256)
    return {
        "Content-Type": "application/json",
        "X-CHeKT-Signature": f"v1={own}",
        "X-CHeKT-Timestamp": now,
        "X-CHeKT-Event-Id": identifier,
        "X-CHeKT-Event-Type": TYPE,
        "X-CHeKT-Delivery-Id": f"dlv_{identifier[4:]}{endpoint:016d}",
        "X-CHeKT-Sequence": str(sequence),
        "webhook-id": identifier,
        "webhook-timestamp": now,
        "webhook-signature": f"v1,{base64.b64encode(standard).decode()}",
    }


def tool(name):
    """Where a service's program lies; Debian keeps PostgreSQL's off the PATH."""
    versions = sorted(
        (f"/usr/lib/postgresql/{version}/bin" for version in _listed("/usr/lib/postgresql")), reverse=True
    )
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *versions]))
    if found is None:
        sys.exit(f"{name} is missing: install redis-server and postgresql, as root: apt-get install redis-server postgresql")
    return found


def _listed(directory):
    with contextlib.suppress(FileNotFoundError):
        return os.listdir(directory)
    return []


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def running(arguments, ready, **options):
    """Runs a program of its own process group until the block ends; it begins when `ready` no longer raises."""
    with open(os.path.join(DIRECTORY, os.path.basename(arguments[0]) + ".log"), "ab") as log:
        process = subprocess.Popen(arguments, stdout=log, stderr=log, start_new_session=True, **options)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                ready()
                break
            except Exception:
                if process.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"{arguments[0]} did not start; its log is in {DIRECTORY}")
                time.sleep(0.05)
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def wait_for_end():
    """Waits until the benchmark has what it waited for, and asks this process to stop."""
    while True:
        signal.pause()


def stop_in_order():
    """Lets SIGTERM unwind, so that the services end too; also when whoever started this process is gone."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    parent_death_signal = 1
    ctypes.CDLL(None).prctl(parent_death_signal, signal.SIGTERM)
