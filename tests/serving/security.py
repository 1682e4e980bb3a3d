#!/usr/bin/env python3
"""TLS, mutual TLS and tokens on both ports, as curl, OpenSSL, Python's ssl and gRPC's client see them.

    tests/serving/security.py --tenon build/tenon --cases shared/cases
"""
import contextlib
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import time

os.environ["GRPC_VERBOSITY"] = "NONE"
import grpc  # noqa: E402

from support import Server, arguments, expect, summary  # noqa: E402

BODY = '{"instances": [2.0]}'
STATUS = ("/tensorflow.serving.ModelService/GetModelStatus", b"\x0a\x03\x0a\x01m")
HEALTH = ("/grpc.health.v1.Health/Check", b"")
LIVE = ("/inference.GRPCInferenceService/ServerLive", b"")


def run(*command, **options):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30, check=False,
                          **options).stdout


class Certificates:
    """An authority, a server and a client that it vouches for, and one that it does not, in `folder`."""

    def __init__(self, folder):
        self.folder = folder
        with open(self.path("names"), "w", encoding="utf-8") as f:
            f.write("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        for authority in ("authority", "stranger"):
            run("openssl", "req", "-x509", *self.new_key(authority), "-days", "2", "-out", self.path(authority + ".crt"))
        for name, authority in (("server", "authority"), ("client", "authority"), ("intruder", "stranger")):
            run("openssl", "req", *self.new_key(name), "-out", self.path(name + ".csr"))
            run("openssl", "x509", "-req", "-in", self.path(name + ".csr"), "-days", "2", "-CAcreateserial", "-CA",
                self.path(authority + ".crt"), "-CAkey", self.path(authority + ".key"), "-extfile", self.path("names"),
                "-out", self.path(name + ".crt"))

    def path(self, name):
        return os.path.join(self.folder, name)

    def new_key(self, name):
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}", "-keyout",
                self.path(name + ".key"))

    def read(self, name):
        with open(self.path(name), "rb") as f:
            return f.read()

    def config(self, name, verify):
        """A text SSLConfig."""
        quoted = {part: self.read(file).decode().replace("\n", "\\n")
                  for part, file in (("server_key", "server.key"), ("server_cert", "server.crt"), ("custom_ca", "authority.crt"))}
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write("".join(f'{part}: "{text}"\n' for part, text in quoted.items()))
            f.write(f"client_verify: {'true' if verify else 'false'}\n")
        return self.path(name)

    def channel(self, client=None):
        return grpc.ssl_channel_credentials(self.read("authority.crt"), *([self.read(client + ".key"), self.read(client + ".crt")]
                                                                         if client else []))


def curl(*options, port, path="/v1/models/m:predict", scheme="https", body=None):
    """HTTP's version and status with the body: "2 200 ..."; curl's own code where there is no answer."""
    done = subprocess.run(["curl", "-sS", "--max-time", "10", "-w", "\n%{http_version} %{http_code}", *options,
                           f"{scheme}://127.0.0.1:{port}{path}"], input=body, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, check=False)
    if done.returncode != 0:
        return f"curl {done.returncode}"
    text, _, version = done.stdout.rpartition("\n")
    return f"{version} {text}"


def call(channel, method, token=None, timeout=10):
    path, request = method
    metadata = [("authorization", token)] if token else []
    try:
        return channel.unary_unary(path)(request, metadata=metadata, timeout=timeout, wait_for_ready=True) and "OK"
    except grpc.RpcError as error:
        return error.code().name


def alpn(certificates, port, offered):
    """What Python's ssl agrees on with the server; "refused" where they cannot."""
    context = ssl.create_default_context(cafile=certificates.path("authority.crt"))
    context.load_cert_chain(certificates.path("client.crt"), certificates.path("client.key"))
    context.set_alpn_protocols(offered)
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as plain:
            with context.wrap_socket(plain, server_hostname="localhost") as connection:
                return connection.selected_alpn_protocol()
    except ssl.SSLError:
        return "refused"


