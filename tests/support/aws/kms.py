"""Makes moto's KMS behave as AWS's where it does not: digests are signed as they are, a context is one context, states and specs of keys count."""
import base64
import json

from chaos import Refusal, chaos
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from moto.core import DEFAULT_ACCOUNT_ID
from moto.kms import utils as moto_utils
from moto.kms.models import kms_backends
from moto.kms.responses import KmsResponse

SYMMETRIC = "SYMMETRIC_DEFAULT"
HASHES = {"ECDSA_SHA_256": hashes.SHA256, "ECDSA_SHA_384": hashes.SHA384, "ECDSA_SHA_512": hashes.SHA512}
# A ciphertext of moto begins with its key's id.
KEY_ID_BYTES = 36


def install():
    """Puts all of it over moto."""
    moto_utils._serialize_encryption_context = lambda encryption_context: serialized(encryption_context)
    before = {name: getattr(KmsResponse, name) for name in ("generate_data_key", "decrypt", "get_public_key")}
    # Plain functions: moto finds nothing else.
    KmsResponse.generate_data_key = lambda response: generate_data_key(response, before["generate_data_key"])
    KmsResponse.decrypt = lambda response: decrypt(response, before["decrypt"])
    KmsResponse.get_public_key = lambda response: get_public_key(response, before["get_public_key"])
    KmsResponse.sign = lambda response: sign(response)


def make(wanted):
    """{"region", "spec", "alias"}: all may be left out. Gives {"arn", "alias"} of a key: symmetric, or one that signs."""
    backend = kms_backends[DEFAULT_ACCOUNT_ID][wanted.get("region", "eu-central-1")]
    spec = wanted.get("spec", SYMMETRIC)
    usage = "ENCRYPT_DECRYPT" if spec == SYMMETRIC else "SIGN_VERIFY"
    key = backend.create_key(policy=None, key_usage=wanted.get("usage", usage), key_spec=spec, description="", tags=None)
    if "alias" not in wanted:
        return {"arn": key.arn}
    name = "alias/" + wanted["alias"]
    (backend.update_alias if backend.alias_exists(name) else backend.create_alias)(key.id, name)
    return {"arn": key.arn, "alias": key.arn.replace(f"key/{key.id}", name)}


def change(wanted):
    """{"arn", "state"}: what an operator does to a key, such as Disabled."""
    for by_region in kms_backends[DEFAULT_ACCOUNT_ID].values():
        for key in by_region.keys.values():
            if key.arn == wanted["arn"]:
                key.key_state = wanted["state"]
                return {}
    raise KeyError(wanted["arn"])


def generate_data_key(response, moto):
    usable(response, "ENCRYPT_DECRYPT")
    answer = json.loads(moto(response))
    if chaos.knob("data_key") == "short":
        answer["Plaintext"] = base64.b64encode(base64.b64decode(answer["Plaintext"])[:16]).decode()
    return renamed(answer)


def decrypt(response, moto):
    asked = response._get_param("KeyId")
    made_by = response._get_param("CiphertextBlob")[:KEY_ID_BYTES].decode(errors="ignore")
    key = response.kms_backend.keys.get(made_by)
    if key is None:
        raise Refusal("InvalidCiphertextException", "")
    enabled(key)
    if asked and response.kms_backend.any_id_to_key_id(asked) != made_by:
        raise Refusal("IncorrectKeyException", "The key ID in the request does not identify a CMK that can perform this operation.")
    return renamed(json.loads(moto(response)))


def get_public_key(response, moto):
    key = usable(response)
    if key.key_spec == SYMMETRIC:
        raise Refusal("UnsupportedOperationException", f"{key.arn} is symmetric and has no public key")
    # moto leaves the spec out and gives the bare id.
    return json.dumps(json.loads(moto(response)) | {"KeySpec": key.key_spec, "KeyId": key.arn})


def sign(response):
    key = usable(response, "SIGN_VERIFY")
    message, algorithm = response._get_param("Message"), response._get_param("SigningAlgorithm")
    if algorithm not in key.signing_algorithms:
        raise Refusal("InvalidKeyUsageException", f"{algorithm} is not an algorithm of {key.arn}")
    hashing = HASHES[algorithm]()
    if response._get_param("MessageType") != "DIGEST" or len(message) != hashing.digest_size:
        raise Refusal("ValidationException", f"Digest is invalid length for algorithm {algorithm}")
    private, how = key.private_key.private_key, ec.ECDSA(utils.Prehashed(hashing))
    fault = chaos.knob("sign")
    if fault == "other_key":
        private = ec.generate_private_key(private.curve)
    if fault == "twice":
        # As moto does it.
        how = ec.ECDSA(hashing)
    signature = base64.b64encode(private.sign(message, how)).decode()
    return renamed({"KeyId": key.arn, "Signature": signature, "SigningAlgorithm": algorithm})


def usable(response, usage=None):
    """The key that is asked, if it is there, enabled, and for this."""
    asked = response._get_param("KeyId")
    response._validate_key_id(asked)
    key = enabled(response.kms_backend.describe_key(asked))
    if usage and key.key_usage != usage:
        raise Refusal("InvalidKeyUsageException", f"{key.arn} is for {key.key_usage}")
    return key


def enabled(key):
    if key.key_state == "Disabled":
        raise Refusal("DisabledException", f"{key.arn} is disabled.")
    if key.key_state != "Enabled":
        raise Refusal("KMSInvalidStateException", f"{key.arn} is pending deletion.")
    return key


def renamed(answer):
    """Told of another key, if the knob `answers_of_another_key` says so."""
    if chaos.knob("answers_of_another_key"):
        answer["KeyId"] = answer["KeyId"].rpartition("/")[0] + "/00000000-0000-0000-0000-000000000000"
    return json.dumps(answer)


def serialized(context):
    """Each part with its length: moto's own has one form for several contexts."""
    parts = [part.encode() for name in sorted(context or {}) for part in (name, context[name])]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)
