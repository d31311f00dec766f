"""A certificate authority for this machine only.

The three systems speak HTTPS as the real ones do, so that the product's TLS settings (CA file, host names, HTTP
reuse) are exercised. The authority's certificate is written to the state folder; whoever trusts that file trusts the
sandbox. The authority is kept between starts, so that a client that loaded the file stays right after a restart.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class TlsFiles:
    """Where the certificates lie: `ca_file` for clients, `certificate` and `private_key` for the servers."""

    ca_file: Path
    certificate: Path
    private_key: Path

    def server_context(self) -> ssl.SSLContext:
        """TLS settings of a server, offering HTTP/1.1."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.private_key)
        context.set_alpn_protocols(["http/1.1"])
        return context

    def client_context(self) -> ssl.SSLContext:
        """TLS settings of a client that trusts this authority and nothing else."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cafile=self.ca_file)
        return context


def prepare(state_dir: Path, host: str) -> TlsFiles:
    """Make the authority and a server certificate in `state_dir`, or take those that are there.

    Args:
        state_dir: folder of the sandbox's state; made when absent. The server's key is readable by its owner only.
        host: address the servers listen on; `localhost`, 127.0.0.1 and ::1 are always covered.

    Returns:
        The paths of `ca.pem`, the server's certificate chain and its key.
    """
    state_dir.mkdir(parents=True, exist_ok=True)
    files = TlsFiles(state_dir / "ca.pem", state_dir / f"server-{host}.pem", state_dir / f"server-{host}.key")
    if all(path.exists() for path in (files.ca_file, files.certificate, files.private_key)):
        return files
    authority = trustme.CA(organization_name="Quote to Cash sandbox")
    names = dict.fromkeys(["localhost", "127.0.0.1", "::1", host])
    names.pop("0.0.0.0", None)  # noqa: S104  # taken away
    server = authority.issue_cert(*names, common_name="Quote to Cash sandbox")
    files.private_key.touch(mode=0o600)
    server.private_key_pem.write_to_path(str(files.private_key))
    files.certificate.unlink(missing_ok=True)
    for blob in server.cert_chain_pems:
        blob.write_to_path(str(files.certificate), append=True)
    authority.cert_pem.write_to_path(str(files.ca_file))
    return files
