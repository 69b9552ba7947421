"""Objects of S3 for the double: moto keeps them, and here is looked whether a request is signed as S3 asks for."""
import base64
import urllib.parse

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from chaos import Refusal
from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends


def put(wanted):
    """{"bucket", "key", "base64"}: puts an object, and makes its bucket where there is none."""
    backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
    if wanted["bucket"] not in backend.buckets:
        backend.create_bucket(wanted["bucket"], "eu-west-1")
    backend.put_object(wanted["bucket"], wanted["key"], base64.b64decode(wanted["base64"]))
    return {}


def unsigned(environ):
    """What S3 says of a signature that is not by the secret `test`."""
    scheme, _, rest = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    fields = dict(field.strip().split("=", 1) for field in rest.split(",") if "=" in field)
    names = fields.get("SignedHeaders", "").split(";")
    if scheme != "AWS4-HMAC-SHA256" or not {"host", "x-amz-content-sha256", "x-amz-date"} <= set(names):
        return Refusal("AccessDenied", "Access Denied")
    key, _, region, _, _ = fields["Credential"].split("/")
    headers = {name: environ["HTTP_" + name.upper().replace("-", "_")] for name in names}
    request = AWSRequest(environ["REQUEST_METHOD"], f"http://{environ['HTTP_HOST']}{urllib.parse.quote(environ['PATH_INFO'])}", headers=headers)
    request.context["timestamp"] = environ["HTTP_X_AMZ_DATE"]
    signer = S3SigV4Auth(Credentials(key, "test"), "s3", region)
    to_sign = signer.string_to_sign(request, signer.canonical_request(request))
    if signer.signature(to_sign, request) != fields["Signature"]:
        return Refusal("SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided.")
    return None
