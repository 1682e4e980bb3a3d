"""`./dev demo` does what the README says: learns the digits, answers by REST and gRPC, shows metrics, leaves nothing.

    tests/e2e/demo.py BUILD
"""
import json
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def main():
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([os.path.join(ROOT, "examples", "digits", "demo.sh"), os.path.abspath(sys.argv[1])],
                              capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
                              env={**os.environ, "TMPDIR": folder})
        left = os.listdir(folder)
    print(done.stdout, done.stderr)
    accuracy = re.search(r"^accuracy: (0\.\d+|1\.0+)$", done.stdout, re.M)
    by_grpc = [int(digit) for digit in re.findall(r"^by gRPC: it is a (\d)$", done.stdout, re.M)]
    answers = [json.loads(text)["predictions"][0] for text in re.findall(r"^by REST: (.*)$", done.stdout, re.M)]
    by_rest = [answer.index(max(answer)) for answer in answers]
    wrong = [what for what, ok in (
        ("exit code 0", done.returncode == 0),
        ("accuracy of at least 0.97", accuracy and float(accuracy[1]) >= 0.97),
        ("three answers, the same by REST and gRPC", len(by_grpc) == 3 and by_grpc == by_rest),
        ("three metric lines", len(re.findall(r"^:tensorflow:\S+ [0-9.e+]+$", done.stdout, re.M)) == 3),
        ("no files left", not left),
    ) if not ok]
    for what in wrong:
        print("FAIL:", what)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
