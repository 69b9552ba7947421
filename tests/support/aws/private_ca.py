"""Makes moto's private CA behave as AWS's: validity, templates, tokens, usage mode and keys count, and issuing takes its time."""
import base64
import datetime as dt
import json
import threading
import time

from chaos import Refusal, chaos
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID
from moto.acmpca.models import CertificateAuthority
from moto.acmpca.responses import ACMPCAResponse

CURVES = {"EC_prime256v1": ec.SECP256R1, "EC_secp384r1": ec.SECP384R1, "EC_secp521r1": ec.SECP521R1}
HASHES = {"SHA256": hashes.SHA256, "SHA384": hashes.SHA384, "SHA512": hashes.SHA512}
BOTH = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
# End-entity templates and the usages that they give; None: none.
LEAVES = {
    "EndEntityCertificate": BOTH,
    "EndEntityServerAuthCertificate": [ExtendedKeyUsageOID.SERVER_AUTH],
    "EndEntityClientAuthCertificate": [ExtendedKeyUsageOID.CLIENT_AUTH],
    "BlankEndEntityCertificate": None,
}
# Templates of authorities and their path lengths; None: not bounded.
AUTHORITIES = {"RootCACertificate": None} | {f"SubordinateCACertificate_PathLen{length}": length for length in range(4)}
TOKEN_LIFE = 300
SHORT_LIVED_AT_MOST = dt.timedelta(days=7)
# AWS sets the beginning back, for clocks that differ.
SET_BACK = dt.timedelta(minutes=60)


def install():
    """Puts all of it over moto."""
    before = CertificateAuthority.__init__

    def begin(self, *arguments, **named):
        before(self, *arguments, **named)
        algorithm = self.certificate_authority_configuration["KeyAlgorithm"]
        curve = CURVES.get(algorithm)
        self.own_key = (
            ec.generate_private_key(curve()) if curve else rsa.generate_private_key(65537, int(algorithm.rpartition("_")[2]))
        )

    CertificateAuthority.__init__ = begin
    CertificateAuthority.key = property(lambda self: self.own_key)
    CertificateAuthority.issue_by_template = issue
    requests = Requests()
    # Plain functions: moto finds nothing else.
    ACMPCAResponse.issue_certificate = lambda response: requests.issue(response)
    ACMPCAResponse.get_certificate = lambda response: requests.get(response)
    ACMPCAResponse.get_certificate_authority_certificate = own_certificate


class Requests:
    """IssueCertificate and GetCertificate, with what they remember."""

    def __init__(self):
        self.issuing = threading.Lock()
        self.by_token = {}
        self.there_at = {}

    def issue(self, response):
        asked = json.loads(response.body)
        ca = response.acmpca_backend.describe_certificate_authority(asked["CertificateAuthorityArn"])
        token = (ca.arn, asked.get("IdempotencyToken"))
        if len(token[1] or "") > 36:
            raise Refusal("ValidationException", "idempotencyToken: at most 36 characters")
        # One at a time: a retry beside the first request must not issue twice.
        with self.issuing:
            arn, csr, since = self.by_token.get(token, (None, None, 0))
            if token[1] and arn and time.monotonic() - since < TOKEN_LIFE:
                if csr != asked["Csr"]:
                    # What AWS does then is not written anywhere: nobody may rely on it.
                    chaos.count_misused_token()
                    raise Refusal("InvalidArgsException", "the token was used with another request")
                return json.dumps({"CertificateArn": arn})
            arn = ca.issue_by_template(
                base64.b64decode(asked["Csr"]), asked.get("TemplateArn"), asked["SigningAlgorithm"], asked["Validity"]
            )
            self.by_token[token] = (arn, asked["Csr"], time.monotonic())
        self.there_at[arn] = time.monotonic() + chaos.knob("in_progress_ms") / 1000
        chaos.count_issued()
        return json.dumps({"CertificateArn": arn})

    def get(self, response):
        asked = json.loads(response.body)
        ca = response.acmpca_backend.describe_certificate_authority(asked["CertificateAuthorityArn"])
        arn = asked["CertificateArn"]
        if arn not in ca.issued_certificates:
            raise Refusal("ResourceNotFoundException", f"Could not find certificate {arn}")
        if time.monotonic() < self.there_at[arn]:
            raise Refusal("RequestInProgressException", f"The request to issue {arn} is in progress")
        certificate, chain = given(ca, ca.issued_certificates[arn], chain_of(ca))
        # Without a newline at the end, as AWS writes them.
        return json.dumps({"Certificate": certificate.decode().strip(), "CertificateChain": chain.decode().strip()})


