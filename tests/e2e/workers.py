"""Several workers, each a process on this machine: the losses of one process, whoever dies, hangs or does not belong.

With --slow also four workers, many kills, a slow worker, a full disk, and network namespaces (as root).
"""
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile

import yaml

from common import DIGITS, ROOT, TENON, Checks, attempt, free_port, tenon

LOST = 75
ROWS = os.path.join(DIGITS, "train.csv")
HEALTH = 8  # seconds, where somebody is lost without a word


def flags(folder, epochs, **more):
    options = {"model": os.path.join(DIGITS, "cnn.json"), "data": ROWS, "optimizer": "adam", "metrics": "accuracy",
               "loss": "sparse_categorical_crossentropy", "batch_size": 48, "seed": 3, "epochs": epochs, **more}
    if folder:
        os.makedirs(folder, exist_ok=True)
        options |= {"checkpoint_dir": os.path.join(folder, "checkpoints"), "save": os.path.join(folder, "model.keras")}
    return ["train", "--json", *[f"--{name}={value}" for name, value in options.items()]]


class Worker:
    def __init__(self, arguments, cluster, task, index, prefix=(), program=TENON, health=30, **environment):
        config = json.dumps({"cluster": cluster, "task": {"type": task, "index": index}})
        self.process = subprocess.Popen(
            [*prefix, program, *arguments, "--strategy=multi_worker", f"--health_timeout={health}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "TF_CONFIG": config, "TF_CPP_MIN_LOG_LEVEL": "0", **environment})
        self.ended = None

    def finish(self, timeout=120):
        """(exit code, stdout, stderr)"""
        try:
            out, err = self.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, err = self.process.communicate()
            return "it did not end", out, err
        return self.process.returncode, out, err


def addresses(count):
    return {"worker": [f"127.0.0.1:{free_port()}" for _ in range(count)]}


def start(count, arguments, **more):
    cluster = addresses(count)
    return [Worker(arguments, cluster, "worker", index, **more) for index in range(count)]


def epochs_of(out):
    return [json.loads(line) for line in out.splitlines() if line.startswith("{")]


def wait_for_epoch(folder, epoch, workers):
    """Until the checkpoint of that epoch is there, or a worker has ended."""
    path = os.path.join(folder, "checkpoints", "checkpoint")
    while all(worker.process.poll() is None for worker in workers):
        if os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                if f"ckpt-{epoch}" in f.read():
                    return
        time.sleep(0.005)


def content(path):
    """The weights, optimizer and states of random layers, without the date that stands beside them."""
    with zipfile.ZipFile(path) as archive:
        return archive.read("model.weights.h5")


def start_and_finish(check, count, arguments):
    """What the chief of `count` workers prints."""
    results = [worker.finish() for worker in start(count, arguments)]
    check.that([code for code, _, _ in results] == [0] * count, f"{count} workers train", results)
    check.that(not any(out for _, out, _ in results[1:]), "the chief alone prints", results)
    return results[0][1]


def same_training(check, folder, count):
    """`count` workers train as one process does, and to the bits of as many replicas in one process."""
    even = {"model": "mlp", "steps_per_epoch": 10}  # 20 steps without Dropout, of which each worker has its own
    alone = epochs_of(tenon(*flags(None, 2, **even)))
    got = epochs_of(start_and_finish(check, count, flags(None, 2, **even)))
    for name in ("loss", "accuracy"):
        check.close([e[name] for e in got], [e[name] for e in alone], f"{name} of one process", 1e-5)
    together = os.path.join(folder, f"together{count}")
    got = epochs_of(start_and_finish(check, count, flags(together, 2)))
    mirrored = os.path.join(folder, f"mirrored{count}")
    printed = epochs_of(tenon(*flags(mirrored, 2), "--strategy=mirrored", f"--virtual_cpus={count}"))
    check.that(printed == got, f"losses have the bits of {count} replicas in one process", (printed, got))
    check.that(content(os.path.join(mirrored, "model.keras")) == content(os.path.join(together, "model.keras")),
               "the model has them too")
    return content(os.path.join(together, "model.keras"))


def sums_of_all_kinds(check, count):
    """Metrics that count in integers, and gradients that are added up over steps, are those of as many replicas too."""
    iou = '{"module": "keras.metrics", "class_name": "MeanIoU", "config": {"num_classes": 10, "sparse_y_pred": false, "name": "iou"}, "registered_name": null}'
    more = {"metrics": f'["accuracy", {iou}]', "optimizer": '{"class_name": "Adam", "config": {"gradient_accumulation_steps": 2}}', "steps_per_epoch": 7}
    got = epochs_of(start_and_finish(check, count, flags(None, 2, **more)))
    printed = epochs_of(tenon(*flags(None, 2, **more), "--strategy=mirrored", f"--virtual_cpus={count}"))
    check.that(printed == got and all(0 < epoch["iou"] < 1 for epoch in got), f"sums of {count} replicas", (printed, got))


def killed_and_started_again(check, folder, count, rounds, seed):
    undisturbed = os.path.join(folder, "undisturbed")
    codes = [worker.finish()[0] for worker in start(count, flags(undisturbed, 4))]
    check.that(codes == [0] * count, "an undisturbed run", codes)
    want = content(os.path.join(undisturbed, "model.keras"))
    draw = random.Random(seed)
    for number in range(rounds):
        work = os.path.join(folder, f"killed{number}")
        workers = start(count, flags(work, 4))
        wait_for_epoch(work, draw.randint(1, 3), workers)
        time.sleep(draw.random() * 0.05)
        victim = draw.randrange(count)
        workers[victim].process.kill()
        results = [worker.finish() for worker in workers]
        others = [result for index, result in enumerate(results) if index != victim]
        address = f"worker {victim} (127.0.0.1:"
        # The last of them may have left in the moment of the kill.
        fits = all(code == LOST and address in err.splitlines()[-1] and err.splitlines()[-1].startswith("error: UNAVAILABLE: ")
                   for code, _, err in others) or all(code == 0 for code, _, _ in others)
        check.that(fits, f"kill {number}: all others stop and name worker {victim}", results)
        again = [worker.finish() for worker in start(count, [*flags(work, 4), "--resume"])]
        check.that([code for code, _, _ in again] == [0] * count and content(os.path.join(work, "model.keras")) == want,
                   f"kill {number}: started again they come to the same bits", again)
        shutil.rmtree(work)


def hang(check, folder):
    work = os.path.join(folder, "hang")
    workers = start(2, flags(work, 500), health=2)
    wait_for_epoch(work, 2, workers)
    workers[1].process.send_signal(signal.SIGSTOP)
    code, _, err = workers[0].finish()
    check.that(code == LOST and "worker 1 (127.0.0.1:" in err.splitlines()[-1] and "has not been heard of" in err.splitlines()[-1],
               "a worker that hangs is named", (code, err))
    workers[1].process.send_signal(signal.SIGCONT)
    code, _, err = workers[1].finish()
    check.that(code == LOST, "one that wakes up again stops too", (code, err))


def who_does_not_belong(check, folder):
    cluster = addresses(2)
    arguments = flags(None, 1)
    other = os.path.join(folder, "other_build")
    shutil.copy(TENON, other)
    with open(other, "ab") as f:
        f.write(b"!")
    chief = Worker(arguments, cluster, "worker", 0, TENON_CLUSTER_SECRET="oak")
    for what, code, mentions, environment in (
            ("a wrong secret", 1, "secret", {"TENON_CLUSTER_SECRET": "elm"}),
            ("no secret", 1, "has a TENON_CLUSTER_SECRET", {}),
            ("another build", 1, "all workers must be of one build", {"TENON_CLUSTER_SECRET": "oak", "program": other})):
        got, _, err = Worker(arguments, cluster, "worker", 1, **environment).finish()
        check.that(got == code and mentions in err.splitlines()[-1] and "oak" not in err, f"{what} is refused", (got, err))
    got, _, err = Worker(arguments, cluster, "worker", 0, TENON_CLUSTER_SECRET="oak").finish()
    check.that(got == 1 and "two workers with this index" in err, "one index twice on a machine is refused", (got, err))
    own = Worker(arguments, cluster, "worker", 1, TENON_CLUSTER_SECRET="oak")
    results = [own.finish(), chief.finish()]
    check.that([code for code, _, _ in results] == [0, 0], "who knows the secret trains", results)
    unlike = addresses(2)
    results = [worker.finish() for worker in (Worker(arguments, unlike, "worker", 0),
                                              Worker([*arguments, "--batch_size=32"], unlike, "worker", 1))]
    check.that(all("has --batch_size=32, the chief has --batch_size=48" in err for _, _, err in results),
               "other flags are named", results)


def evaluator(check, folder):
    """TF_CONFIG with a chief, a worker and an evaluator, which judges each checkpoint."""
    work = os.path.join(folder, "evaluated")
    cluster = {"chief": [f"127.0.0.1:{free_port()}"], "worker": [f"127.0.0.1:{free_port()}"]}
    arguments = [*flags(work, 3), f"--validation_data={os.path.join(DIGITS, 'test.csv')}"]
    judge, *trainers = [Worker(arguments, cluster, *task) for task in (("evaluator", 0), ("chief", 0), ("worker", 0))]
    results = [worker.finish() for worker in (judge, *trainers)]
    check.that([code for code, _, _ in results] == [0, 0, 0], "chief, worker and evaluator", results)
    judged, trained = epochs_of(results[0][1]), epochs_of(results[1][1])
    check.that([e["epoch"] for e in judged] == [1, 2, 3], "each checkpoint is judged", judged)
    check.close([e["loss"] for e in judged], [e["val_loss"] for e in trained], "as the chief judges it", 1e-6)


def said_at_start(arguments, environment):
    """The line in which the program says what it is among the workers, and with what it ended where it did not say so."""
    with subprocess.Popen([TENON, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          text=True, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "0", **environment}) as process:
        lines = []
        for line in process.stderr:
            lines.append(line)
            if "the chief is at" in line:
                break
        process.kill()
    return "".join(lines).strip()


def documents(path):
    with open(os.path.join(ROOT, "deploy", path), encoding="utf-8") as f:
        return list(yaml.safe_load_all(f))


def manifests(check):
    """The program reads what the files of deploy/ say: TF_CONFIG, Slurm's variables, and flags that it has."""
    cases = []
    job = documents("kubernetes/train/job.yaml")[-1]
    pod = job["spec"]["template"]["spec"]["containers"][0]
    runtime, train_job = documents("kubernetes/train/trainjob.yaml")
    node = runtime["spec"]["template"]["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]["containers"][0]
    for name, container, arguments, count in (("tenon-train-", pod, pod["args"], job["spec"]["completions"]),
                                              ("tenon-train-node-0-", node, train_job["spec"]["trainer"]["args"],
                                               train_job["spec"]["trainer"]["numNodes"])):
        config = {entry["name"]: entry.get("value") for entry in container["env"]}["TF_CONFIG"]
        for index in range(count):
            cases.append((arguments, {"TF_CONFIG": config.replace("$(TASK_INDEX)", str(index))}, f"worker {index}", index,
                          f"{name}{index}.tenon-train:2222", count, f"{name}0.tenon-train:2222"))
    # What Kubeflow's operator sets for the replicas of the TFJob.
    replicas = documents("kubernetes/train/tfjob.yaml")[0]["spec"]["tfReplicaSpecs"]
    cluster = {kind.lower(): [f"tenon-train-{kind.lower()}-{i}.default.svc:2222" for i in range(spec["replicas"])]
               for kind, spec in replicas.items()}
    for kind, index, rank in (("chief", 0, 0), ("worker", 2, 3)):
        config = {"cluster": cluster, "task": {"type": kind, "index": index}, "environment": "cloud"}
        cases.append((replicas["Chief"]["template"]["spec"]["containers"][0]["args"], {"TF_CONFIG": json.dumps(config)},
                      f"{kind} {index}", rank, cluster[kind][index], 4, cluster["chief"][0]))
    compose = documents("docker-compose.train.yml")[0]["services"]
    for index in range(2):
        service = compose[f"worker-{index}"]
        arguments = [a.replace("${EPOCHS:-20}", "20").replace("${BATCH_SIZE:-256}", "256") for a in service["command"]]
        cases.append((arguments, {"TF_CONFIG": service["environment"]["TF_CONFIG"]}, f"worker {index}", index,
                      f"worker-{index}:2222", 2, "worker-0:2222"))
    with open(os.path.join(ROOT, "deploy", "slurm", "train.sbatch"), encoding="utf-8") as f:
        script = f.read()
    command = script[script.index('"$TENON" train'):script.index("code=$?")].replace('"$TENON"', 'printf "%s\\n"')
    printed = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, env={"WORK": "/tmp/w"}).stdout
    cases.append((printed.splitlines(), {"SLURM_STEP_NODELIST": "n[1-4]", "SLURM_STEP_TASKS_PER_NODE": "1(x4)", "TF_CONFIG": "",
                                         "SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "3"}, "worker 3", 3, "n4:8888", 4, "n1:8888"))
    for arguments, environment, task, rank, own, count, chief in cases:
        # The folders of the files need not be there.
        arguments = [a for a in arguments if a.split("=")[0] not in ("--checkpoint_dir", "--log_dir", "--export_dir", "--resume")]
        said = said_at_start(arguments, environment)
        check.that(f"task {task} is worker {rank} ({own}) of {count}; the chief is at {chief}" in said, f"{own} of deploy/", said)


def wrong_usage(check):
    for config, mentions in (('{"cluster": {"worker": ["a:1"]}}', "task.type"), ("nonsense", "no JSON object")):
        done = attempt(*flags(None, 1), "--strategy=multi_worker", env={**os.environ, "TF_CONFIG": config})
        check.that(done.returncode == 2 and "TF_CONFIG" in done.stderr and mentions in done.stderr, f"TF_CONFIG={config}",
                   done.stderr)
    done = attempt(*flags(None, 1), "--strategy=multi_worker", "--workers=127.0.0.1:1", "--task_index=1")
    check.that(done.returncode == 2 and "--task_index" in done.stderr, "an index beyond the workers", done.stderr)


def slow_worker(check, folder):
    """One that is slow is waited for, however slow it is."""
    work = os.path.join(folder, "slow")
    workers = start(2, flags(work, 3), health=HEALTH)
    for _ in range(4):
        time.sleep(0.3)
        workers[1].process.send_signal(signal.SIGSTOP)
        time.sleep(HEALTH * 0.3)
        workers[1].process.send_signal(signal.SIGCONT)
    results = [worker.finish() for worker in workers]
    check.that([code for code, _, _ in results] == [0, 0], "a slow worker is waited for", results)


def full_disk(check, folder):
    """The chief's checkpoints stand on a file system that fills up: all stop, and say why."""
    disk = os.path.join(folder, "disk")
    os.mkdir(disk)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "none", disk], check=False).returncode:
        return print("skipped: a full disk needs root")
    try:
        workers = start(2, flags(disk, 500))
        wait_for_epoch(disk, 2, workers)
        with contextlib.suppress(OSError), open(os.path.join(disk, "filler"), "wb", buffering=0) as f:
            while f.write(bytes(4096)):
                pass
        results = [worker.finish() for worker in workers]
        check.that(results[0][0] == 1 and results[1][0] == LOST and "worker 0 (127.0.0.1:" in results[1][2].splitlines()[-1]
                   and "No space left" in results[1][2].splitlines()[-1], "a full disk of the chief stops all", results)
        os.remove(os.path.join(disk, "filler"))
        again = [worker.finish() for worker in start(2, [*flags(disk, 8), "--resume"])]
        check.that([code for code, _, _ in again] == [0, 0], "with room again they go on", again)
    finally:
        subprocess.run(["umount", disk], check=True)


def namespaces(check, folder):
    """Four workers with addresses of their own on one bridge; the cable of one is cut."""
    names, bridge = [f"tenon{os.getpid()}w{i}" for i in range(4)], f"tb{os.getpid()}"
    run = lambda *words: subprocess.run(["ip", *words], check=True, capture_output=True)
    if os.geteuid() or not shutil.which("ip") or subprocess.run(["ip", "netns", "add", names[0]], check=False).returncode:
        return print("skipped: network namespaces need root")
    try:
        run("link", "add", bridge, "type", "bridge")
        run("link", "set", bridge, "up")
        for index, name in enumerate(names):
            if index:
                run("netns", "add", name)
            run("link", "add", f"{bridge}v{index}", "type", "veth", "peer", "name", "eth0", "netns", name)
            run("link", "set", f"{bridge}v{index}", "master", bridge, "up")
            run("-n", name, "addr", "add", f"10.77.0.{index + 1}/24", "dev", "eth0")
            run("-n", name, "link", "set", "eth0", "up")
            run("-n", name, "link", "set", "lo", "up")
        cluster = {"worker": [f"10.77.0.{index + 1}:2222" for index in range(4)]}
        work, plain = os.path.join(folder, "names"), os.path.join(folder, "plain")
        begin = lambda arguments: [Worker(arguments, cluster, "worker", index, prefix=("ip", "netns", "exec", name), health=HEALTH)
                                   for index, name in enumerate(names)]
        results = [worker.finish() for worker in begin(flags(plain, 6))]
        check.that([code for code, _, _ in results] == [0] * 4, "four workers with addresses of their own", results)
        workers = begin(flags(work, 6))
        wait_for_epoch(work, 2, workers)
        run("link", "set", f"{bridge}v2", "down")
        begun = time.monotonic()
        results = [worker.finish() for worker in workers]
        took = time.monotonic() - begun
        named = [err.splitlines()[-1] for index, (_, _, err) in enumerate(results) if index != 2]
        check.that([code for code, _, _ in results] == [LOST] * 4 and took < HEALTH
                   and all("worker 2 (10.77.0.3:2222) has not been heard of" in line for line in named),
                   "a cut cable: all stop in time and name the worker", (took, results))
        run("link", "set", f"{bridge}v2", "up")
        results = [worker.finish() for worker in begin([*flags(work, 6), "--resume"])]
        check.that([code for code, _, _ in results] == [0] * 4
                   and content(os.path.join(work, "model.keras")) == content(os.path.join(plain, "model.keras")),
                   "mended and started again they come to the same bits", results)
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
        subprocess.run(["ip", "link", "del", bridge], check=False, capture_output=True)


def main():
    check = Checks()
    with tempfile.TemporaryDirectory() as folder:
        if "--slow" in sys.argv:
            first, second = os.path.join(folder, "first"), os.path.join(folder, "second")
            os.mkdir(first), os.mkdir(second)
            check.that(same_training(check, first, 4) == same_training(check, second, 4), "two runs have the same bits")
            killed_and_started_again(check, folder, 4, 20, seed=int(os.environ.get("TENON_SEED", "1")))
            slow_worker(check, folder)
            full_disk(check, folder)
            namespaces(check, folder)
        else:
            wrong_usage(check)
            manifests(check)
            same_training(check, folder, 2)
            sums_of_all_kinds(check, 2)
            killed_and_started_again(check, folder, 2, 1, seed=7)
            hang(check, folder)
            who_does_not_belong(check, folder)
            evaluator(check, folder)
    check.done()


if __name__ == "__main__":
    main()
