"""An object store that speaks as much of S3's interface as a reader needs, and checks every signature by itself."""
import hashlib
import hmac
import http.server
import threading
import time
import urllib.parse

SECRETS = {"reader": "s3cr/et+key", "temporary": "of the pod"}
SESSION = "a token == of a session"
PAGE = 2  # objects of a page of a listing


def quoted(text, safe="-_.~"):
    return urllib.parse.quote(text, safe=safe)


def signature(method, path, query, headers, names, scope, secret):
    """Signature Version 4 of what came; `path` as it was sent, `query` decoded."""
    date, region, service, _ = scope.split("/")
    canonical = "\n".join([
        method, path, "&".join(sorted(f"{quoted(k)}={quoted(v)}" for k, v in query)),
        "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in names), ";".join(names),
        headers["x-amz-content-sha256"]])
    text = "\n".join(["AWS4-HMAC-SHA256", headers["x-amz-date"], scope,
                      hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + secret).encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def refuse(self, status, code):
        self.answer(status, f"<Error><Code>{code}</Code><Message>said the store</Message></Error>".encode())

    def signed(self, path, query):
        headers = {name.lower(): value for name, value in self.headers.items()}
        given = headers.get("authorization", "")
        if not given.startswith("AWS4-HMAC-SHA256 "):
            return self.server.public
        parts = dict(part.strip().split("=", 1) for part in given.split(" ", 1)[1].split(","))
        user, scope = parts["Credential"].split("/", 1)
        names = parts["SignedHeaders"].split(";")
        age = abs(time.time() - time.mktime(time.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ")) + time.timezone)
        if {"host", "x-amz-date", "x-amz-content-sha256"} - set(names) or age > 900 or user not in SECRETS:
            return False
        if user == "temporary" and headers.get("x-amz-security-token") != SESSION:
            return False
        return signature(self.command, path, query, headers, names, scope, SECRETS[user]) == parts["Signature"]

    def elsewhere(self):
        """As Amazon refuses a request that is signed for another region than the bucket's."""
        region = self.server.region
        if not region or f"/{region}/s3/aws4_request" in self.headers.get("Authorization", ""):
            return False
        if self.server.redirects:
            self.answer(301, b"<Error><Code>PermanentRedirect</Code><Endpoint>made.up.example</Endpoint></Error>",
                        x_amz_bucket_region=region)
        else:
            self.answer(400, f"<Error><Code>AuthorizationHeaderMalformed</Code><Region>{region}</Region></Error>".encode())
        return True

    def do_GET(self):
        path, _, text = self.path.partition("?")
        if self.elsewhere():
            return None
        query = urllib.parse.parse_qsl(text, keep_blank_values=True)
        if not self.signed(path, query):
            return self.refuse(403, "SignatureDoesNotMatch")
        bucket, _, key = urllib.parse.unquote(path).lstrip("/").partition("/")
        if bucket != "models":
            return self.refuse(404, "NoSuchBucket")
        if not key:
            return self.list(dict(query))
        return self.get(key)

    def list(self, query):
        assert query["list-type"] == "2", query
        self.server.listings += 1
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter")
        entries = []
        for key in sorted(self.server.objects):
            if not key.startswith(prefix):
                continue
            end = key.find(delimiter, len(prefix)) if delimiter else -1
            entry = ("folder", key[:end + 1]) if end >= 0 else ("object", key)
            if entry not in entries:
                entries.append(entry)
        start = int(query.get("continuation-token", "0&<").rstrip("&<"))
        xml = ""
        for kind, key in entries[start:start + PAGE]:
            name = key.replace("&", "&amp;").replace("<", "&lt;")
            if kind == "folder":
                xml += f"<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>"
            else:
                data = self.server.objects[key]
                xml += (f"<Contents><Key>{name}</Key><ETag>&quot;{hashlib.md5(data).hexdigest()}&quot;</ETag>"
                        f"<Size>{len(data)}</Size></Contents>")
        more = start + PAGE < len(entries)
        xml += f"<IsTruncated>{str(more).lower()}</IsTruncated>"
        if more:
            xml += f"<NextContinuationToken>{start + PAGE}&amp;&lt;</NextContinuationToken>"
        self.answer(200, f"<?xml version='1.0'?><ListBucketResult>{xml}</ListBucketResult>".encode())

    def get(self, key):
        data = self.server.objects.get(key)
        if data is None:
            return self.refuse(404, "NoSuchKey")
        if self.headers.get("If-Match", "").strip('"') != hashlib.md5(data).hexdigest():
            return self.refuse(412, "PreconditionFailed")
        start = int(self.headers.get("Range", "bytes=0-")[len("bytes="):].rstrip("-"))
        self.server.gets.append((key, start))
        if key in self.server.broken:
            self.server.broken.discard(key)
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[:len(data) // 2])
            self.close_connection = True
            return None
        return self.answer(206 if start else 200, data[start:])

    def do_POST(self):
        form = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        right = form.get("Action") == "AssumeRoleWithWebIdentity" and form.get("WebIdentityToken") == "of the pod+/=" \
            and form.get("RoleArn") == "arn:aws:iam::1:role/reader"
        if not right:
            return self.refuse(403, "AccessDenied")
        return self.answer(200, ("<Credentials><AccessKeyId>temporary</AccessKeyId><SecretAccessKey>"
                                 f"{SECRETS['temporary']}</SecretAccessKey><SessionToken>{SESSION}</SessionToken>"
                                 "</Credentials>").encode())


class Store(http.server.ThreadingHTTPServer):
    """objects: key to bytes, of the bucket "models". `broken` are keys whose next transfer breaks in the middle. A bucket of a
    `region` says so to who asks in another one: by a redirection where `redirects`, else by an error."""
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.objects, self.gets, self.broken, self.listings, self.public = {}, [], set(), 0, False
        self.region, self.redirects = "", False
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()
