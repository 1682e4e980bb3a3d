"""Reads an image's signatures in a registry by the rules of `cosign verify --key`, with Python and OpenSSL alone.

usage: cosign_reader.py URL USER:PASSWORD REPOSITORY TAG IDENTITY PUBLIC.pem

Written from cosign's SIGNATURE_SPEC.md and BUNDLE_SPEC.md, sigstore's bundle format and DSSE's protocol, and from what
their Go libraries accept. Prints how many signatures (simple signing, with this identity) and bundles hold for the key;
whatever breaks a rule is an error.
"""
import base64, hashlib, json, subprocess, sys, tempfile, urllib.error, urllib.request

url, login, repository, tag, identity, key = sys.argv[1:]
MANIFEST, INDEX = "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
EMPTY = "sha256:" + hashlib.sha256(b"{}").hexdigest()


def get(path):
    request = urllib.request.Request(f"{url}/v2/{repository}/{path}", headers={
        "Accept": f"{MANIFEST}, {INDEX}", "Authorization": "Basic " + base64.b64encode(login.encode()).decode()})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read()


def blob(descriptor):
    data = get("blobs/" + descriptor["digest"])
    assert len(data) == descriptor["size"], descriptor
    assert "sha256:" + hashlib.sha256(data).hexdigest() == descriptor["digest"], descriptor
    return data


def public_der():
    return subprocess.run(["openssl", "pkey", "-pubin", "-in", key, "-outform", "DER"], check=True,
                          capture_output=True).stdout


def ssh_fingerprint(der):
    """OpenSSH's name of the key, which is what Go's DSSE library compares a key id with, where there is one."""
    def part(data):
        return len(data).to_bytes(4, "big") + data
    if len(der) == 44:  # ed25519: 12 bytes of header, then the key
        data = part(b"ssh-ed25519") + part(der[12:])
    else:  # P-256: the point is the last 65 bytes
        data = part(b"ecdsa-sha2-nistp256") + part(b"nistp256") + part(der[-65:])
    return "SHA256:" + base64.b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")


def holds(message, signature):
    digest = [] if len(public_der()) == 44 else ["-digest", "sha256"]
    with tempfile.NamedTemporaryFile() as text, tempfile.NamedTemporaryFile() as sign:
        text.write(message), text.flush()
        sign.write(signature), sign.flush()
        return subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", key, "-rawin", *digest, "-in",
                               text.name, "-sigfile", sign.name], capture_output=True).returncode == 0


def simple_signatures(digest):
    """The manifest under the tag that the digest makes: a layer a signature."""
    good = 0
    manifest = json.loads(get("manifests/" + digest.replace(":", "-") + ".sig"))
    assert manifest["mediaType"] == MANIFEST and manifest["schemaVersion"] == 2, manifest
    blob(manifest["config"])
    for layer in manifest["layers"]:
        assert layer["mediaType"] == "application/vnd.dev.cosign.simplesigning.v1+json", layer
        payload = blob(layer)
        claims = json.loads(payload)
        assert set(claims) == {"critical", "optional"}, claims
        critical = claims["critical"]
        assert critical["type"] == "cosign container image signature", critical
        assert critical["image"] == {"docker-manifest-digest": digest}, critical
        signature = base64.b64decode(layer["annotations"]["dev.cosignproject.cosign/signature"], validate=True)
        good += holds(payload, signature) and critical["identity"]["docker-reference"] == identity
    return good


def referrers(digest):
    try:
        return json.loads(get("referrers/" + digest))["manifests"]
    except urllib.error.HTTPError as error:  # a registry that does not know the request
        assert error.code == 404, error
        return json.loads(get("manifests/" + digest.replace(":", "-")))["manifests"]


def bundles(digest):
    good, predicates = 0, []
    for referrer in referrers(digest):
        if referrer.get("artifactType") != BUNDLE: continue
        text = get("manifests/" + referrer["digest"])
        assert "sha256:" + hashlib.sha256(text).hexdigest() == referrer["digest"], referrer
        manifest = json.loads(text)
        assert manifest["artifactType"] == BUNDLE and manifest["subject"]["digest"] == digest, manifest
        assert manifest["config"]["mediaType"] == "application/vnd.oci.empty.v1+json", manifest
        assert manifest["config"]["digest"] == EMPTY and len(manifest["layers"]) == 1, manifest
        assert manifest["layers"][0]["mediaType"] == BUNDLE, manifest
        notes = manifest["annotations"]
        assert notes["dev.sigstore.bundle.content"] == "dsse-envelope", notes
        assert referrer.get("annotations") == notes, referrer  # as a registry that knows referrers would list it
        bundle = json.loads(blob(manifest["layers"][0]))
        assert set(bundle) == {"mediaType", "verificationMaterial", "dsseEnvelope"}, bundle
        assert bundle["mediaType"] == BUNDLE and list(bundle["verificationMaterial"]) == ["publicKey"], bundle
        assert isinstance(bundle["verificationMaterial"]["publicKey"]["hint"], str), bundle
        envelope = bundle["dsseEnvelope"]
        assert set(envelope) == {"payload", "payloadType", "signatures"} and len(envelope["signatures"]) == 1, envelope
        assert envelope["payloadType"] == "application/vnd.in-toto+json", envelope
        payload = base64.b64decode(envelope["payload"], validate=True)
        statement = json.loads(payload)
        assert statement["_type"] == "https://in-toto.io/Statement/v1", statement
        assert {"sha256": digest.split(":")[1]} in [s["digest"] for s in statement["subject"]], statement
        assert statement["predicateType"] == notes["dev.sigstore.bundle.predicateType"], statement
        predicates.append(statement["predicateType"])
        kind = envelope["payloadType"].encode()
        signed = envelope["signatures"][0]
        if signed.get("keyid", "") not in ("", ssh_fingerprint(public_der())): continue
        good += holds(b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload),
                      base64.b64decode(signed["sig"], validate=True))
    assert "https://sigstore.dev/cosign/sign/v1" in predicates, predicates
    return good


image = "sha256:" + hashlib.sha256(get("manifests/" + tag)).hexdigest()
print(f"{image}: {simple_signatures(image)} signatures, {bundles(image)} bundles")
