#!/usr/bin/env python3
"""Models in object stores: s3:// and gs://, signed, cached, followed.

    tests/serving/object_store.py --tenon build/tenon --cases shared/cases
"""
import os
import sys
import tempfile

from s3_server import SECRETS, Store
from support import Server, arguments, expect, summary

# What the machine that runs this may have in its environment.
NOBODY = {name: "" for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION",
                                "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3",
                                "AWS_ENDPOINT_URL_STS", "AWS_WEB_IDENTITY_TOKEN_FILE")}
READER = {**NOBODY, "AWS_ACCESS_KEY_ID": "reader", "AWS_SECRET_ACCESS_KEY": SECRETS["reader"]}


def upload(store, folder, prefix):
    for root, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(root, name)
            with open(path, "rb") as f:
                store.objects[f"{prefix}/{os.path.relpath(path, folder)}"] = f.read()


def served_and_followed(program, models, cache):
    """A version is fetched, the next one takes over, and what is cached is not fetched again."""
    store = Store()
    upload(store, os.path.join(models, "half_plus_two", "123"), "of & <us>/m/1")
    store.objects["of & <us>/m/1/"] = b""  # as consoles make folders
    store.objects["of & <us>/m/README"] = b"no version"
    variables = next(key for key in store.objects if ".data-" in key)
    store.broken.add(variables)
    flags = ["--model_name=m", "--model_base_path=s3://models/of & <us>/m/", f"--s3_endpoint={store.url}",
             f"--model_cache_dir={cache}"]
    with Server(program, *flags, env=READER) as server:
        expect("a model of an object store is served", server.comes_to(lambda: server.predict("m"), 3.0), server)
        half = len(store.objects[variables]) // 2
        expect("a transfer that broke goes on where it was", (variables, half) in store.gets)
        asked = store.listings
        upload(store, os.path.join(models, "half_plus_three", "123"), "of & <us>/m/2")
        expect("the next version takes over", server.comes_to(lambda: server.predict("m"), 4.0, 30), server)
        expect("the store is not asked all the time", store.listings - asked < 40)
        expect("it ends", server.stops() == 0, server)
    fetched = len(store.gets)
    with Server(program, *flags, env=READER) as server:
        expect("a server that starts again serves", server.comes_to(lambda: server.predict("m"), 4.0), server)
        expect("and fetches nothing that it has", len(store.gets) == fetched)
    with Server(program, *flags, env={**READER, "AWS_SECRET_ACCESS_KEY": "another"}) as server:
        expect("a wrong key is told of",
               server.comes_to(lambda: "SignatureDoesNotMatch said the store" in server.text(), True), server)
        expect("and nothing is served", server.predict("m") == 404)


def others_ways_in(program, models, cache):
    """Google's scheme by the same interface, public objects, a pod's identity."""
    store = Store()
    upload(store, os.path.join(models, "half_plus_two", "123"), "m/7")
    token = os.path.join(cache, "token")
    with open(token, "w", encoding="utf-8") as f:
        f.write("of the pod+/=\n")
    pod = {**NOBODY, "AWS_WEB_IDENTITY_TOKEN_FILE": token, "AWS_ROLE_ARN": "arn:aws:iam::1:role/reader",
           "AWS_ENDPOINT_URL_STS": store.url, "AWS_ENDPOINT_URL_S3": store.url + "/"}
    everything = {**pod, "AWS_ENDPOINT_URL_STS": "", "AWS_ENDPOINT_URL_S3": "", "AWS_ENDPOINT_URL": store.url}
    for what, uri, env in (("gs:// by HMAC keys", "gs://models/m", {**READER, "AWS_ENDPOINT_URL": store.url}),
                           ("a pod's identity", "s3://models/m", pod),
                           ("one endpoint for all services", "s3://models/m", everything)):
        with Server(program, "--model_name=m", f"--model_base_path={uri}", env=env) as server:
            expect(what, server.comes_to(lambda server=server: server.predict("m"), 3.0), server)
    store.region = "eu-central-1"
    for store.redirects in (False, True):
        with Server(program, "--model_name=m", "--model_base_path=s3://models/m", f"--s3_endpoint={store.url}",
                    env={**READER, "AWS_REGION": "us-west-2"}) as server:
            expect("a bucket of another region", server.comes_to(lambda server=server: server.predict("m"), 3.0), server)
    store.region, store.public = "", True
    with Server(program, "--model_name=m", "--model_base_path=s3://models/m", f"--s3_endpoint={store.url}",
                env=NOBODY) as server:
        expect("objects that everybody may read", server.comes_to(lambda: server.predict("m"), 3.0), server)


def hostile(program, models, folder):
    """Keys that would leave the version's folder are refused, and a store that is not there harms nothing."""
    store = Store()
    upload(store, os.path.join(models, "half_plus_two", "123"), "m/1")
    store.objects["m/1/../../../escaped"] = b"x"
    cache = os.path.join(folder, "cache")
    flags = [f"--s3_endpoint={store.url}", f"--model_cache_dir={cache}"]
    with Server(program, "--model_name=m", "--model_base_path=s3://models/m", *flags, env=READER) as server:
        expect("a key that is no path is told of",
               server.comes_to(lambda: "is no path of a file" in server.text(), True), server)
        expect("nothing is written outside", not any("escaped" in names for _, _, names in os.walk(folder)))
    config = os.path.join(folder, "models.config")
    with open(config, "w", encoding="utf-8") as f:
        entries = "".join(f'config {{ name: "{name}" base_path: "{path}" model_platform: "tensorflow" }} '
                          for name, path in (("local", os.path.join(models, "half_plus_two")), ("m", "s3://models/m")))
        f.write(f"model_config_list {{ {entries} }}")
    with Server(program, f"--model_config_file={config}", "--s3_endpoint=http://127.0.0.1:1", env=READER) as server:
        expect("other models are served while the store is away",
               server.comes_to(lambda: server.predict("local"), 3.0, 30), server)
        expect("a malformed URI is refused", "names no bucket" in refused(program))


def refused(program):
    with Server(program, "--model_base_path=s3:///m", env=READER) as server:
        server.process.wait(10)
        return server.text()


def main():
    program, models = arguments(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        for number, test in enumerate((served_and_followed, others_ways_in, hostile)):
            own = os.path.join(folder, str(number))
            os.mkdir(own)
            test(program, models, own)
    return summary()


if __name__ == "__main__":
    sys.exit(main())
