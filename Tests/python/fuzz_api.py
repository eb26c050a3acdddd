"""Fuzzes a running server by its own /openapi.json with schemathesis.

Usage: fuzz_api.py URL TOKEN SEED IDS, where IDS is a JSON file in which members such as "site_id" name things that exist:
most requests are made about them, so that more than 404 is seen. Every reply must have a documented status, content type and body, and none may be a
5xx. Prints what failed, and how to repeat it; the exit status is schemathesis's own.
"""

import json
import os
import subprocess
import sys
import tempfile

CHECKS = ["not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance"]
# Examples per operation in the random phase: enough to reach every branch of the parsers, little enough for CI.
EXAMPLES = 20
# A reply that takes longer is a failure, not patience.
TIMEOUT_SECONDS = 10
# How often a parameter names something that exists.
KNOWN_ID_PROBABILITY = 0.8


def known_ids(node, found):
    """Collects the strings of all members whose name ends with _id, by that name."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name.endswith("_id") and isinstance(value, str):
                found.setdefault(name, []).append(value)
            known_ids(value, found)
    elif isinstance(node, list):
        for item in node:
            known_ids(item, found)
    return found


def configuration(ids):
    """schemathesis.toml: a dictionary of known values for each parameter."""
    lines = [f"[dictionaries.{name}]\nvalues = {json.dumps(values)}" for name, values in ids.items()]
    lines.append("[parameters]")
    for name in ids:
        lines.append(f'{name} = {{ dictionary = "{name}", probability = {KNOWN_ID_PROBABILITY} }}')
    return "\n".join(lines) + "\n"


def main():
    url, token, seed, ids_file = sys.argv[1:]
    with open(ids_file, encoding="utf-8") as file:
        ids = known_ids(json.load(file), {})
    command = [
        os.path.join(os.path.dirname(sys.executable), "schemathesis"), "run", f"{url}/openapi.json",
        "--url", url,
        "--header", f"Authorization: Bearer {token}",
        "--checks", ",".join(CHECKS),
        "--phases", "examples,coverage,fuzzing",
        "--max-examples", str(EXAMPLES),
        "--seed", seed,
        # Two workers trip over a race in Python 3.11 (`AST constructor recursion depth mismatch`).
        "--workers", "1",
        "--request-timeout", str(TIMEOUT_SECONDS),
        "--suppress-health-check", "all",
        "--continue-on-failure",
        "--no-shrink",
        "--warnings", "off",
        # An endless reply: it has a test of its own.
        "--exclude-path", "/v1/events/stream",
    ]  # fmt: skip
    # It keeps notes of earlier runs where it runs, which would make this one depend on them.
    with tempfile.TemporaryDirectory() as directory:
        with open(os.path.join(directory, "schemathesis.toml"), "w", encoding="utf-8") as file:
            file.write(configuration(ids))
        sys.exit(subprocess.run(command, cwd=directory, stdin=subprocess.DEVNULL).returncode)


main()
