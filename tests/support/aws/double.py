"""A double of AWS for the tests: moto's server with a private CA and a KMS that behave as the real ones do, and with faults to order.

    python double.py PORT       prints "READY <port>"; port 0: the kernel chooses

    POST /_chaos {...}          changes knobs, see KNOBS in chaos.py; unknown ones are refused
    GET  /_chaos                the knobs, how often each operation was called, and how many certificates were issued
    POST /_authority {...}      makes a root and a subordinate below it, see authority.py; gives their ARNs and certificates
    POST /_authority/status     {"arn", "status"}: what an operator does to an authority
    POST /_kms {...}            makes a key of KMS; gives its ARN
    POST /_s3 {...}             puts an object, see s3.py
    POST /_kms/state            {"arn", "state"}: what an operator does to a key
    GET  /_task                 credentials, as the agent on an ECS host gives them to a task
"""
import datetime
import email.utils
import io
import json
import sys
import urllib.parse
import xml.sax.saxutils

import authority
import kms
import private_ca
import s3
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
        self.own = {
            "/_chaos": chaos.turn,
            "/_authority": authority.make,
            "/_authority/status": authority.change,
            "/_kms": kms.make,
            "/_kms/state": kms.change,
            "/_s3": s3.put,
            "/_task": task_credentials,
        }

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
        # Read first: what is left unread would be taken for the next request.
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        asked = Asked(environ, body)
        operation = asked.operation
        chaos.called(operation)
        chaos.hang(operation)
        refusal = wrong_time(environ) or ended(environ) or asked.unsigned(environ) or chaos.denial(asked.action, operation, asked.details) or chaos.refusal(operation)
        if refusal is not None:
            return refused(refusal, asked, start_response)
        answer = b"".join(self.moto(environ, held := Held()))
        if chaos.resets(operation):
            # The request took effect, and nobody learns what came of it.
            chaos.reset(environ["werkzeug.socket"])
        return held.release(answer, start_response)


class Asked:
    """What a request is about: its operation, the IAM action, and what a policy may look at beside them."""

    def __init__(self, environ, body):
        target = environ.get("HTTP_X_AMZ_TARGET")
        self.is_json = target is not None
        if self.is_json:
            self.operation, arguments = target.rpartition(".")[2], json.loads(body or "{}")
            self.details = [arguments[name].rpartition(":template/")[2] for name in ("TemplateArn", "KeyId") if name in arguments]
            self.details += [f"{name}={value}" for name, value in arguments.get("EncryptionContext", {}).items()]
        elif "/s3/aws4_request" in environ.get("HTTP_AUTHORIZATION", ""):
            self.operation, self.details = {"GET": "GetObject"}.get(environ["REQUEST_METHOD"], "?"), [environ["PATH_INFO"]]
        else:
            # STS.
            self.operation, self.details = urllib.parse.parse_qs(body.decode("latin-1")).get("Action", [""])[0], []
        # "AWS4-HMAC-SHA256 Credential=<id>/<date>/<region>/<service>/aws4_request, …"
        scope = environ.get("HTTP_AUTHORIZATION", "").partition("Credential=")[2].partition(",")[0].split("/")
        self.is_s3 = scope[3:4] == ["s3"]
        self.action = f"{scope[3] if len(scope) > 3 else '?'}:{self.operation}"

    def unsigned(self, environ):
        return s3.unsigned(environ) if self.is_s3 else None


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


def refused(refusal, asked, start_response):
    if asked.is_json:
        kind, body = "application/x-amz-json-1.1", json.dumps({"__type": refusal.kind, "message": refusal.said})
    else:
        code, said = (xml.sax.saxutils.escape(text) for text in (refusal.kind, refusal.said))
        kind, body = "text/xml", f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{said}</Message></Error></ErrorResponse>"
    body = body.encode()
    status = "500 Internal Server Error" if refusal.kind in ("InternalFailure", "KMSInternalException") else "400 Bad Request"
    if asked.is_s3:
        status = "403 Forbidden"
    headers = [("content-type", kind), ("content-length", str(len(body)))]
    start_response(status, headers)
    return [body]


if __name__ == "__main__":
    private_ca.install()
    kms.install()
    server = make_server("127.0.0.1", int(sys.argv[1]), Double(), threaded=True, request_handler=Handler)
    print(f"READY {server.server_port}", flush=True)
    server.serve_forever()
