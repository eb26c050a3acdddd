"""A mail server that delivers nothing: prints `listening on PORT`, then each message as a line of JSON.

`--refuse ADDRESS` says no to that recipient for good. With `--certificate FILE --key FILE --user NAME --password WORD`
it takes mail only after STARTTLS and AUTH. It runs until it is killed.
"""

import argparse
import asyncio
import email
import email.policy
import json
import ssl

from aiosmtpd.smtp import SMTP, AuthResult

options = argparse.ArgumentParser()
options.add_argument("--refuse")
options.add_argument("--certificate")
options.add_argument("--key")
options.add_argument("--user")
options.add_argument("--password")
options = options.parse_args()


def authenticate(server, session, envelope, mechanism, data):
    given = (data.login.decode(), data.password.decode())
    return AuthResult(success=mechanism == "PLAIN" and given == (options.user, options.password))


class Sink:
    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        if address == options.refuse:
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        # The strict policy makes a defect of whatever is not as the standards have it.
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        record = {
            "client": session.host_name,
            "tls": session.ssl is not None,
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "headers": [[name, str(value)] for name, value in message.items()],
            "text": message.get_content(),
            "defects": [repr(defect) for defect in message.defects]
            + [repr(defect) for value in message.values() for defect in value.defects],
        }
        print(json.dumps(record), flush=True)
        return "250 2.0.0 OK"


async def main():
    arguments = {}
    if options.certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(options.certificate, options.key)
        arguments = {
            "tls_context": context,
            "require_starttls": True,
            "authenticator": authenticate,
            "auth_required": True,
        }
    sink = Sink()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(sink, hostname="mail.test", loop=loop, **arguments), "127.0.0.1", 0)
    print(f"listening on {server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


asyncio.run(main())
