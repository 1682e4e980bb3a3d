#!/usr/bin/env python3
"""The status page in a browser: what it shows, the form that tries a signature, at the width of a desk and of a phone.

    tests/serving/status_page.py --tenon build/tenon --cases shared/cases
"""
import os
import shutil
import sys
import tempfile
import threading
import time

import chromium
from support import Server, arguments, expect, summary

PICTURES = os.path.join("build", "Testing", "status_page")
CARD = "document.querySelectorAll('#models section')[2]"  # of half_plus_two
SIZES = {"desk": (1280, 900, False), "phone": (390, 844, True)}


def config(scratch, models):
    """A model with a label and a version that fails, one of examples, one with a name that is markup."""
    shutil.copytree(os.path.join(models, "half_plus_two"), os.path.join(scratch, "half"))
    os.makedirs(os.path.join(scratch, "half", "124"))
    with open(os.path.join(scratch, "half", "124", "saved_model.pb"), "wb") as f:
        f.write(b"damaged")
    path = os.path.join(scratch, "models.config")
    entry = 'config {{ name: "{}" base_path: "{}" model_platform: "tensorflow" {} }}'
    both = "model_version_policy { all {} } version_labels { key: \"stable\" value: 123 }"
    with open(path, "w", encoding="utf-8") as f:
        f.write("model_config_list {" + entry.format("half_plus_two", os.path.join(scratch, "half"), both)
                + entry.format("examples", os.path.join(models, "examples"), "")
                + entry.format("<b>bold</b>", os.path.join(models, "half_plus_three"), "") + "}")
    return path


def ask_for(server, over):
    """Traffic, a failure among ten."""
    count = 0
    while not over.is_set():
        count += 1
        server.get("/v1/models/half_plus_two:predict", {"instances": [1.0, 2.0] if count % 10 else ["x"]})
        time.sleep(0.02)


def models_are_shown(page, size):
    names = page.run("[...document.querySelectorAll('#models h3')].map((e) => e.textContent)")
    expect(f"{size}: the models are there: {names}", names == ["<b>bold</b>", "examples", "half_plus_two"])
    text = page.run(f"{CARD}.textContent")
    expect(f"{size}: with versions, labels and states", "version 123 AVAILABLE · stable" in text)
    expect(f"{size}: and why a version failed", "version 124 ENDDATA_LOSS: " in text)


def charts_are_drawn(page, size):
    drawn = "[...document.querySelectorAll('#charts path')].filter((p) => /L/.test(p.getAttribute('d'))).length"
    expect(f"{size}: requests, three percentiles, errors and memory are drawn", page.comes_to(f"{drawn} >= 6"))
    scales = page.run("[...document.querySelectorAll('.scale')].map((e) => e.textContent)")
    expect(f"{size}: with their scales: {scales}",
           len(scales) == 5 and all("last 60 s" in scale for scale in scales) and "0 to" in scales[0])
    said = page.run("[...document.querySelectorAll('.chart-head')].map((e) => e.textContent)")
    expect(f"{size}: their last figures are said: {said}",
           said[0] != "Requestsrate 0/s" and "p99" in said[1] and "MiB" in said[4])


def form_answers(page, size):
    text, pre = f"{CARD}.querySelector('textarea').value", f"{CARD}.querySelector('pre').textContent"
    press = f"{CARD}.querySelector('button').click()"
    page.run(f"{CARD}.querySelector('summary').click()")
    expect(f"{size}: a signature is described", page.comes_to(f"{CARD}.querySelectorAll('td').length > 2"))
    page.run(f"{text} = '{{', {press}")
    expect(f"{size}: what is wrong is said", page.comes_to(f"/^400 in /.test({pre})"))
    page.run(f"{text} = JSON.stringify({{instances: [1, 2, 5]}}), {press}")
    answered = page.comes_to(f"/^200 in /.test({pre})")
    expect(f"{size}: and it answers: {page.run(pre)!r}", answered and "4.5" in page.run(pre))


def fits(page, size):
    wide = page.run("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    expect(f"{size}: nothing is wider than the window ({wide} px)", wide <= 0)
    small = page.run("[...document.querySelectorAll('button, select')]"
                     ".filter((e) => e.offsetHeight && e.offsetHeight < 32).length")
    expect(f"{size}: what is pressed is large enough", small == 0)


def look(page, server, size):
    page.events.clear()
    page.show(f"http://127.0.0.1:{server.port}/", *SIZES[size])
    ready = "document.getElementById('ready')?.textContent === 'ready'"
    expect(f"{size}: the server is said to be ready", page.comes_to(ready))
    for part in (models_are_shown, charts_are_drawn, form_answers, fits):
        part(page, size)
    os.makedirs(PICTURES, exist_ok=True)
    picture = os.path.join(PICTURES, f"{size}.png")
    page.picture(picture)
    expect(f"{size}: a picture is kept: {picture}", os.path.getsize(picture) > 10_000)
    asked = [params["request"]["url"] for method, params in page.events if method == "Network.requestWillBeSent"]
    expect(f"{size}: nothing is asked of anybody else",
           asked and all(url.startswith(f"http://127.0.0.1:{server.port}/") for url in asked))
    errors = [params for method, params in page.events if method == "Runtime.exceptionThrown"
              or method == "Log.entryAdded" and params["entry"]["source"] != "network"]
    expect(f"{size}: no script fails: {errors}", not errors)


def stopped(page, server):
    """The page says so when nobody answers."""
    server.process.kill()
    server.process.wait()
    said = "document.getElementById('ready').textContent === 'no answer'"
    expect("a server that is gone is told of", page.comes_to(said))


def main():
    if not chromium.installed():
        print("skipped: chromium is not installed (apt-get install chromium)")
        return 0
    program, models = arguments(__doc__)
    over = threading.Event()
    with tempfile.TemporaryDirectory() as scratch, \
            Server(program, f"--model_config_file={config(scratch, models)}",
                   "--allow_version_labels_for_unavailable_models", "--max_num_load_retries=0") as server:
        expect("it starts", server.comes_to(lambda: server.get("/readyz")[0], 200, 30), server)
        traffic = threading.Thread(target=ask_for, args=(server, over), daemon=True)
        traffic.start()
        try:
            with chromium.Page() as page:
                for size in SIZES:
                    look(page, server, size)
                over.set()
                traffic.join()
                stopped(page, server)
        finally:
            over.set()
    return summary()


if __name__ == "__main__":
    sys.exit(main())
