"""What goes wrong, to order, and what is counted."""
import datetime
import socket
import struct
import threading
import time

from moto.core.exceptions import JsonRESTError

# What each knob means; operations are AWS's names, such as IssueCertificate.
KNOBS = {
    # From IssueCertificate to the first GetCertificate that gives the certificate, milliseconds.
    "in_progress_ms": 100,
    # Operation: calls a second; more are throttled.
    "per_second": {},
    # Operation: {"name": AWS's code, "message": text, "times": n}; refused before anything is done. Of the agent that gives credentials: "task".
    "refuse": {},
    # Operation: how many requests take effect and lose their connection before the answer.
    "reset": {},
    # Operation: true while requests are kept without an answer.
    "hang": {},
    # From now to the end of the credentials that a task gets, seconds.
    "task_life_s": 21_600,
    # How far AWS's clock is ahead of this machine's, seconds; negative: behind.
    "clock_skew_s": 0,
    # What GetCertificate gives instead of what was issued: "other_key", "expired", "broken_chain", or "".
    "give": "",
}


class Refusal(JsonRESTError):
    """An error of AWS."""

    code = 400

    def __init__(self, name, message):
        super().__init__(name, message)
        self.kind, self.said = name, message


class Chaos:
    def __init__(self):
        self.changed = threading.Condition()
        self.set = {name: value.copy() if isinstance(value, dict) else value for name, value in KNOBS.items()}
        self.calls = {}
        self.issued = 0
        self.tokens_misused = 0
        self.buckets = {}

    def turn(self, wanted):
        """Turns the knobs that `wanted` names, and tells how things stand."""
        with self.changed:
            unknown = set(wanted) - set(KNOBS)
            assert not unknown, f"unknown knobs: {unknown}"
            self.set.update(wanted)
            self.buckets.clear()
            self.changed.notify_all()
            return {"knobs": self.set, "calls": self.calls, "issued": self.issued, "tokens_misused": self.tokens_misused}

    def called(self, operation):
        with self.changed:
            self.calls[operation] = self.calls.get(operation, 0) + 1

    def count_issued(self):
        with self.changed:
            self.issued += 1

    def count_misused_token(self):
        with self.changed:
            self.tokens_misused += 1

    def hang(self, operation):
        """Keeps the request until the knob is turned back; for a minute at most, as clients are gone by then."""
        with self.changed:
            self.changed.wait_for(lambda: not self.set["hang"].get(operation), timeout=60)

    def resets(self, operation):
        with self.changed:
            left = self.set["reset"].get(operation, 0)
            self.set["reset"][operation] = max(0, left - 1)
            return left > 0

    def reset(self, connection):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
        raise ConnectionResetError("as ordered")

    def refusal(self, operation):
        with self.changed:
            ordered = self.set["refuse"].get(operation)
            if ordered and ordered.get("times", 1) > 0:
                ordered["times"] = ordered.get("times", 1) - 1
                return Refusal(ordered["name"], ordered.get("message", "as ordered"))
            return self.throttled(operation)

    def throttled(self, operation):
        rate = self.set["per_second"].get(operation)
        if not rate:
            return None
        now = time.monotonic()
        before, left = self.buckets.get(operation, (now, float(rate)))
        left = min(float(rate), left + (now - before) * rate)
        self.buckets[operation] = (now, left - 1 if left >= 1 else left)
        return None if left >= 1 else Refusal("ThrottlingException", "Rate exceeded")

    def now(self):
        """AWS's clock."""
        return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=self.knob("clock_skew_s"))

    def knob(self, name):
        with self.changed:
            return self.set[name]


chaos = Chaos()
