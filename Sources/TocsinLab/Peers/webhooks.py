"""What both peers share: the events, the signing and the services they stand on.

The events, headers and signatures are those that Tocsin sends (docs/webhooks.md), so that the receiver can hold all to the same.
"""

import base64
import contextlib
import hashlib
import hmac
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback

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


START_SECONDS = 90  # how long a service may take to start on a busy machine
STOP_SECONDS = 8  # how long it may take to stop before it is killed
UNWIND_SECONDS = 30  # how long stopping all of them may take before this process ends at once
started = []


def fail(message, name=None):
    """Ends this process with a sentence, and with the end of a service's log."""
    with contextlib.suppress(OSError):
        if name is not None:
            with open(os.path.join(DIRECTORY, name + ".log"), errors="replace") as log:
                message += "\n" + log.read()[-1500:]
    sys.exit(message)


@contextlib.contextmanager
def running(name, arguments, ready, prefix=(), stop=signal.SIGTERM, **options):
    """Runs a service in a process group of its own until the block ends; it begins when `ready` no longer raises.

    The service is killed by the kernel if this process dies, whatever the reason.
    """
    arguments = ["setpriv", "--pdeathsig", "KILL", *prefix, *arguments]
    with open(os.path.join(DIRECTORY, name + ".log"), "ab") as log:
        process = subprocess.Popen(arguments, stdout=log, stderr=log, start_new_session=True, **options)
    started.append(process)
    try:
        wait_until(ready, process, name)
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, stop)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            kill(process)


def wait_until(ready, process, name):
    """Waits until `ready` no longer raises; fails when the process ends or too much time passes."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return ready()
        except Exception as error:
            if process.poll() is not None:
                fail(f"{name} ended with {process.returncode} instead of starting", name)
            if time.monotonic() > deadline:
                fail(f"{name} was not ready within {START_SECONDS} s: {error}", name)
            time.sleep(0.05)


def kill(process):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def wait_for_end(*processes):
    """Waits until the benchmark has what it waited for and asks this process to stop; fails if a worker ends before."""
    while True:
        for name, process in processes:
            if process.poll() is not None:
                fail(f"{name} ended with {process.returncode} before its work was done", name)
        time.sleep(0.2)


def stop_in_order():
    """Lets SIGTERM unwind, so that the services end too; stops as well when whoever started this process is gone.

    Unwinding is bounded: what has not stopped by then is killed.
    """

    def stop(*_):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough; a second one would cut the unwinding short
        sys.exit(0)

    def watch(parent):
        while os.getppid() == parent and not stopping.is_set():
            time.sleep(0.2)
        if not stopping.is_set():
            os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(UNWIND_SECONDS)
        for process in started:
            kill(process)
        os._exit(1)

    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: (stopping.set(), stop()))
    threading.Thread(target=watch, args=[os.getppid()], daemon=True).start()


def run(main):
    """Runs a peer and ends this process with it, without the interpreter's own end: libraries' threads may never return from it."""
    code = 1
    try:
        code = main() or 0
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        else:
            code = end.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        for process in started:
            kill(process)
        sys.stderr.flush()
        os._exit(code)