def half_closed(certificates, port, count):
    """What is answered, up to the server's end, to a client that ends its side of TLS, not of the socket, behind so many requests."""
    context = ssl.create_default_context(cafile=certificates.path("authority.crt"))
    context.load_cert_chain(certificates.path("client.crt"), certificates.path("client.key"))
    received, sent, got = ssl.MemoryBIO(), ssl.MemoryBIO(), b""
    tls = context.wrap_bio(received, sent, server_hostname="localhost")
    with socket.create_connection(("127.0.0.1", port), 10) as plain:
        plain.settimeout(10)

        def until_done(act, *arguments):
            while True:
                try:
                    return act(*arguments)
                except ssl.SSLWantReadError:
                    plain.sendall(sent.read())
                    if piece := plain.recv(1 << 16):
                        received.write(piece)
                    else:
                        received.write_eof()
        until_done(tls.do_handshake)
        tls.write(f"POST /v1/models/m:predict HTTP/1.1\r\nHost: h\r\nContent-Length: {len(BODY)}\r\n\r\n{BODY}".encode() * count)
        try:
            tls.unwrap()
        except ssl.SSLWantReadError:
            plain.sendall(sent.read())
        with contextlib.suppress(ssl.SSLZeroReturnError):
            while piece := until_done(tls.read, 1 << 16):
                got += piece
    return got


def mutual_tls(program, models, certificates):
    config = certificates.config("mutual", True)
    with Server(program, f"--model_base_path={models}/half_plus_two", "--model_name=m", f"--ssl_config_file={config}",
                f"--rest_api_ssl_config_file={config}", grpc=True) as server:
        known = ("--cacert", certificates.path("authority.crt"), "--cert", certificates.path("client.crt"), "--key",
                 certificates.path("client.key"))
        ask = lambda *options: curl(*options, "-d", BODY, port=server.port)
        expect("curl speaks HTTP/2 over TLS",
               server.comes_to(lambda: ask(*known, "--http2")[:5], "2 200"), server)
        answer = ask(*known, "--http1.1")
        expect(f"and HTTP/1.1: {answer}", answer.startswith("1.1 200") and "3.0" in answer)
        expect("a client without certificate is refused", ask(*known[:2]).startswith("curl "))
        expect("one of another authority, too", ask(*known[:2], "--cert", certificates.path("intruder.crt"), "--key",
                                                    certificates.path("intruder.key")).startswith("curl "))
        expect("the server is who it says", ask(*known[2:]) == "curl 60")
        expect("plain HTTP is not spoken", curl("-d", BODY, port=server.port, scheme="http").startswith("curl "))
        for offered, want in ((["h2", "http/1.1"], "h2"), (["http/1.1", "h2"], "h2"), (["http/1.1"], "http/1.1"),
                              (["spdy/1"], "refused"), ([], None)):
            got = alpn(certificates, server.port, offered)
            expect(f"ALPN {offered} on the REST port: {got}", got == want)
        for count in (1, 5):
            got = half_closed(certificates, server.port, count)
            expect(f"{count} requests before the end of a client's side are answered: {got[-200:]}", got.count(b"200 OK") == count)
        expect("TLS 1.1 is refused", "Cipher is (NONE)" in run(
            "openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-tls1_1", "-cipher", "ALL@SECLEVEL=0",
            stdin=subprocess.DEVNULL))
        with grpc.secure_channel(f"localhost:{server.grpc_port}", certificates.channel("client")) as channel:
            expect("gRPC's client is answered", call(channel, STATUS) == "OK", server)
        with grpc.secure_channel(f"localhost:{server.grpc_port}", certificates.channel()) as channel:
            expect("and not without certificate", call(channel, STATUS, timeout=1) in ("UNAVAILABLE", "DEADLINE_EXCEEDED"))
        expect("it stops", server.stops() == 0, server)


