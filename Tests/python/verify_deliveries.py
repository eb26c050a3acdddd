"""Verifies recorded deliveries with the public packages that receivers use.

Reads {"secret": "whsec_…", "deliveries": [{"headers": {…}, "body": "…"}]} from the file named by the only argument.
Each delivery must verify with `standardwebhooks` and with `svix`; the same delivery with another body, id or secret must
not. Prints how many were verified; exits with 1 and says why at the first surprise.
"""

import base64
import json
import sys

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


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        recorded = json.load(file)
    for delivery in recorded["deliveries"]:
        check("standardwebhooks", standardwebhooks.Webhook, recorded["secret"], delivery)
        check("svix", svix.webhooks.Webhook, recorded["secret"], delivery)
    print(f"verified {len(recorded['deliveries'])}")


main()
