"""Headless Chromium, told what to do by its DevTools protocol over a pipe."""
import base64
import json
import os
import shutil
import subprocess
import tempfile
import time


def installed():
    return shutil.which("chromium")


class Page:
    """A page of a browser of its own. `events` are what the browser told: (method, params)."""

    def __init__(self):
        self.profile = tempfile.TemporaryDirectory()
        to_browser, self.send_to = os.pipe()
        self.receive_from, from_browser = os.pipe()

        def as_three_and_four():
            # Moved away first: one of them may be where the other has to go.
            ends = [os.dup(to_browser), os.dup(from_browser)]
            spare = [os.dup2(end, 100 + i) for i, end in enumerate(ends)]
            for i, end in enumerate(spare):
                os.dup2(end, 3 + i)
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                 "--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe",
                 f"--user-data-dir={self.profile.name}", "about:blank"]
        self.process = subprocess.Popen([installed(), *flags], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, close_fds=False, preexec_fn=as_three_and_four)
        os.close(to_browser)
        os.close(from_browser)
        self.unread, self.number, self.session, self.events = b"", 0, None, []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.ask(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.send_to)
        os.close(self.receive_from)
        for _ in range(50):  # its children may still be writing
            try:
                self.profile.cleanup()
                break
            except OSError:
                time.sleep(0.1)

    def read(self):
        while b"\0" not in self.unread:
            data = os.read(self.receive_from, 1 << 20)
            if not data:
                raise RuntimeError("the browser has ended")
            self.unread += data
        message, _, self.unread = self.unread.partition(b"\0")
        return json.loads(message)

    def ask(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.send_to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.read()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            if "method" in answer:
                self.events.append((answer["method"], answer["params"]))

    def run(self, script):
        """The value of an expression in the page."""
        answer = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def comes_to(self, script, seconds=20):
        end = time.monotonic() + seconds
        while not self.run(script):
            if time.monotonic() > end:
                return False
            time.sleep(0.1)
        return True

    def show(self, url, width, height, phone=False):
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        self.ask("Page.navigate", url=url)

    def picture(self, path):
        """Of the whole page, as a PNG file."""
        data = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"]
        with open(path, "wb") as f:
            f.write(base64.b64decode(data))
