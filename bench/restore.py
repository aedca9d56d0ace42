"""Restore until the engine answers, and the time the service is away during a restore in place, seconds.
Peer: restic restore of the same snapshot's files, nothing started."""
from common import *


def main():
    a = arguments(3)
    new, away, whole, restic = [], [], [], []
    with Mainstay() as m, Scratch() as d:
        m.cli("cluster", "create", "pg-r", "--engine", "postgres", "--replicas", "1")
        m.pgbench("pg-r", "-i", "-q", "-s", str(a.scale))
        b = m.cli("backup", "create", "pg-r")
        key = d + "/key"
        m.cli("project", "recovery-key", "default", "--file", key)
        repo = next(os.path.join(p, "") for p, dirs, files in os.walk(m.dir + "/data/storages/local") if "config" in files)
        snapshot = b["copies"][0]["snapshot"]
        for i in range(a.rounds):
            seconds, _ = m.timed("restore", "run", b["id"], "--new", f"pg-n{i}"); new.append(seconds); m.drop(f"pg-n{i}")
            seconds, _ = m.timed("restore", "run", b["id"], "--to", "pg-r", "--yes"); whole.append(seconds)
            away.append(m.operation("restore_in_place")["output"]["away_seconds"])
            began = time.monotonic()
            run("restic", "-r", repo, "--password-file", key, "--no-cache", "restore", snapshot, "--target", f"{d}/out{i}")
            restic.append(time.monotonic() - began); shutil.rmtree(f"{d}/out{i}")
        peak = m.peak_memory()
    table("Restore of PostgreSQL to a new cluster until it answers, seconds", {"Mainstay": new, "restic restore, nothing started": restic}, f"{b['data_bytes'] / 1e6:.0f} MB. Peak memory of `mainstay up`: {peak / 1e6:.0f} MB.")
    table("Restore in place, seconds the service is away", {"Mainstay": away}, f"The whole of it with safety backup and the replica seeded again: {statistics.median(whole):.1f} s.")


main()
