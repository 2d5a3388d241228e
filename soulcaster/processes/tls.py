"""TLS to a system, from the PEM files that settings name."""

import ssl
from collections.abc import Mapping

from soulcaster.errors import BadInput
from soulcaster.processes.base_settings import read_named


def tls_context(files: Mapping[str, str]) -> ssl.SSLContext:
    """Return the TLS of a client, which trusts nobody without a certificate that is valid for the server's name.

    Args:
        files: by their variables, in this order: the authorities' certificates (empty means those that the machine
            trusts), our own certificate, and its key; each of these two may be empty.

    Raises:
        BadInput: a file cannot be used, or there is a key without a certificate.
    """
    for variable, path in files.items():
        if path:
            read_named(variable, path)
    (authorities, ca_file), (certificate, certificate_file), (key, key_file) = files.items()
    if key_file and not certificate_file:
        raise BadInput(f"{key} is the key of the certificate {certificate}, which is not set.")
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
    except ssl.SSLError as error:
        raise BadInput(f"{authorities} names {ca_file}, which holds no certificate in PEM ({error.reason}).") from error
    if certificate_file:
        try:
            # With a passphrase of its own OpenSSL does not ask for one at the terminal.
            context.load_cert_chain(certificate_file, key_file or None, password="")
        except ssl.SSLError as error:
            named = f"{certificate} and {key} name" if key_file else f"{certificate} names"
            raise BadInput(
                f"{named} no certificate in PEM with its key without a passphrase ({error.reason or error})."
            ) from error
    return context
