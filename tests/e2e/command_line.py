"""The command line as a stranger meets it: help, mistakes, missing and broken files, exit codes, what goes to which stream."""
import json
import os
import re
import shutil
import subprocess
import tempfile

from common import TENON, Checks, attempt, tenon, train_digits

VERBS = ("train", "evaluate", "predict", "export", "convert", "run", "serve", "inspect", "verify", "bench", "image", "ops", "devices", "doctor")


def one_line(check, words, code, what, *mentions):
    """Nothing on stdout, one line `error: CODE: ...` on stderr that mentions what it must, and the exit code."""
    done = attempt(*words)
    lines = done.stderr.splitlines()
    ok = (done.returncode == code and not done.stdout and len(lines) == 1 and re.match(r"error: [A-Z_]+: \S", lines[0]) and
          len(lines[0]) < 400 and all(mention in lines[0] for mention in mentions))
    check.that(ok, what, f"exit code {done.returncode}, stdout {done.stdout[:80]!r}, stderr {done.stderr[:600]!r}")


def helps(check):
    done = attempt("--help")
    lines = done.stdout.splitlines()
    check.that(done.returncode == 0 and len(lines) <= 24 and max(map(len, lines)) <= 80, "--help fits one screen", done.stdout)
    listed = re.findall(r"^  (\w+) ", done.stdout, re.M)
    check.that(sorted(listed) == sorted(VERBS), "--help lists each verb once", listed)
    for verb in VERBS:
        asked, flag = attempt("help", verb), attempt(verb, "--help")
        check.that(asked.returncode == 0 and asked.stdout.startswith(f"usage: tenon {verb}") and not asked.stderr,
                   f"help {verb}", asked.stdout[:100] + asked.stderr)
        check.that(asked.stdout == flag.stdout, f"{verb} --help is the same", flag.stdout[:100])
    lock = attempt("help", "image", "lock")
    check.that(lock.returncode == 0 and "lock" in lock.stdout, "help image lock", lock.stderr)
    bare = attempt()
    check.that(bare.returncode == 2 and not bare.stdout and "usage" in bare.stderr, "no verb: the usage on stderr", bare.stdout)
    version = attempt("--version")
    check.that(version.returncode == 0 and re.fullmatch(r"tenon \d+\.\d+\.\d+\n", version.stdout), "--version", version.stdout)


def mistyped(check):
    one_line(check, ["sevre"], 2, "a mistyped verb", "did you mean serve?")
    one_line(check, ["help", "inspcet"], 2, "a mistyped verb to help", "did you mean inspect?")
    one_line(check, ["fly"], 2, "a verb that is none", "'fly'", "tenon --help")
    for verb, flag, meant in (("train", "--optimiser", "--optimizer"), ("evaluate", "--mdoel", "--model"), ("predict", "--ouput", "--output"),
                              ("export", "--export-dri", "--export_dir"), ("run", "--input_expr", "--input_exprs"), ("run", "--dri", "--dir"),
                              ("inspect", "--tagset", "--tag_set"), ("verify", "--jsno", "--json"), ("bench", "--bacth", "--batch"),
                              ("ops", "--jsn", "--json"), ("devices", "--hlep", "--help"), ("doctor", "--json1", "--json"),
                              ("convert", "--exportdir", "--export_dir")):
        one_line(check, [verb, flag + "=1"], 2, f"{verb} {flag}", f"did you mean {meant}?")
    one_line(check, ["image", "lokc"], 2, "a mistyped verb of image", "did you mean lock?")
    one_line(check, ["image", "lock", "runtime", "--ouptut", "x"], 2, "a mistyped flag of image", "did you mean --output?")
    one_line(check, ["bench", "--model=x", "--batch=many"], 2, "a value that is no number", "--batch=many")
    one_line(check, ["ops", "-json"], 2, "one dash", "'-json'")
    one_line(check, ["run"], 2, "a flag that is missing", "--model")
    one_line(check, ["devices", "CPU"], 2, "a word where only flags are", "'CPU'")
    done = attempt("serve", "--modle_name=x")
    check.that(done.returncode == 2 and len(done.stderr.splitlines()) == 2 and "did you mean --model_name?" in done.stderr,
               "serve names the nearest flag and lists none", done.stderr[:600])
    one_line(check, ["serve", "--rest_api_port=x"], 2, "a value that serve cannot take", "--rest_api_port=x")
    one_line(check, ["serve"], 2, "serve without a model", "--model_base_path")


def broken_models(check, folder, model):
    missing, empty, file = (os.path.join(folder, name) for name in ("missing", "empty", "file"))
    os.mkdir(empty)
    with open(file, "w", encoding="utf-8") as f:
        f.write("no model\n")
    truncated = os.path.join(folder, "truncated")
    shutil.copytree(model, truncated)
    os.truncate(os.path.join(truncated, "saved_model.pb"), 1000)
    hollow = os.path.join(folder, "hollow")
    os.mkdir(hollow)
    with open(os.path.join(hollow, "saved_model.pb"), "wb"):
        pass
    for verb in ("run", "inspect", "verify", "bench"):
        for path, what in ((missing, "no such folder"), (empty, "an empty folder"), (file, "a file for a folder"),
                           (truncated, "a truncated model"), (hollow, "an empty saved_model.pb")):
            words = [verb, "--model", path] + (["--all"] if verb == "inspect" else [])
            one_line(check, words, 1, f"{verb}: {what}", path)
    if os.getuid() != 0:  # root may read everything
        os.chmod(empty, 0)
        one_line(check, ["run", "--model", empty], 1, "a folder that may not be read", "PERMISSION_DENIED")
    one_line(check, ["run", "--model", model, "--signature_def", "nothing"], 1, "a signature that is not there", "serving_default")
    one_line(check, ["run", "--model", model, "--tag_set", "gpu"], 1, "tags that are not there", "'serve'")
    one_line(check, ["bench", "--train", "--model", file + ".keras", "--loss=mse"], 1, "bench --train without the file", "file.keras")
    one_line(check, ["ops", "MatMull"], 1, "an op that is not there", "did you mean MatMul?")


