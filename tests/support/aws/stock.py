"""Moto as it is, with nothing of ours over it, and a root made through its API: prints "READY <port> <its ARN> <its certificate, PEM in Base64>"
and serves until it is killed.

Unlike AWS it takes signatures without looking at them, gives every certificate 365 days, and has only RSA keys.
"""
import base64
import threading

import boto3
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
port = server.get_host_and_port()[1]
client = boto3.client(
    "acm-pca",
    region_name="eu-central-1",
    endpoint_url=f"http://127.0.0.1:{port}",
    aws_access_key_id="test",
    aws_secret_access_key="test",
)
arn = client.create_certificate_authority(
    CertificateAuthorityConfiguration={
        "KeyAlgorithm": "RSA_2048",
        "SigningAlgorithm": "SHA256WITHRSA",
        "Subject": {"Organization": "Countersign", "CommonName": "stock root"},
    },
    CertificateAuthorityType="ROOT",
)["CertificateAuthorityArn"]
request = client.get_certificate_authority_csr(CertificateAuthorityArn=arn)["Csr"]
issued = client.issue_certificate(
    CertificateAuthorityArn=arn,
    Csr=request.encode(),
    SigningAlgorithm="SHA256WITHRSA",
    TemplateArn="arn:aws:acm-pca:::template/RootCACertificate/V1",
    Validity={"Type": "DAYS", "Value": 3650},
)["CertificateArn"]
own = client.get_certificate(CertificateAuthorityArn=arn, CertificateArn=issued)["Certificate"]
client.import_certificate_authority_certificate(CertificateAuthorityArn=arn, Certificate=own.encode())
print(f"READY {port} {arn} {base64.b64encode(own.encode()).decode()}", flush=True)
threading.Event().wait()
