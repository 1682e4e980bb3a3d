#!/usr/bin/env python3
"""Models in archives of a web server: fetched, unpacked, cached, followed; hostile ones refused.

    tests/serving/archives.py --tenon build/tenon --cases shared/cases
"""
import gzip
import hashlib
import http.server
import io
import os
import signal
import socket
import sys
import tarfile
import tempfile
import threading
import time
import zipfile

from support import Server, arguments, expect, summary

DATES = {"one": "Tue, 15 Nov 1994 12:45:26 GMT", "two": "Wed, 16 Nov 1994 12:45:26 GMT"}
NUMBERS = {"one": 784903526, "two": 784989926}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer(False)

    def do_GET(self):
        self.answer(True)

    def answer(self, whole):
        self.server.asked.append((self.command, self.path))
        name = self.path.partition("?")[0]
        body, headers = self.server.files.get(name, (None, {}))
        if name in self.server.silent:
            time.sleep(60)
        if whole and name in self.server.stalling:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[:len(body) // 2])
            time.sleep(60)
        if whole and name in self.server.broken:
            self.server.broken.discard(name)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[:len(body) // 2])
            self.close_connection = True
            return
        if not whole and "signed" in self.path:
            status, body = 403, b""
        elif body is None:
            status, body = 404, b""
        elif name in self.server.moved:
            status, body, headers = 302, b"", {"Location": self.server.moved[name]}
        else:
            status = 200
        start = int(self.headers.get("Range", "bytes=0-")[len("bytes="):].rstrip("-"))
        self.send_response(206 if start and status == 200 else status)
        for key, value in {**headers, "Content-Length": str(len(body) - start)}.items():
            self.send_header(key, value)
        self.end_headers()
        if whole:
            self.wfile.write(body[start:])


class Site(http.server.ThreadingHTTPServer):
    """files: path to bytes and headers. `broken` are paths whose next transfer breaks in the middle, `silent` those that
    are never answered, `stalling` those that stop in the middle, `moved` those that lead elsewhere."""
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.asked, self.broken, self.silent, self.stalling, self.moved = {}, [], set(), set(), set(), {}
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def fetched(self, path):
        return sum(1 for method, asked in self.asked if method == "GET" and asked.startswith(path))


def tar_of(*entries, kind="gz"):
    """Pairs of a name in the archive and a folder of the disk, or tarfile.TarInfo objects with their bytes."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=f"w:{kind}") as archive:
        for name, what in entries:
            if isinstance(name, tarfile.TarInfo):
                archive.addfile(name, io.BytesIO(what))
            else:
                archive.add(what, name)
    return out.getvalue()


def zip_of(folder, prefix):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for root, _, names in os.walk(folder):
            for name in names:
                path = os.path.join(root, name)
                archive.write(path, os.path.join(prefix, os.path.relpath(path, folder)))
    return out.getvalue()


def info(name, kind=tarfile.REGTYPE, link="", size=0):
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname, entry.size = kind, link, size
    return entry


def flags_of(site, path, cache):
    return ["--model_name=m", f"--model_base_path={site.url}{path}", f"--model_cache_dir={cache}"]


def served_and_followed(program, models, cache):
    two, three = (os.path.join(models, name, "123") for name in ("half_plus_two", "half_plus_three"))
    site = Site()
    site.files["/m.tar.gz"] = (tar_of(("models/7", two)), {"ETag": '"a"'})
    site.broken.add("/m.tar.gz")
    with Server(program, *flags_of(site, "/m.tar.gz", cache)) as server:
        expect("an archive of versions is served", server.comes_to(lambda: server.predict("m"), 3.0), server)
        expect("its versions are those of its folders", '"version": "7"' in server.get("/v1/models/m")[1], server)
        fetched = site.fetched("/m.tar.gz")
        expect("a transfer that broke went on", fetched == 2)
        site.files["/m.tar.gz"] = (tar_of(("models/7", two), ("models/8", three)), {"ETag": '"b"'})
        expect("what is new in it takes over", server.comes_to(lambda: server.predict("m"), 4.0, 30), server)
        expect("it is fetched when it has changed", site.fetched("/m.tar.gz") == fetched + 1)
        site.files["/m.tar.gz"] = (b"no archive at all", {"ETag": '"c"'})
        expect("one that is damaged later is told of",
               server.comes_to(lambda: "Could not find base path" in server.text(), True, 30), server)
        expect("and changes nothing", server.predict("m") == 4.0, server)
        expect("it ends", server.stops() == 0, server)
    site.files["/m.tar.gz"] = (tar_of(("models/7", two), ("models/8", three)), {"ETag": '"b"'})
    with Server(program, *flags_of(site, "/m.tar.gz", cache)) as server:
        fetched = site.fetched("/m.tar.gz")
        expect("a server that starts again serves", server.comes_to(lambda: server.predict("m"), 4.0), server)
        expect("and fetches nothing that it has", site.fetched("/m.tar.gz") == fetched)


def other_forms(program, models):
    """A model by itself, whose version is a time; zip; a URL that answers GET alone; no cache folder."""
    two, three = (os.path.join(models, name, "123") for name in ("half_plus_two", "half_plus_three"))
    site = Site()
    site.files["/m.zip"] = (zip_of(two, "model"), {"Last-Modified": DATES["one"]})
    site.files["/plain"] = (tar_of((".", two), kind=""), {})
    site.files["/xz"] = (tar_of(("1", three), (info("__MACOSX/x"), b""), (info("._1"), b""), kind="xz"), {})
    site.files["/both"] = (zip_of(two, "00002"), {"ETag": '"z"'})
    site.files["/moved"] = (b"", {})
    site.moved["/moved"] = "/both"
    digest = "#sha256=" + hashlib.sha256(site.files["/both"][0]).hexdigest()
    with tempfile.TemporaryDirectory() as temporary, \
            Server(program, "--model_name=m", f"--model_base_path={site.url}/m.zip",
                   env={"TMPDIR": temporary}) as server:
        expect("a zip of one model is served", server.comes_to(lambda: server.predict("m"), 3.0), server)
        expect("its version is the time of the archive",
               f'"version": "{NUMBERS["one"]}"' in server.get("/v1/models/m")[1], server)
        site.files["/m.zip"] = (zip_of(three, "model"), {"Last-Modified": DATES["two"]})
        expect("a later archive takes over", server.comes_to(lambda: server.predict("m"), 4.0, 30), server)
        copies = os.path.join(temporary, os.listdir(temporary)[0])
        expect("the copy before is gone", server.comes_to(lambda: len(os.listdir(copies)), 1), server)
        expect("it ends", server.stops() == 0, server)
        expect("no copy stays", not os.listdir(temporary))
    for path, answer, version in (("/plain?signed=secret", 3.0, 1), ("/xz", 4.0, 1), ("/moved" + digest, 3.0, 2)):
        with Server(program, "--model_name=m", f"--model_base_path={site.url}{path}") as server:
            expect(f"{path} is served", server.comes_to(lambda want=answer: server.predict("m"), answer), server)
            expect("with its version", f'"version": "{version}"' in server.get("/v1/models/m")[1], server)
            expect("no query is in the log", "secret" not in server.text(), server)


def refused(program, models, cache):
    """Nothing of a hostile archive is served, and nothing leaves the folder."""
    two = os.path.join(models, "half_plus_two", "123")
    good = tar_of(("1", two))
    outside = os.path.join(cache, "..", "outside")
    hostile = {
        "a path that leaves the folder": (tar_of(("1", two), (info("../outside"), b"")), "outside"),
        "an absolute path": (tar_of((info("/tmp/tenon_outside"), b"")), "tenon_outside"),
        "a symbolic link": (tar_of(("1", two), (info("1/assets", tarfile.SYMTYPE, "/etc"), b"")), "neither a file"),
        "a hard link": (tar_of(("1", two), (info("1/passwd", tarfile.LNKTYPE, "1/saved_model.pb"), b"")),
                        "neither a file"),
        "a device": (tar_of((info("1/null", tarfile.CHRTYPE), b"")), "neither a file"),
        "a bomb of tar": (gzip.compress(info("1/zeros", size=3 << 30).tobuf() + bytes(1 << 20)),
                          "more than an archive may"),
        "a bomb of zip": (lying_zip((2 << 30) - 1), "more than"),
        "a zip whose member is longer than it says": (lying_zip(9), "archive"),
        "many entries": (gzip.compress(info("1", tarfile.DIRTYPE).tobuf() * 100_001), "100000 entries"),
        "a file twice": (tar_of((info("1/a"), b""), (info("1/a"), b"")), "twice"),
        "half an archive": (good[:500], "archive"),
        "half a file": (gzip.compress(gzip.decompress(good)[:3000]), "archive"),
        "a wrong checksum": (good[:-8] + bytes([good[-8] ^ 1]) + good[-7:], "archive"),
        "no archive": (b"<html>sign in</html>" * 100, "archive"),
        "nothing to serve": (tar_of((info("README"), b"")), "neither a SavedModel"),
    }
    site = Site()
    digest = "#sha256=" + "0" * 64
    hostile["another digest"] = (good, "expected 0000")
    names = [f"h{i}" for i in range(len(hostile))]
    for name, (data, _) in zip(names, hostile.values()):
        site.files[f"/{name}"] = (data, {"ETag": f'"{name}"'})
    site.files["/good"] = (tar_of(("1", two)), {"ETag": '"good"'})
    path = os.path.join(cache, "models.config")
    with open(path, "w", encoding="utf-8") as f:
        f.write("model_config_list {" + "".join(
            f'config {{ name: "{name}" base_path: "{site.url}/{name}{digest if name == names[-1] else ""}" '
            'model_platform: "tensorflow" }' for name in [*names, "good"]) + "}")
    with Server(program, f"--model_config_file={path}", f"--model_cache_dir={cache}/copies") as server:
        expect("what is good is served", server.comes_to(lambda: server.predict("good"), 3.0, 60), server)
        for name, (what, (_, why)) in zip(names, hostile.items()):
            def said(name=name):
                return next((line for line in server.text().splitlines() if f"/{name} for servable" in line and
                             "being fetched" not in line), "")
            server.comes_to(lambda said=said: said() != "", True, 60)
            line = said()
            expect(f"{what} is refused: {line[-160:]}", why in line)
            expect("and not served", server.predict(name) == 404)
        expect("nothing left the folder", not os.path.exists(outside) and not os.path.exists("/tmp/tenon_outside"))
        expect("what is refused is fetched once", all(site.asked.count(("GET", f"/{name}")) == 1 for name in names))
        expect("nothing of them stays", len(os.listdir(os.path.join(cache, "copies"))) == 1)
        expect("it ends", server.stops() == 0, server)
    for base, why in (("http://models.example/m.tar.gz", "loopback"), ("https://user:word@host/m", "malformed"),
                      ("https://host/m.zip#sha256=12", "hexadecimal"), ("ftp://host/m.tar.gz", "not implemented"),
                      (site.url + "/h0", "outside")):
        with Server(program, "--model_name=m", f"--model_base_path={base}",
                    "--file_system_poll_wait_seconds=0") as server:
            expect(f"{base} ends the program", server.process.wait(20) == 1 and why in server.text(), server)


def slow_sites(program, models, cache):
    """A web server that says nothing holds up neither ports nor other models; SIGTERM ends the wait for it."""
    two = os.path.join(models, "half_plus_two", "123")
    site = Site()
    for path in ("/silent", "/good", "/same"):
        site.files[path] = (tar_of((".", two)), {"ETag": '"a"'})
    site.silent.add("/silent")
    path = os.path.join(cache, "models.config")
    with open(path, "w", encoding="utf-8") as f:
        f.write("model_config_list {" + "".join(
            f'config {{ name: "{name}" base_path: "{site.url}/{name}" model_platform: "tensorflow" }}'
            for name in ("silent", "good")) + "}")
    with Server(program, f"--model_config_file={path}") as server:
        expect("others are served beside a silent site", server.comes_to(lambda: server.predict("good"), 3.0), server)
        expect("it is not ready", server.get("/readyz")[0] == 503, server)
        expect("the log says why", "/silent for servable silent with error it is being" in server.text(), server)
        site.files["/good"] = (tar_of((".", os.path.join(models, "half_plus_three", "123"))), {"ETag": '"b"'})
        expect("a changed archive without a time takes over",
               server.comes_to(lambda: server.predict("good"), 4.0, 30), server)
        expect("under the next version", '"version": "2"' in server.get("/v1/models/good")[1], server)
        expect("SIGTERM ends it, and what is fetched", ends(server), server)


def ends(server):
    """Long before the time in which a server that says nothing is given up, 15 s."""
    start = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    return server.process.wait(30) == 0 and time.monotonic() - start < 5


def stalled(program, models, cache):
    """SIGTERM ends the wait for a server that accepts and never says a word, for a transfer that stops in the middle, and
    for what neither accepts nor refuses."""
    two = os.path.join(models, "half_plus_two", "123")
    env = {"AWS_ACCESS_KEY_ID": "reader", "AWS_SECRET_ACCESS_KEY": "word", "AWS_WEB_IDENTITY_TOKEN_FILE": ""}
    site = Site()
    site.files["/half"] = (tar_of(("1", two)), {"ETag": '"a"'})
    site.stalling.add("/half")
    silent, full = socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0), backlog=0)
    waiting = [socket.socket() for _ in range(4)]  # in whose crowd the next one hears nothing
    for one in waiting:
        one.setblocking(False)
        one.connect_ex(full.getsockname())
    path = os.path.join(cache, "models.config")
    with silent, full:
        mute, deaf = (f"127.0.0.1:{one.getsockname()[1]}" for one in (silent, full))
        endpoint = "--s3_endpoint="
        for poll, base, *flags in ((0, f"https://{mute}/m.tar.gz"), (1, f"https://{mute}/m.tar.gz"),
                                   (1, "s3://models/m", f"{endpoint}https://{mute}"),
                                   (0, "s3://models/m", f"{endpoint}http://{mute}"),
                                   (1, "s3://models/m", f"{endpoint}http://{deaf}"), (0, f"http://{deaf}/m.zip"),
                                   (1, f"{site.url}/half")):
            with open(path, "w", encoding="utf-8") as f:
                f.write(f'model_config_list {{ config {{ name: "m" base_path: "{base}" model_platform: "tensorflow" }} }}')
            with Server(program, f"--model_config_file={path}", f"--file_system_poll_wait_seconds={poll}", *flags,
                        env=env) as server:
                time.sleep(0.2)
                expect(f"SIGTERM ends it at {base} {flags} polled {poll}", ends(server), server)
    for one in waiting:
        one.close()


def lying_zip(size):
    """A member of 1 MB of which the directory says that it has so many bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("1/a", bytes(1 << 20))
        archive.infolist()[0].file_size = size
    return out.getvalue()


def main():
    program, models = arguments(__doc__)
    with tempfile.TemporaryDirectory() as scratch:
        for name, test in (("followed", served_and_followed), ("refused", refused), ("slow", slow_sites),
                           ("stalled", stalled)):
            cache = os.path.join(scratch, name, "cache")
            os.makedirs(cache)
            test(program, models, cache)
    other_forms(program, models)
    return summary()


if __name__ == "__main__":
    sys.exit(main())
