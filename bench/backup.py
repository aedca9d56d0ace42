"""Full backup, and the next one after scattered and after contiguous changes: seconds and bytes added.
Peers read the same data directory in the same rounds: restic of the directory; tar shows what reading alone takes."""
from common import *


def restic(repo, path, env):
    before, began = size(repo), time.monotonic()
    run("restic", "-r", repo, "backup", "--quiet", path, env=env)
    return time.monotonic() - began, size(repo) - before


def tar(m, name):
    with Scratch() as d:
        began = time.monotonic()
        run("tar", "-C", m.data_of(name), "-cf", d + "/all.tar", ".", check=False)
        return time.monotonic() - began


def fill(m, name, kind, scale):
    if kind == "pages":
        m.pgbench(name, "-i", "-q", "-s", str(scale))
    elif kind == "events":
        m.psql(name, f"create table pgbench_accounts as select g aid, md5(g::text)||md5((g*7)::text) h, jsonb_build_object('k', g, 'v', md5((g*3)::text)) j, 0 abalance from generate_series(1, {scale * 50000}) g; create index on pgbench_accounts(aid)")
    else:
        m.psql(name, f"create table pgbench_accounts as select g aid, 0 abalance, decode(string_agg(md5(random()::text || x::text), ''), 'hex') b from generate_series(1, {scale * 4000}) g, generate_series(1, 60) x group by g; create index on pgbench_accounts(aid)")


def one(kind, a, rows):
    with Mainstay() as m, Scratch() as d:
        env = dict(os.environ, RESTIC_PASSWORD="bench", RESTIC_CACHE_DIR=d + "/cache")
        m.cli("cluster", "create", "pg-b", "--engine", "postgres")
        fill(m, "pg-b", kind, a.scale)
        m.psql("pg-b", "vacuum freeze"); m.psql("pg-b", "select 1")
        count = int(m.psql("pg-b", "select count(*) from pgbench_accounts"))
        run("restic", "-r", d + "/repo", "init", env=env)
        steps = (("full", None), ("next, scattered", f"update pgbench_accounts set abalance = abalance + 1 where aid % 5000 = 7"),
                 ("next, contiguous", f"update pgbench_accounts set abalance = abalance + 1 where aid between {count // 2} and {count // 2 + count // 100}"))
        for step, sql in steps:
            if sql:
                m.psql("pg-b", sql); m.psql("pg-b", "select 1")
            ours, b = m.timed("backup", "create", "pg-b", "--description", step)
            theirs, added = restic(d + "/repo", m.data_of("pg-b"), env)
            r = rows.setdefault((kind, step), {"Mainstay": [], "restic of the directory": [], "tar of the directory, nothing else": [], "added": [], "restic added": [], "size": []})
            r["Mainstay"].append(ours); r["restic of the directory"].append(theirs); r["tar of the directory, nothing else"].append(tar(m, "pg-b"))
            r["added"].append(b["copies"][0]["added_bytes"]); r["restic added"].append(added); r["size"].append(b["data_bytes"])
        return m.peak_memory()


def main():
    a = arguments(3)
    rows, peak = {}, 0
    for _ in range(a.rounds):
        for kind in ("pages", "events", "random"):
            peak = max(peak, one(kind, a, rows))
    for (kind, step), r in rows.items():
        mb = lambda k: f"{statistics.median(r[k]) / 1e6:.1f} MB"
        seconds = {k: v for k, v in r.items() if k not in ("added", "restic added", "size")}
        table(f"Backup of PostgreSQL {kind} {step}, seconds", seconds, f"{mb('size')} read; added by Mainstay {mb('added')}, by restic {mb('restic added')}. Mainstay reads every new byte back before it counts; its peers do not.")
    print(f"\nPeak memory of `mainstay up` over all of it: {peak / 1e6:.0f} MB.")


main()