def missing_parts(check, folder, model):
    """inspect shows the signatures whatever the model lacks, and then what that is."""
    bare = os.path.join(folder, "bare")
    shutil.copytree(model, bare)
    shutil.rmtree(os.path.join(bare, "variables"))
    for words in (["--tag_set=serve", "--signature_def=serving_default"], ["--tag_set=serve"], ["--all"]):
        shown = attempt("inspect", bare, *words)
        whole = attempt("inspect", model, *words)
        signature = whole.stdout.split("Requests may")[0]
        check.that(shown.returncode == 0 and shown.stdout.startswith(signature) and len(signature) > 60,
                   f"inspect without variables, {' '.join(words)}", shown.stdout + shown.stderr)
    found = json.loads(tenon("inspect", bare, "--json"))
    check.that(found["loads"] is False and "variables" in found["error"] and len(found["missing"]["variables"]) == found["variables"] > 0,
               "inspect --json names missing variables", found["missing"])
    check.that("Variables that are missing:" in attempt("inspect", bare, "--all").stdout, "inspect --all names missing variables")
    one_line(check, ["run", "--model", bare, "--input_exprs", "pixels=np.zeros((1,64))"], 1, "run without variables")


def streams(check, model):
    def shell(command, **options):
        return subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False, **options)

    piped = shell(f'"{TENON}" ops | head -n 1')
    check.that(piped.stdout.count("\n") == 1 and not piped.stderr, "a closed pipe ends the program quietly", piped.stderr)
    full = shell(f'"{TENON}" ops > /dev/full')
    check.that(full.returncode == 1 and len(full.stderr.splitlines()) == 1 and "standard output" in full.stderr, "a full disk behind stdout",
               full.stderr)
    odd = subprocess.run([TENON, "run", "--model", b"\xff\xfe\x1b[2J\n"], capture_output=True, timeout=60, check=False)
    check.that(odd.returncode == 1 and odd.stderr.count(b"\n") == 1 and b"\x1b" not in odd.stderr and b"NOT_FOUND" in odd.stderr,
               "an argument that is no UTF-8", odd.stderr)
    odd = subprocess.run([TENON, b"\xc3"], capture_output=True, timeout=60, check=False)
    check.that(odd.returncode == 2 and odd.stderr.count(b"\n") == 1, "a verb that is no UTF-8", odd.stderr)
    for words in (["ops"], ["devices"], ["doctor"], ["inspect", model], ["inspect", "--all", model], ["verify", model],
                  ["bench", "--model", model, "--seconds=0.05"]):
        done = attempt(*words, "--json")
        try:
            objects = [json.loads(line) for line in done.stdout.splitlines()]
            check.that(done.returncode == 0 and objects and all(isinstance(o, dict) for o in objects), f"{' '.join(words[:2])} --json")
        except ValueError as error:
            check.that(False, f"{' '.join(words[:2])} --json", f"{error}: {done.stdout[:200]}")


def own_memory(check, model):
    """A parent's memory is not the program's: here 600 MB of it."""
    ballast = bytearray(os.urandom(1 << 20) * 600)
    line = json.loads(tenon("bench", "--model", model, "--seconds=0.05").splitlines()[-1])
    check.that(5 < line["peak_rss_mb"] < 300 and len(ballast) > 0, "bench reports its own memory", line["peak_rss_mb"])


def one_name_for_models(check, folder, model):
    base = os.path.join(folder, "base")
    for version in ("2", "10"):
        shutil.copytree(model, os.path.join(base, version))
    want = tenon("inspect", "--dir", model, "--all")
    for words in (["--model", model], ["--model_base_path", model], [model], ["--model", base]):
        check.that(tenon("inspect", *words, "--all") == want, f"inspect {words[0] if words[0].startswith('--') else 'DIR'} names a model")
    for words in (["verify", "--model", model], ["verify", model], ["verify", "--dir", base], ["bench", model, "--seconds=0.05"],
                  ["run", model, "--input_exprs", "pixels=np.zeros((1,64))"]):
        done = attempt(*words)
        check.that(done.returncode == 0, " ".join(w for w in words[:2] if w != model), done.stderr)
    one_line(check, ["inspect", model, "--model", model], 2, "a model named twice", "--model")
    one_line(check, ["serve", "--port=0", "--rest_api_port=1", "--model", os.path.join(base, "2")], 2, "serve an older version by its folder", "newest")


def main():
    check = Checks()
    with tempfile.TemporaryDirectory() as folder:
        train_digits(folder)
        model = os.path.join(folder, "1")
        helps(check)
        mistyped(check)
        broken_models(check, folder, model)
        missing_parts(check, folder, model)
        streams(check, model)
        own_memory(check, model)
        one_name_for_models(check, folder, model)
    check.done()


if __name__ == "__main__":
    main()
