"""A video verifier for Tocsin: hears of alarms, looks at their snapshots, says what it sees, and acknowledges.

It needs Python 3.9 and the package `standardwebhooks`. Make an app with the scopes `events:read` and `events:write`, and an
endpoint of it that subscribes to `alarm.created` and `snapshot.created`; then

    TOCSIN_URL=https://alarms.example TOCSIN_API_KEY=tcs_live_… TOCSIN_SECRET=whsec_… \\
        python3 ai_verifier.py --port 9000 --judge 'my-model --json'

The judge is any command that reads an image on standard input and prints {"verdict": "…", "confidence": 0.0 to 1.0}.
Alarms in which it sees somebody are acknowledged; the others are left to the operators, with the annotation.
"""

import argparse
import http.server
import json
import os
import queue
import shlex
import subprocess
import threading
import urllib.request

import standardwebhooks

SERVER = os.environ["TOCSIN_URL"]
API_KEY = os.environ["TOCSIN_API_KEY"]
WEBHOOK = standardwebhooks.Webhook(os.environ["TOCSIN_SECRET"])
work = queue.Queue()
seen = set()


class Hook(http.server.BaseHTTPRequestHandler):
    """Answers at once; the work is done behind it."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            event = WEBHOOK.verify(body, dict(self.headers))
        except standardwebhooks.WebhookVerificationError:
            return self.answer(401)
        # At least once means: sometimes twice.
        if event["id"] not in seen:
            seen.add(event["id"])
            work.put(event)
        self.answer(204)

    def answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def judge(command, image):
    """What the model makes of an image."""
    finished = subprocess.run(shlex.split(command), input=image, stdout=subprocess.PIPE, check=True, timeout=60)
    return json.loads(finished.stdout)


def call(path, body):
    request = urllib.request.Request(
        SERVER + path,
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {API_KEY}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.load(reply)


def verify(alarm, url, command):
    with urllib.request.urlopen(url, timeout=30) as media:
        seen_there = judge(command, media.read())
    verdict, confidence = seen_there["verdict"], seen_there["confidence"]
    call(f"/v1/alarms/{alarm}/annotate", {"source": "ai", "verdict": verdict, "confidence": confidence})
    print(f"{alarm}: {verdict} ({confidence})", flush=True)
    if verdict == "person":
        call(f"/v1/alarms/{alarm}/acknowledge", {"reason": f"AI verified, confidence={confidence}"})


def run(command):
    while True:
        event = work.get()
        data = event["data"]
        # An alarm may bring its snapshot, or be followed by it.
        url = data.get("snapshot_url") if event["type"] == "alarm.created" else data.get("url")
        if url and "alarm_id" in data:
            try:
                verify(data["alarm_id"], url, command)
            except (OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
                print(f"{data['alarm_id']}: not verified: {error}", flush=True)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--port", type=int, default=9000)
    arguments.add_argument("--judge", required=True)
    chosen = arguments.parse_args()
    threading.Thread(target=run, args=(chosen.judge,), daemon=True).start()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", chosen.port), Hook)
    print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
