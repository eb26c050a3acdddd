"""awa on PostgreSQL, and aiohttp: a job a delivery.

PostgreSQL as it comes (`fsync` and `synchronous_commit` are on); jobs go in by COPY, a thousand deliveries in a transaction.
Run with `worker` it is one of the workers; run by itself it is the whole peer.
"""

import asyncio
import contextlib
import dataclasses
import os
import shutil
import signal
import subprocess
import sys

import aiohttp
import awa
import webhooks

QUEUE = "webhooks"
WORKERS = 2  # processes, as the machine has cores
CONCURRENCY = 64  # attempts in flight in each
BATCH = 50  # events in one transaction


@dataclasses.dataclass
class Deliver:
    endpoint: int
    identifier: str
    sequence: int
    body: str


async def work(url):
    client = awa.AsyncClient(url)
    connector = aiohttp.TCPConnector(limit=CONCURRENCY * 2)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(30), trust_env=False) as session:

        @client.task(Deliver, queue=QUEUE)
        async def deliver(job):
            task = job.args
            headers = webhooks.signed(task.endpoint, task.identifier, task.sequence, task.body)
            address = webhooks.ENDPOINTS[task.endpoint]["url"]
            async with session.post(address, data=task.body.encode(), headers=headers, allow_redirects=False) as answer:
                answer.raise_for_status()
                await answer.read()

        await client.start([(QUEUE, CONCURRENCY)])
        await asyncio.Event().wait()


async def produce(url):
    client = awa.AsyncClient(url)
    for first in range(0, webhooks.EVENTS, BATCH):
        numbers = range(first, min(first + BATCH, webhooks.EVENTS))
        await client.enqueue_many_copy([Deliver(*delivery) for delivery in webhooks.deliveries(numbers)], queue=QUEUE)


def let_through(directory):
    """Lets the other user pass through the three directories that the benchmark made, and see nothing in them."""
    for _ in range(3):
        os.chmod(directory, os.stat(directory).st_mode | 0o011)
        directory = os.path.dirname(directory)


@contextlib.contextmanager
def postgres():
    """A PostgreSQL of its own; it refuses to run as root, so there it runs as its own user."""
    data, port = os.path.join(webhooks.DIRECTORY, "postgres"), webhooks.free_port()
    user = ["--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
    os.makedirs(data, mode=0o700)
    if user:
        shutil.chown(data, "postgres", "postgres")
        let_through(webhooks.DIRECTORY)
    made = subprocess.run(
        [*(["setpriv", *user] if user else []), webhooks.tool("initdb"), "-D", data, "-U", "peer", "-A", "trust"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd="/", timeout=webhooks.START_SECONDS, text=True,
    )
    if made.returncode != 0:
        webhooks.fail(f"initdb could not make a database (can the user postgres reach --directory?): {made.stderr[-1500:]}")
    server = [webhooks.tool("postgres"), "-D", data, "-p", str(port), "-c", "listen_addresses=127.0.0.1"]
    server += ["-c", "unix_socket_directories=", "-c", "shared_buffers=512MB", "-c", "max_wal_size=4GB"]
    url = f"postgres://peer@127.0.0.1:{port}/postgres"
    migrate = [sys.executable, "-m", "awa", "--database-url", url, "migrate"]

    def migrated():
        subprocess.run(migrate, check=True, capture_output=True, timeout=webhooks.START_SECONDS)

    # SIGINT: PostgreSQL then stops without waiting for its clients.
    with webhooks.running("postgres", server, migrated, prefix=user, stop=signal.SIGINT, cwd="/"):
        yield url


def main():
    if sys.argv[1:2] == ["worker"]:
        return asyncio.run(work(sys.argv[2]))
    webhooks.stop_in_order()
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(postgres())
        awa.Client(url).install_queue_storage()
        workers = []
        for number in range(WORKERS):
            name, worker = f"awa-{number}", [sys.executable, os.path.abspath(__file__), "worker", url]
            workers.append((name, stack.enter_context(webhooks.running(name, worker, lambda: None))))
        asyncio.run(produce(url))
        webhooks.wait_for_end(*workers)


if __name__ == "__main__":
    webhooks.run(main)
