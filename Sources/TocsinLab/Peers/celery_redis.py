"""Celery with Redis as its broker, and requests: a task a delivery.

Redis calls fsync before it answers (`appendfsync always`), a task is acknowledged after its webhook was (`acks_late`), so nothing
that was accepted is lost: what Tocsin promises too. A worker takes the app from here; run by itself it is the whole peer.
"""

import os
import sys

import celery
import requests
import webhooks

app = celery.Celery("peer", broker=os.environ.get("PEER_BROKER"))
app.conf.update(
    task_acks_late=True,
    task_ignore_result=True,
    task_serializer="json",
    worker_prefetch_multiplier=64,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    broker_pool_limit=4,
    broker_transport_options={"socket_timeout": 30, "socket_connect_timeout": 10},
)
session = requests.Session()
session.trust_env = False
adapter = requests.adapters.HTTPAdapter(pool_connections=1, pool_maxsize=4)
session.mount("http://", adapter)


@app.task(name="deliver", bind=True, max_retries=10, default_retry_delay=5)
def deliver(self, endpoint, identifier, sequence, body):
    try:
        headers = webhooks.signed(endpoint, identifier, sequence, body)
        answer = session.post(
            webhooks.ENDPOINTS[endpoint]["url"], data=body.encode(), headers=headers, timeout=30, allow_redirects=False
        )
        answer.raise_for_status()
    except requests.RequestException as error:
        raise self.retry(exc=error)


def answered():
    if not app.control.ping(timeout=1):
        raise TimeoutError("no worker answers")


def main():
    import redis

    webhooks.stop_in_order()
    port = webhooks.free_port()
    server = [webhooks.tool("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--dir", webhooks.DIRECTORY]
    server += ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
    broker = f"redis://127.0.0.1:{port}/0"
    client = redis.Redis(port=port, socket_timeout=5, socket_connect_timeout=5)
    worker = [sys.executable, "-m", "celery", "-A", "celery_redis", "worker", "--pool", "prefork", "--loglevel", "ERROR"]
    worker += ["--concurrency", "4", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    place = {"env": os.environ | {"PEER_BROKER": broker}, "cwd": os.path.dirname(os.path.abspath(__file__))}
    app.conf.broker_url = broker
    with (
        webhooks.running("redis-server", server, client.ping),
        webhooks.running("celery", worker, answered, **place) as workers,
    ):
        with app.producer_pool.acquire(block=True, timeout=30) as producer:
            for delivery in webhooks.deliveries(range(webhooks.EVENTS)):
                deliver.apply_async(delivery, producer=producer)
        webhooks.wait_for_end(("celery", workers))


if __name__ == "__main__":
    webhooks.run(main)
