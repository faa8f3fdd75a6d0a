"""Verifies a package with signify, which shares nothing with what signed it.

    signatures.py CERTIFICATE CATALOGUE IMAGE FLAT-FILE...

Every file must be in the catalogue with its hash, the catalogue signed with the
certificate, and the image have a signature of its own as well. Prints the hashes
that signify computed, one `name sha256 sha1` a line: Windows looks files up by either.
"""

import hashlib
import pathlib
import re
import sys


def import_oscrypto():
    """Imports oscrypto 1.3.0, which signify builds on, beside any OpenSSL.

    Its pattern for OpenSSL's version has one digit where 3.0.19 has two, and then it
    refuses to be imported.
    """
    search = re.search
    one_digit, digits = r"(\d\.\d\.\d[a-z]*)", r"(\d+\.\d+\.\d+[a-z]*)"

    def patient_search(pattern, *arguments, **options):
        if isinstance(pattern, str):
            pattern = pattern.replace(one_digit, digits)
        return search(pattern, *arguments, **options)

    re.search = patient_search
    try:
        import oscrypto.asymmetric  # noqa: F401
    finally:
        re.search = search


import_oscrypto()

from signify.authenticode import AuthenticodeFile  # noqa: E402
from signify.x509 import Certificate, CertificateStore  # noqa: E402


def verify(path, types, catalogue, trusted):
    """The hashes of the file at `path`, every signature of whose `types` holds."""
    with path.open("rb") as stream:
        file = AuthenticodeFile.from_stream(stream, path.name, allow_flat=True)
        with catalogue.open("rb") as content:
            file.add_catalog(content)
        verified = file.verify(
            multi_verify_mode="all",
            signature_types=types,
            ignore_parse_errors=False,
            trusted_certificate_store=trusted,
        )
        if not verified:
            raise SystemExit(f"{path.name}: nothing was verified")
        algorithms = (hashlib.sha256, hashlib.sha1)
        return [file.get_fingerprint(algorithm).hex() for algorithm in algorithms]


def main():
    certificate, catalogue, image, *flat_files = map(pathlib.Path, sys.argv[1:])
    trusted = CertificateStore(
        [Certificate.from_pem(certificate.read_bytes())], trusted=True
    )
    for path, types in [
        (image, "embedded"),
        (image, "catalog+"),
        *((path, "catalog+") for path in flat_files),
    ]:
        print(path.name, *verify(path, types, catalogue, trusted))


main()
