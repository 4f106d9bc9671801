"""A small receiver of signed webhooks, to try them out and to copy from.

`python tests/webhook_receiver.py --secret whsec_…` listens on loopback, checks each signature with the package
`standardwebhooks`, answers 204 for what it takes and 401 for a wrong signature or an old timestamp. It remembers the
ids it has taken: an event that comes again is answered 204, and nothing is done twice.
"""

from __future__ import annotations

import argparse
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

LARGEST = 64 * 1024


@dataclass
class Request:
    """One request as it came."""

    headers: dict[str, str]
    body: bytes
    status: int


@dataclass
class Receiver:
    """What was received; `answers` are statuses to give instead, one a request, before anything is looked at."""

    secrets: Sequence[str]
    answers: list[int] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    taken: dict[str, Any] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    port: int = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/hook"

    def take(self, headers: dict[str, str], body: bytes) -> int:
        """Return the status for one request, and remember an event that is new and rightly signed."""
        with self.lock:
            status = self.answers.pop(0) if self.answers else self._look(headers, body)
            self.requests.append(Request(headers, body, status))
        return status

    def _look(self, headers: dict[str, str], body: bytes) -> int:
        for secret in self.secrets:
            try:
                event = Webhook(secret).verify(body, headers)
            except (WebhookVerificationError, ValueError):
                continue
            # A repeat is no error: it is told that it came, and nothing is done twice.
            self.taken.setdefault(headers["webhook-id"], event)
            return 204
        return 401


@contextmanager
def receiving(*secrets: str, port: int = 0) -> Iterator[Receiver]:
    """Listen on loopback for as long as the block runs."""
    receiver = Receiver(list(secrets))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("content-length", "0"))
            if not 0 <= length <= LARGEST:
                self.send_error(413)
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            status = receiver.take(headers, self.rfile.read(length))
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("location", f"{receiver.url}/elsewhere")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing: what came is printed by whoever runs it."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def main() -> None:
    """Receive until Ctrl-C, and print what comes."""
    parser = argparse.ArgumentParser(description="Receive signed webhooks on loopback.")
    parser.add_argument("--port", type=int, default=8900)
    parser.add_argument("--secret", required=True, action="append", help="whsec_…; two of them during a rotation")
    chosen = parser.parse_args()
    with receiving(*chosen.secret, port=chosen.port) as receiver:
        print(f"Waiting at {receiver.url}. Ctrl-C ends it.", flush=True)
        seen = 0
        try:
            while True:
                threading.Event().wait(0.2)
                for request in receiver.requests[seen:]:
                    print(request.status, request.headers.get("webhook-id", "no id"), request.body.decode(), flush=True)
                    seen += 1
        except KeyboardInterrupt:
            print("Ended.")


if __name__ == "__main__":
    main()
