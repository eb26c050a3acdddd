"""Verifies recorded deliveries with the public packages that receivers use.

Reads {"secret": "whsec_…", "public_key": "whpk_…", "deliveries": [{"headers": {…}, "body": "…"}]} from the file named by the
only argument. Each delivery must verify with `standardwebhooks` and with `svix`; the same delivery with another body, id or
secret must not. With a public key each must also have a `v1a` signature that PyNaCl verifies as Standard Webhooks describe
it (those packages know `v1` only). Prints how many were verified; exits with 1 and says why at the first surprise.
"""

import base64
import json
import sys

import nacl.exceptions
import nacl.signing
import standardwebhooks
import svix.webhooks


def verdict(verifier, body, headers):
    """None where the verifier accepts, else its reason."""
    try:
        verifier.verify(body, headers)
    except Exception as error:  # each package has its own family of errors; any of them is a refusal
        return f"{type(error).__name__}: {error}"
    return None


def check(name, make, secret, delivery):
    body, headers = delivery["body"], delivery["headers"]
    json.loads(body)
    refusal = verdict(make(secret), body, headers)
    if refusal:
        sys.exit(f"{name} refuses a genuine delivery: {refusal}\n{headers}\n{body}")
    other_secret = "whpk_" + base64.b64encode(bytes(nacl.signing.SigningKey.generate().verify_key)).decode()
    if not secret.startswith("whpk_"):
        other_secret = "whsec_" + base64.b64encode(bytes(32)).decode()
    forgeries = {
        "another body": (secret, body + " ", headers),
        "another id": (secret, body, {**headers, "webhook-id": "evt_forged"}),
        "another time": (secret, body, {**headers, "webhook-timestamp": str(int(headers["webhook-timestamp"]) - 1)}),
        "another secret": (other_secret, body, headers),
    }
    for what, (key, forged_body, forged_headers) in forgeries.items():
        if verdict(make(key), forged_body, forged_headers) is None:
            sys.exit(f"{name} accepts a delivery with {what}")


class Asymmetric:
    """A verifier of `v1a`: ed25519 over "{id}.{timestamp}.{body}"."""

    def __init__(self, public_key):
        self.key = nacl.signing.VerifyKey(base64.b64decode(public_key.removeprefix("whpk_")))

    def verify(self, body, headers):
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body}".encode()
        for signature in headers["webhook-signature"].split(" "):
            version, encoded = signature.split(",")
            if version != "v1a":
                continue
            try:
                self.key.verify(signed, base64.b64decode(encoded))
                return
            except nacl.exceptions.BadSignatureError:
                pass
        raise ValueError("no v1a signature matches")


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        recorded = json.load(file)
    for delivery in recorded["deliveries"]:
        check("standardwebhooks", standardwebhooks.Webhook, recorded["secret"], delivery)
        check("svix", svix.webhooks.Webhook, recorded["secret"], delivery)
        if "public_key" in recorded:
            check("PyNaCl", Asymmetric, recorded["public_key"], delivery)
    print(f"verified {len(recorded['deliveries'])}")


main()