def own_certificate(response):
    asked = json.loads(response.body)
    ca = response.acmpca_backend.describe_certificate_authority(asked["CertificateAuthorityArn"])
    if ca.status != "ACTIVE":
        raise Refusal("InvalidStateException", f"The certificate authority {ca.arn} is not in the correct state")
    answer = {"Certificate": ca.certificate_bytes.decode().strip()}
    if ca.certificate_chain:
        answer["CertificateChain"] = ca.certificate_chain.decode().strip()
    return json.dumps(answer)


def issue(ca, csr_pem, template, signing, validity):
    """Issues by a template, and gives the certificate's ARN."""
    name = (template or "").partition(":template/")[2].removesuffix("/V1")
    is_root = name == "RootCACertificate"
    if ca.status != "ACTIVE" and not is_root:
        raise Refusal("InvalidStateException", f"The certificate authority {ca.arn} is not in the correct state")
    csr = read(csr_pem)
    if name not in LEAVES and name not in AUTHORITIES:
        raise Refusal("InvalidArgsException", f"unknown template {template}")
    if ("ECDSA" in signing) != isinstance(ca.key, ec.EllipticCurvePrivateKey):
        raise Refusal("InvalidArgsException", "the signing algorithm is not of the family of the authority's key")
    begin = chaos.now()
    end = end_of(validity, begin)
    bound(ca, is_root, begin, end)
    certificate = build(ca, name, csr.subject, csr.public_key(), wanted_names(csr), (begin - SET_BACK, end), signing)
    arn = f"{ca.arn}/certificate/{certificate.serial_number:032x}"
    ca.issued_certificates[arn] = pem(certificate)
    return arn


def read(csr_pem):
    try:
        csr = x509.load_pem_x509_csr(csr_pem)
    except ValueError:
        raise Refusal("MalformedCSRException", "the request cannot be read")
    if not csr.is_signature_valid:
        raise Refusal("MalformedCSRException", "the request's signature is not its key's")
    return csr


def end_of(validity, begin):
    kind, value = validity["Type"], int(validity["Value"])
    if kind == "ABSOLUTE":
        return dt.datetime.fromtimestamp(value, dt.timezone.utc)
    if kind == "DAYS" and value >= 1:
        return begin + dt.timedelta(days=value)
    raise Refusal("ValidationException", f"validity {kind} {value} is not one that tests use")


def bound(ca, is_root, begin, end):
    if end <= begin:
        raise Refusal("ValidationException", "the validity ends in the past")
    if is_root:
        return
    if ca.usage_mode == "SHORT_LIVED_CERTIFICATE" and end - begin > SHORT_LIVED_AT_MOST:
        raise Refusal("ValidationException", "the validity is longer than seven days, and the authority is for short lives")
    if end > ca.certificate.not_valid_after_utc:
        raise Refusal("ValidationException", "the validity ends after the authority's own")


def wanted_names(csr):
    """What the template takes from the request; all else in it is ignored."""
    try:
        return csr.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    except x509.ExtensionNotFound:
        return None


def build(ca, name, subject, key, names, life, signing):
    is_root, is_ca = name == "RootCACertificate", name in AUTHORITIES
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject if is_root else ca.certificate.subject)
    builder = builder.public_key(key).serial_number(x509.random_serial_number()).not_valid_before(life[0]).not_valid_after(life[1])
    builder = builder.add_extension(x509.BasicConstraints(is_ca, AUTHORITIES.get(name)), critical=True)
    if is_ca:
        builder = builder.add_extension(usage(digital_signature=True, key_cert_sign=True, crl_sign=True), critical=True)
    elif LEAVES[name]:
        builder = builder.add_extension(usage(digital_signature=True, key_encipherment=True), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage(LEAVES[name]), critical=False)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    if not is_root:
        issuer = ca.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer), critical=False)
    if names is not None:
        builder = builder.add_extension(names.value, names.critical)
    return builder.sign(ca.key, HASHES[signing[:6]]())


def usage(**on):
    names = "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign crl_sign encipher_only decipher_only"
    return x509.KeyUsage(**{name: on.get(name, False) for name in names.split()})


def chain_of(ca):
    """The issuer first, up to the root."""
    return ca.certificate_bytes + (ca.certificate_chain or b"")


def given(ca, certificate, chain):
    """What is handed out: what was issued, or what the knob `give` says."""
    fault = chaos.knob("give")
    if fault == "broken_chain":
        return certificate, b""
    if not fault:
        return certificate, chain
    leaf = x509.load_pem_x509_certificate(certificate)
    key = ec.generate_private_key(ec.SECP256R1()).public_key() if fault == "other_key" else leaf.public_key()
    now = chaos.now()
    end = now - dt.timedelta(seconds=5) if fault == "expired" else leaf.not_valid_after_utc
    names = leaf.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    signing = ca.certificate_authority_configuration["SigningAlgorithm"]
    return pem(build(ca, "EndEntityCertificate", leaf.subject, key, names, (now - SET_BACK, end), signing)), chain


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)
