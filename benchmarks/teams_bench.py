#!/usr/bin/env python3
"""Does each step of a model get the team that its work pays for? Every step timed with teams of 1, 2, 4, ... beside the team it gets.

    ./dev bench teams
    teams_bench.py --tenon build/tenon --models DIR [--threads 16] [--rows mlp.256,mnist_cnn.64.train] [--seconds 1] [--steps 5]

Needs nothing but Python and the program; DIR is scaling_bench.py's. Of each model and batch: `ms` is what its steps take together,
`best` what they would take if each had the best of the teams tried, `by_team` what they take when all have the same. Below it the
steps that lose most: the team they get and the best one, with the ms of both, and of one thread beside what was estimated.
"""
import argparse
import json
import os
import subprocess
import tempfile

import scaling_bench

ROWS = [("mlp", 256, False), ("mnist_cnn", 64, False), ("mlp_large", 64, False), ("mobilenetv2", 1, False), ("mlp", 64, True),
        ("mnist_cnn", 64, True)]


def steps_of(tenon, models, row, threads, seconds, team):
    """ms of each step in a run, its threads and its estimate, by (op, node, shapes). `team` 0: what its work pays for."""
    environment = {**os.environ, "TENON_TEAM": str(team)}
    words = scaling_bench.command(tenon, models, row, threads, seconds, "--profile", "--json")
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}: {done.stderr.strip()}")
    line = json.loads(done.stdout.strip().splitlines()[-1])
    return {(step["op"], step["node"], step["shapes"]): step for step in line["steps"]}


def teams_up_to(threads):
    return [team for team in (1, 2, 4, 8, 16, 32, 64) if team < threads] + [threads]


def judge(tenon, models, row, threads, seconds, shown):
    by_team = {team: steps_of(tenon, models, row, threads, seconds, team) for team in teams_up_to(threads)}
    got = steps_of(tenon, models, row, threads, seconds, 0)
    found, best_of_all = [], 0.0
    for key, step in got.items():
        times = {team: steps[key]["ms"] for team, steps in by_team.items() if key in steps}
        team = min(times, key=times.get, default=step["threads"])
        best = min(times.get(team, step["ms"]), step["ms"])
        best_of_all += best
        found.append({"op": step["op"], "shapes": step["shapes"], "team": step["threads"], "ms": step["ms"], "best team": team, "best ms": best,
                      "one thread": times.get(1), "estimated": round(step["estimated_ms"] * step["runs"], 6)})
    found.sort(key=lambda step: step["best ms"] - step["ms"])
    sums = {team: round(sum(step["ms"] for step in steps.values()), 4) for team, steps in by_team.items()}
    return {"figure": f"{row[0]} b{row[1]}{' training step' if row[2] else ''}, {threads} threads",
            "ms": round(sum(step["ms"] for step in got.values()), 4), "best": round(best_of_all, 4), "by_team": sums, "steps": found[:shown]}


def figures(tenon, models=None, threads=None, rows=None, seconds=1.0, shown=5):
    with tempfile.TemporaryDirectory() as folder:
        models = models or folder
        if not os.path.exists(os.path.join(models, "mlp.json")):
            scaling_bench.write_models(models)
        for row in rows or ROWS:
            yield judge(tenon, models, row, threads or len(os.sched_getaffinity(0)), seconds, shown)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tenon", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "build", "tenon"))
    parser.add_argument("--models")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--rows", help="MODEL.BATCH or MODEL.BATCH.train, by commas")
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--steps", type=int, default=5, help="how many steps of a row are shown")
    options = parser.parse_args()
    rows = [(words[0], int(words[1]), len(words) > 2) for words in (row.split(".") for row in options.rows.split(","))] if options.rows else None
    for figure in figures(os.path.abspath(options.tenon), options.models, options.threads, rows, options.seconds, options.steps):
        print(json.dumps(figure), flush=True)


if __name__ == "__main__":
    main()
