"""Full backup, and the next one after scattered and after contiguous changes of about 2 % and 1 %: seconds, bytes added,
CPU, peak memory. Each peer works on a PostgreSQL of its own with the same statements run in it, in the same rounds."""
from peers import *


def statements(kind, scale):
    if kind == "pages":
        return []
    if kind == "events":
        return [f"create table pgbench_accounts as select g aid, md5(g::text)||md5((g*7)::text) h, "
                f"jsonb_build_object('k', g, 'v', md5((g*3)::text)) j, 0 abalance from generate_series(1, {scale * 50000}) g",
                "create index on pgbench_accounts(aid)"]
    return [f"create table pgbench_accounts as select g aid, 0 abalance, decode(string_agg(md5(random()::text || x::text), ''), 'hex') b "
            f"from generate_series(1, {scale * 4000}) g, generate_series(1, 60) x group by g", "create index on pgbench_accounts(aid)"]


def fill(kind, scale, pgbench, psql):
    if kind == "pages":
        pgbench("-i", "-q", "-s", str(scale))
    for sql in [*statements(kind, scale), "vacuum freeze", "checkpoint" if psql.__self__.__class__ is Postgres else "select 1"]:
        psql(sql)


def changes(psql):
    count = int(psql("select count(*) from pgbench_accounts"))
    # One row of every fiftieth page, wherever on it; a contiguous hundredth.
    per_page = max(1, count // max(1, int(psql("select pg_relation_size('pgbench_accounts') / 8192"))))
    return (("full", None), ("next, 2 % of pages, scattered", f"update pgbench_accounts set abalance = abalance + 1 where aid % {per_page * 50} = 7"),
            ("next, 1 % contiguous", f"update pgbench_accounts set abalance = abalance + 1 where aid between {count // 2} and {count // 2 + count // 100}"))


class Shop:
    def __init__(self, m, name):
        self.m, self.name = m, name

    def psql(self, sql):
        return self.m.psql(self.name, sql)

    def pgbench(self, *args):
        self.m.pgbench(self.name, *args)


def one(kind, a, rows):
    with Mainstay() as m, Scratch() as d:
        m.cli("cluster", "create", "pg-b", "--engine", "postgres")
        # Repositories are made before anything is timed, ours as its peers'.
        m.cli("backup", "create", "pg-b")
        shop, raw = Shop(m, "pg-b"), Postgres(d)
        try:
            for side in (shop, raw):
                fill(kind, a.scale, side.pgbench, side.psql)
            peers = [make(d, raw) for make in PEERS]
            for step, sql in changes(shop.psql):
                if sql:
                    shop.psql(sql), raw.psql(sql)
                figure, b = ours(m, lambda: m.cli("backup", "create", "pg-b", "--description", step))
                figure["added"], figure["size"] = b["copies"][0]["added_bytes"], b["data_bytes"]
                row = rows.setdefault((kind, step), {"Mainstay": []})
                row["Mainstay"].append(figure)
                for peer in random.sample(peers, len(peers)):
                    row.setdefault(peer.name, []).append(peer.backup())
        finally:
            raw.stop()


def main():
    a = arguments(3)
    rows = {}
    for _ in range(a.rounds):
        for kind in ("pages", "events", "random"):
            one(kind, a, rows)
    for (kind, step), row in rows.items():
        read = statistics.median(f["size"] for f in row["Mainstay"])
        figures(f"Backup of PostgreSQL, {kind}: {step}", row, f"{read / 1e6:.0f} MB. Mainstay reads every new byte back before the backup counts; its peers do not.")


main()
