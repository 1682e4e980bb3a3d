#!/usr/bin/env python3
"""Models in moto's S3, a server that others wrote: botocore checks the signatures, STS gives a pod its credentials, IAM says
who may read. Its packages (tests/serving/moto.txt) are installed when it runs first.

    tests/serving/object_store_moto.py --tenon build/tenon --cases shared/cases
"""
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request

from object_store import NOBODY
from support import Server, arguments, expect, free_port, summary

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "tools"))
import locked_environment  # noqa: E402

PYTHON = locked_environment.python_of(os.path.join(HERE, "moto.txt"))
sys.path.append(os.path.join(os.path.dirname(PYTHON), "..", "lib", "python3.11", "site-packages"))
import boto3  # noqa: E402
import botocore.exceptions  # noqa: E402

# With what URLs, XML and signatures each write in their own way.
PREFIXES = ("with space/m", "a+b=c&d/m", "größe/模型/m", "it's (1) <x>!*~,;:@$/m", "%41%2F/m", 'q"uote/m', "ünï+ %20/m")
ASSET = "a +%é&'\"<>.txt"
ALLOWED = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": ["s3:*", "sts:*"], "Resource": "*"}]})
TRUST = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity", "Principal": {"Federated": "pods"}}]})


class Store:
    """moto's server. What is done before lock() may be done by everybody."""

    def __init__(self):
        self.url = f"http://127.0.0.1:{free_port()}"
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [PYTHON, "-m", "moto.server", "-H", "127.0.0.1", "-p", self.url.rsplit(":", 1)[1]], stdout=self.log,
            stderr=subprocess.STDOUT, env={**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": "1000000000"})
        iam = self.client("iam")
        end = time.monotonic() + 60
        while True:
            try:
                iam.create_user(UserName="reader")
                break
            except botocore.exceptions.EndpointConnectionError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)
        iam.put_user_policy(UserName="reader", PolicyName="p", PolicyDocument=ALLOWED)
        key = iam.create_access_key(UserName="reader")["AccessKey"]
        iam.create_user(UserName="nobody")
        other = iam.create_access_key(UserName="nobody")["AccessKey"]
        self.reader, self.stranger = self.environment(key), self.environment(other)
        self.role = iam.create_role(RoleName="pod", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
        iam.put_role_policy(RoleName="pod", PolicyName="p", PolicyDocument=ALLOWED)
        self.s3 = self.client("s3", key["AccessKeyId"], key["SecretAccessKey"])
        self.s3.create_bucket(Bucket="models")

    def client(self, service, key="test", secret="test"):
        return boto3.client(service, endpoint_url=self.url, region_name="us-east-1", aws_access_key_id=key,
                            aws_secret_access_key=secret)

    @staticmethod
    def environment(key):
        return {**NOBODY, "AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}

    def upload(self, folder, prefix):
        for root, _, names in os.walk(folder):
            for name in names:
                path = os.path.join(root, name)
                self.s3.upload_file(path, "models", f"{prefix}/{os.path.relpath(path, folder)}")

    def remove(self, prefix):
        for each in self.s3.list_objects_v2(Bucket="models", Prefix=prefix)["Contents"]:
            self.s3.delete_object(Bucket="models", Key=each["Key"])

    def lock(self, free=0):
        """After `free` more requests each is checked: its signature and its user's policies."""
        request = urllib.request.Request(f"{self.url}/moto-api/reset-auth", str(free).encode(),
                                         {"Content-Type": "text/plain"})
        urllib.request.urlopen(request).close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.log.close()


def oddly_named(store, program, models, folder):
    """Folders of every spelling."""
    config, cache = os.path.join(folder, "models.config"), os.path.join(folder, "cache")
    entries = ""
    for i, prefix in enumerate(PREFIXES):
        store.upload(os.path.join(models, "half_plus_two", "123"), f"{prefix}/1")
        store.s3.put_object(Bucket="models", Key=f"{prefix}/1/assets.extra/{ASSET}", Body=b"an asset")
        path = json.dumps(f"s3://models/{prefix}", ensure_ascii=False)
        entries += f'config {{ name: "m{i}" base_path: {path} model_platform: "tensorflow" }}\n'
    with open(config, "w", encoding="utf-8") as f:
        f.write(f"model_config_list {{ {entries} }}")
    with Server(program, f"--model_config_file={config}", f"--s3_endpoint={store.url}", f"--model_cache_dir={cache}",
                env=store.reader) as server:
        for i, prefix in enumerate(PREFIXES):
            expect(f"served from {prefix}", server.comes_to(lambda i=i: server.predict(f"m{i}"), 3.0, 60), server)
        names = [name for _, _, names in os.walk(cache) for name in names]
        expect("an asset has its name", names.count(ASSET) == len(PREFIXES), server)


def many(store, program, models, folder):
    """More versions, and more objects of one, than a page of a listing has; then one that appears and one that goes."""
    half, three = (os.path.join(models, name, "123") for name in ("half_plus_two", "half_plus_three"))
    for i in range(1005):
        store.s3.put_object(Bucket="models", Key=f"many/{i + 1}x/y", Body=b"")
        store.s3.put_object(Bucket="models", Key=f"many/9/assets.extra/{i:04} & <{i}>", Body=b"")
    store.upload(half, "many/9")
    cache = os.path.join(folder, "cache")
    with Server(program, "--model_name=m", "--model_base_path=s3://models/many", f"--s3_endpoint={store.url}",
                f"--model_cache_dir={cache}", env=store.reader) as server:
        expect("a version behind a thousand others", server.comes_to(lambda: server.predict("m"), 3.0, 90), server)
        expect("all of its files", len([name for _, _, names in os.walk(cache) for name in names if " & <" in name]) == 1005)
        store.upload(three, "many/10")
        expect("a version that appears takes over", server.comes_to(lambda: server.predict("m"), 4.0, 60), server)
        store.remove("many/10/")
        expect("one that goes gives way", server.comes_to(lambda: server.predict("m"), 3.0, 60), server)
        store.process.kill()
        time.sleep(12)
        expect("while the store is away what is served stays", server.predict("m") == 3.0, server)


def identities(store, program, models, _):
    """A pod's identity by STS, a user without rights, wrong keys, a bucket that is not there."""
    store.upload(os.path.join(models, "half_plus_two", "123"), "m/1")
    with tempfile.NamedTemporaryFile("w", suffix=".token") as token:
        token.write("a.pod's/token+=\n")
        token.flush()
        pod = {**NOBODY, "AWS_WEB_IDENTITY_TOKEN_FILE": token.name, "AWS_ROLE_ARN": store.role,
               "AWS_ENDPOINT_URL_S3": store.url, "AWS_ENDPOINT_URL_STS": store.url}
        store.lock(free=1)  # to be somebody is asked for by nobody
        flags = ["--model_name=m", "--model_base_path=s3://models/m"]
        with Server(program, *flags, env=pod) as server:
            expect("a pod's identity", server.comes_to(lambda: server.predict("m"), 3.0, 60), server)
    for what, env, code in (("a user without rights", store.stranger, "AccessDenied"),
                            ("a wrong key", {**store.reader, "AWS_SECRET_ACCESS_KEY": "x"}, "SignatureDoesNotMatch"),
                            ("an unknown user", {**store.reader, "AWS_ACCESS_KEY_ID": "AKIAX"}, "InvalidAccessKeyId"),
                            ("a token that is none", {**store.reader, "AWS_SESSION_TOKEN": "x"}, "Invalid")):
        with Server(program, *flags, f"--s3_endpoint={store.url}", env=env) as server:
            expect(what, server.comes_to(lambda server=server, code=code: code in server.text(), True, 20), server)
            expect("is served nothing", server.comes_to(lambda server=server: server.predict("m"), 404), server)
            expect("and ends at SIGTERM", server.stops() == 0, server)
    with Server(program, "--model_name=m", "--model_base_path=s3://nowhere/m", f"--s3_endpoint={store.url}",
                env=store.reader) as server:
        expect("a bucket that is not there", server.comes_to(lambda: "NoSuchBucket" in server.text(), True, 20), server)


def main():
    program, models = arguments(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        for number, test in enumerate((oddly_named, identities, many)):
            own = os.path.join(folder, str(number))
            os.mkdir(own)
            with Store() as store:
                if test is not identities:
                    store.lock()
                test(store, program, models, own)
    return summary()


if __name__ == "__main__":
    sys.exit(main())
