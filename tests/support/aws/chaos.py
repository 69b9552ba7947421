"""What goes wrong, to order, and what is counted."""
import copy
import datetime
import fnmatch
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
    # What the role may not do, with shell wildcards: an operation, or an operation with what it is asked with, such as
    # "IssueCertificate:*Passthrough/V1". As with AWS, that is asked before anything else.
    "deny": [],
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
    # What Sign gives instead of a signature: "other_key": another key's; "twice": of the digest's hash; or "".
    "sign": "",
    # What GenerateDataKey gives instead of a key of 32 bytes: "short", or "".
    "data_key": "",
    # Whether GenerateDataKey, Decrypt and Sign say that another key was used.
    "answers_of_another_key": False,
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
        self.set = copy.deepcopy(KNOBS)
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

    def denial(self, action, operation, details):
        """`details`: with what it is asked, such as a template."""
        asked = [operation] + [f"{operation}:{detail}" for detail in details]
        if not any(fnmatch.fnmatchcase(one, pattern) for one in asked for pattern in self.knob("deny")):
            return None
        return Refusal("AccessDeniedException", f"User: arn:aws:sts::123456789012:assumed-role/orders/task is not authorized to perform: {action}")

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
