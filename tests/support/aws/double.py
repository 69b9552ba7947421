"""A double of AWS for the tests: moto's server with a private CA that behaves as the real one does, and with faults to order.

    python double.py PORT       prints "READY <port>"; port 0: the kernel chooses

    POST /_chaos {...}          changes knobs, see KNOBS in chaos.py; unknown ones are refused
    GET  /_chaos                the knobs, how often each operation was called, and how many certificates were issued
    POST /_authority {...}      makes a root and a short-lived subordinate below it; gives their ARNs and certificates
    POST /_authority/status     {"arn", "status"}: what an operator does to an authority
    GET  /_task                 credentials, as the agent on an ECS host gives them to a task
"""
import datetime
import email.utils
import json
import sys

import authority
import private_ca
from chaos import Refusal, chaos
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server


class Handler(WSGIRequestHandler):
    """Speaks HTTP/1.1, so that connections are kept as AWS keeps them, and keeps silent."""

    protocol_version = "HTTP/1.1"

    def date_time_string(self, timestamp=None):
        return email.utils.format_datetime(chaos.now(), usegmt=True)

    def log_request(self, *_):
        pass

    def log(self, *_):
        pass


class Double:
    def __init__(self):
        self.moto = DomainDispatcherApplication(create_backend_app)
        self.own = {"/_chaos": chaos.turn, "/_authority": authority.make, "/_authority/status": authority.change, "/_task": task_credentials}

    def __call__(self, environ, start_response):
        own = self.own.get(environ["PATH_INFO"])
        if own is None:
            return self.aws(environ, start_response)
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        try:
            answer = json.dumps(own(json.loads(body or "{}"))).encode()
        except Refusal as refusal:
            return refused(refusal, start_response)
        start_response("200 OK", [("content-type", "application/json"), ("content-length", str(len(answer)))])
        return [answer]

    def aws(self, environ, start_response):
        operation = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
        chaos.called(operation)
        chaos.hang(operation)
        refusal = wrong_time(environ) or ended(environ) or chaos.refusal(operation)
        if refusal is not None:
            # Read first: what is left unread would be taken for the next request.
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            return refused(refusal, start_response)
        answer = b"".join(self.moto(environ, held := Held()))
        if chaos.resets(operation):
            # The request took effect, and nobody learns what came of it.
            chaos.reset(environ["werkzeug.socket"])
        return held.release(answer, start_response)


def wrong_time(environ):
    """What AWS says of a signature whose time is not its own, give or take five minutes."""
    signed = environ.get("HTTP_X_AMZ_DATE")
    if not signed:
        return None
    form = "%Y%m%dT%H%M%SZ"
    at = datetime.datetime.strptime(signed, form).replace(tzinfo=datetime.timezone.utc)
    now, bound = chaos.now(), datetime.timedelta(minutes=5)
    if at < now - bound:
        said = f"Signature expired: {signed} is now earlier than {now - bound:{form}} ({now:{form}} - 5 min.)"
    elif at > now + bound:
        said = f"Signature not yet current: {signed} is still later than {now + bound:{form}} ({now:{form}} + 5 min.)"
    else:
        return None
    return Refusal("InvalidSignatureException", said)


# When the credentials that a task got end, by their key.
TASK_KEYS = {}


def task_credentials(_):
    chaos.called("task")
    chaos.hang("task")
    refusal = chaos.refusal("task")
    if refusal is not None:
        raise refusal
    key = f"task{len(TASK_KEYS)}"
    TASK_KEYS[key] = chaos.now() + datetime.timedelta(seconds=chaos.knob("task_life_s"))
    expiration = TASK_KEYS[key].strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"AccessKeyId": key, "SecretAccessKey": "task", "Token": "task", "Expiration": expiration}


def ended(environ):
    """What AWS says of credentials that have ended."""
    key = environ.get("HTTP_AUTHORIZATION", "").partition("Credential=")[2].partition("/")[0]
    if key in TASK_KEYS and TASK_KEYS[key] <= chaos.now():
        return Refusal("ExpiredTokenException", "The security token included in the request is expired")
    return None


class Held:
    """Keeps the head of an answer until it is known whether it is sent."""

    def __call__(self, status, headers, exc_info=None):
        self.status, self.headers = status, headers

    def release(self, body, start_response):
        headers = [(name, value) for name, value in self.headers if name.lower() != "content-length"]
        start_response(self.status, headers + [("content-length", str(len(body)))])
        return [body]


def refused(refusal, start_response):
    body = json.dumps({"__type": refusal.kind, "message": refusal.said}).encode()
    status = "500 Internal Server Error" if refusal.kind == "InternalFailure" else "400 Bad Request"
    headers = [("content-type", "application/x-amz-json-1.1"), ("content-length", str(len(body)))]
    start_response(status, headers)
    return [body]


if __name__ == "__main__":
    private_ca.install()
    server = make_server("127.0.0.1", int(sys.argv[1]), Double(), threaded=True, request_handler=Handler)
    print(f"READY {server.server_port}", flush=True)
    server.serve_forever()