def tokens(program, models, certificates):
    """Of two tokens each is good; wrong ones are told so; probes need none; a new file replaces them."""
    path = certificates.path("tokens")

    def write(text):
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)

    write("first-token\r\n\n  second.Token~+/==  \n")
    with Server(program, f"--model_base_path={models}/half_plus_two", "--model_name=m", f"--auth_token_file={path}",
                f"--ssl_config_file={certificates.config('plain', False)}", "--enable_grpc_healthcheck_service",
                "--rest_api_enable_cors_support", "--access_log", grpc=True) as server:
        expect("probes need no token", server.comes_to(lambda: server.get("/readyz")[0], 200), server)
        for probe in ("/healthz", "/v2/health/live", "/v2/health/ready"):
            expect(f"{probe} is open", server.get(probe)[0] == 200)

        def status(*options, path="/v1/models/m:predict", body=BODY):
            data = ("-d", "@-") if body else ()
            return curl("-i", *data, *options, port=server.port, path=path, scheme="http", body=body)

        bearer = lambda token: ("--oauth2-bearer", token)
        for version in ("--http1.1", "--http2-prior-knowledge"):
            number = "1.1" if version == "--http1.1" else "2"
            for token in ("first-token", "second.Token~+/=="):
                expect(f"{version} {token}", status(version, *bearer(token)).startswith(f"{number} 200"), server)
            none, wrong = status(version).lower(), status(version, *bearer("first-toke")).lower()
            expect(f"{version} without a token: {none!r}", none.startswith(f"{number} 401")
                   and "www-authenticate: bearer\n" in none and '"error"' in none)
            expect(f"{version} with a wrong one", wrong.startswith(f"{number} 401")
                   and 'www-authenticate: bearer error="invalid_token"\n' in wrong)
            expect(f"{version} a long body is not taken",
                   status(version, "-H", "Content-Encoding: gzip", body="x" * (1 << 20)).startswith(f"{number} 401"))
        for other in ("Basic Zmlyc3QtdG9rZW46", "Bearer", "Bearer ", "first-token", "Bearer first-token, second"):
            expect(f"'{other}' is none", status("-H", f"Authorization: {other}").startswith("1.1 401"))
        expect("the scheme's case does not matter",
               status("-H", "Authorization: bEARER   first-token").startswith("1.1 200"))
        for closed in ("/", "/status.json", "/v2", "/v1/models/m", "/v2/models/m/ready", "/nowhere"):
            expect(f"{closed} is not open", status(path=closed, body="").startswith("1.1 401"))
        preflight = status("-X", "OPTIONS", "-H", "Origin: https://elsewhere", body="")
        expect("another origin may ask with a token", preflight.startswith("1.1 200")
               and "Access-Control-Allow-Headers: Content-Type, Authorization" in preflight)
        expect("refusals are in the access log", "access: REST POST /v1/models/m:predict 401" in server.text(), server)

        credentials = certificates.channel()
        with grpc.secure_channel(f"localhost:{server.grpc_port}", credentials) as channel:
            expect("gRPC's health needs no token", call(channel, HEALTH) == "OK", server)
            expect("nor does ServerLive", call(channel, LIVE) == "OK")
            expect("calls do", call(channel, STATUS) == "UNAUTHENTICATED")
            expect("and not any", call(channel, STATUS, "Bearer third") == "UNAUTHENTICATED")
            expect("one is good", call(channel, STATUS, "Bearer first-token") == "OK")
        composite = grpc.composite_channel_credentials(credentials, grpc.access_token_call_credentials("first-token"))
        with grpc.secure_channel(f"localhost:{server.grpc_port}", composite) as channel:
            expect("gRPC's own token credentials are good", call(channel, STATUS) == "OK")

        old, new = bearer("first-token"), bearer("third")
        write("third\n")
        expect("a new file is read", server.comes_to(lambda: status(*new)[:7], "1.1 200"), server)
        expect("its tokens replace the old ones", status(*old).startswith("1.1 401"))
        write("\n")
        expect("an empty one is told of", server.comes_to(lambda: "holds no token" in server.text(), True), server)
        os.remove(path)
        time.sleep(1.2)
        expect("and changes nothing", status(*new).startswith("1.1 200") and status(*old).startswith("1.1 401"))
        expect("no token is in the log", not any(t in server.text() for t in ("first-token", "third", "second.Token")))
    for text, why in (("\n", "holds no token"), ("two words\n", "line 1 is no token"), (None, "auth_token_file")):
        if text is not None:
            write(text)
        elif os.path.exists(path):
            os.remove(path)
        with Server(program, f"--model_base_path={models}/half_plus_two", f"--auth_token_file={path}") as server:
            expect(f"{text!r} ends the program", server.process.wait(20) == 1 and why in server.text(), server)


def main():
    program, models = arguments(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        certificates = Certificates(folder)
        mutual_tls(program, models, certificates)
        tokens(program, models, certificates)
    return summary()


if __name__ == "__main__":
    sys.exit(main())
