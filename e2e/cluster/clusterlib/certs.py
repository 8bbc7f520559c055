"""Certificates of one cluster, made with openssl: one authority, one certificate per identity."""

from .run import run

_CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
_DAYS = "365"


def make_authority(pki):
    """Make ca.crt and ca.key, and the key pair that signs service account tokens."""
    _request(pki, "ca", ["CN=gobuildenv-cluster-ca"], [
        "basicConstraints=critical,CA:TRUE",
        "keyUsage=critical,digitalSignature,keyCertSign,cRLSign",
        "subjectKeyIdentifier=hash",
    ], signed=False)
    run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048",
         "-out", pki / "sa.key"])
    run(["openssl", "pkey", "-in", pki / "sa.key", "-pubout", "-out", pki / "sa.pub"])


def make_client(pki, name, user, groups=()):
    """Make <name>.crt and <name>.key for a user of the API server and the groups it is in."""
    _request(pki, name, [*(f"O={group}" for group in groups), f"CN={user}"], [
        "basicConstraints=critical,CA:FALSE",
        "keyUsage=critical,digitalSignature",
        "extendedKeyUsage=clientAuth",
    ])


def make_server(pki, name, hosts, addresses):
    """Make <name>.crt and <name>.key for a server known by these DNS names and IP addresses."""
    names = [*(f"DNS:{host}" for host in hosts), *(f"IP:{address}" for address in addresses)]
    _request(pki, name, [f"CN={name}"], [
        "basicConstraints=critical,CA:FALSE",
        "keyUsage=critical,digitalSignature",
        "extendedKeyUsage=serverAuth",
        f"subjectAltName={','.join(names)}",
    ])


def _request(pki, name, subject, extensions, signed=True):
    config = pki / f"{name}.cnf"
    distinguished = "\n".join(
        # A repeated field needs a number in front in openssl's configuration.
        f"{number}.{part}" for number, part in enumerate(subject)
    )
    config.write_text(
        "[req]\nprompt=no\nstring_mask=utf8only\ndistinguished_name=dn\nx509_extensions=ext\n"
        f"[dn]\n{distinguished}\n[ext]\n" + "\n".join(extensions) + "\n"
    )
    authority = ["-CA", pki / "ca.crt", "-CAkey", pki / "ca.key"] if signed else []
    run(["openssl", "req", "-x509", *_CURVE, "-sha256", "-days", _DAYS, "-config", config,
         *authority, "-keyout", pki / f"{name}.key", "-out", pki / f"{name}.crt"])
    config.unlink()
