"""The authorities of a test, made past the API: a root, and below it a subordinate, short-lived and with path length 0 unless wanted otherwise."""
import datetime

from moto.acmpca.models import acmpca_backends
from moto.core import DEFAULT_ACCOUNT_ID

SIGNING = {"EC_prime256v1": "SHA256WITHECDSA", "EC_secp384r1": "SHA384WITHECDSA", "RSA_2048": "SHA256WITHRSA"}


def make(wanted):
    """{"region", "name", "key_algorithm", "usage_mode", "days", "path_length"}: all may be left out; mode, days and path length are the subordinate's.
    Gives {"root": {"arn", "pem"}, "subordinate": {"arn", "pem"}}."""
    backend = acmpca_backends[DEFAULT_ACCOUNT_ID][wanted.get("region", "eu-central-1")]
    name, algorithm = wanted.get("name", "test"), wanted.get("key_algorithm", "EC_prime256v1")
    root = authority(backend, "ROOT", f"{name} root", algorithm, "GENERAL_PURPOSE")
    certify(root, root, "RootCACertificate/V1", 3650)
    below = authority(backend, "SUBORDINATE", f"{name} subordinate", algorithm, wanted.get("usage_mode", "SHORT_LIVED_CERTIFICATE"))
    certify(root, below, f"SubordinateCACertificate_PathLen{wanted.get('path_length', 0)}/V1", wanted.get("days", 1825))
    return {"root": told(root), "subordinate": told(below)}


def change(wanted):
    """{"arn", "status"}: what an operator does to an authority, such as DISABLED."""
    for by_region in acmpca_backends[DEFAULT_ACCOUNT_ID].values():
        if wanted["arn"] in by_region.certificate_authorities:
            by_region.certificate_authorities[wanted["arn"]].status = wanted["status"]
            return {}
    raise KeyError(wanted["arn"])


def authority(backend, kind, name, algorithm, usage_mode):
    arn = backend.create_certificate_authority(
        certificate_authority_configuration={
            "KeyAlgorithm": algorithm,
            "SigningAlgorithm": SIGNING[algorithm],
            "Subject": {"Organization": "Countersign", "CommonName": name},
        },
        revocation_configuration={},
        certificate_authority_type=kind,
        security_standard=None,
        tags=[],
    )
    made = backend.certificate_authorities[arn]
    made.usage_mode = usage_mode
    return made


def certify(issuer, subject, template, days):
    end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)
    arn = issuer.issue_by_template(
        subject.csr,
        template=f"arn:aws:acm-pca:::template/{template}",
        signing=SIGNING[issuer.certificate_authority_configuration["KeyAlgorithm"]],
        validity={"Type": "ABSOLUTE", "Value": int(end.timestamp())},
    )
    chain = b"" if issuer is subject else issuer.certificate_bytes + (issuer.certificate_chain or b"")
    subject.import_certificate_authority_certificate(issuer.issued_certificates[arn], chain)


def told(made):
    return {"arn": made.arn, "pem": made.certificate_bytes.decode()}
