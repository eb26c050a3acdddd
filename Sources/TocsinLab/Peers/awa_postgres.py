"""awa on PostgreSQL, and aiohttp: a job a delivery.

PostgreSQL as it comes (`fsync` and `synchronous_commit` are on); jobs go in by COPY, a thousand deliveries in a transaction.
Run with `worker` it is one of the workers; run by itself it is the whole peer.
"""

import asyncio
import contextlib
import dataclasses
import os
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


@contextlib.contextmanager
def postgres():
    """A PostgreSQL of its own; it refuses to run as root, so there it runs as its own user."""
    data, port = os.path.join(webhooks.DIRECTORY, "postgres"), webhooks.free_port()
    prefix = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
    os.makedirs(data, mode=0o700)
    if prefix:
        import shutil

        shutil.chown(data, "postgres", "postgres")
        os.chmod(webhooks.DIRECTORY, 0o755)
    subprocess.run(
        [*prefix, webhooks.tool("initdb"), "-D", data, "-U", "peer", "-A", "trust"],
        check=True, stdout=subprocess.DEVNULL, cwd="/",
    )
    server = [*prefix, webhooks.tool("postgres"), "-D", data, "-p", str(port), "-c", "listen_addresses=127.0.0.1"]
    server += ["-c", "unix_socket_directories=", "-c", "shared_buffers=512MB", "-c", "max_wal_size=4GB"]
    url = f"postgres://peer@127.0.0.1:{port}/postgres"
    migrate = [sys.executable, "-m", "awa", "--database-url", url, "migrate"]
    with webhooks.running(
        server, lambda: subprocess.run(migrate, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL), cwd="/"
    ):
        yield url


def main():
    if sys.argv[1:2] == ["worker"]:
        return asyncio.run(work(sys.argv[2]))
    webhooks.stop_in_order()
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(postgres())
        awa.Client(url).install_queue_storage()
        for _ in range(WORKERS):
            worker = [sys.executable, os.path.abspath(__file__), "worker", url]
            stack.enter_context(webhooks.running(worker, lambda: None))
        asyncio.run(produce(url))
        webhooks.wait_for_end()


if __name__ == "__main__":
    main()
