"""Float32 matrix products beside oneDNN's, by build/product_bench: shapes of the models that training and serving are timed on."""
import json
import os
import subprocess


def figures(tenon):
    program = os.path.join(os.path.dirname(tenon), "product_bench")
    for threads in ("1", "0"):
        for line in subprocess.run([program, threads], capture_output=True, text=True, check=True).stdout.splitlines():
            yield json.loads(line)
