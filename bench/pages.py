"""What the next backup has to store: changed pages alone, pieces of 64 and 32 KiB, and PostgreSQL 17's own incremental.
Needs python3-zstandard, the command zstd, and PostgreSQL 17 below a folder of MAINSTAY_ENGINE_DIRS or the system."""
from common import *
import glob, zstandard

FOLDERS = ["/"] + [d for d in os.environ.get("MAINSTAY_ENGINE_DIRS", "").split(":") if d] + glob.glob(ROOT + "/.deps/*")
BINS = [b for b in (os.path.realpath(d) + "/usr/lib/postgresql/17/bin/" for d in FOLDERS) if os.path.exists(b + "postgres")]
USER = "postgres" if os.geteuid() == 0 else None
PIECE_COST = 41  # what the format adds to a piece
squeeze = zstandard.ZstdCompressor(level=1).compress
STEPS = (("1 row in 5000", "aid % 5000 = 7"), ("1 row in 500", "aid % 500 = 7"), ("contiguous 1 %", "aid between {0} / 2 and {0} / 2 + {0} / 100"))


class Server:
    def __init__(self, home):
        self.home = home
        self.tool("initdb", "-D", home + "/d", "-A", "trust", "-U", "postgres", "--no-sync")
        settings = f"-c listen_addresses= -c unix_socket_directories={home} -c summarize_wal=on -c wal_log_hints=on -c max_wal_size=4GB"
        self.tool("pg_ctl", "-D", home + "/d", "-o", settings, "-l", home + "/log", "-w", "start")

    def tool(self, name, *args):
        # What a server inherits stays open as long as it runs.
        kw = {"user": USER, "group": USER, "extra_groups": []} if USER else {}
        subprocess.run([BINS[0] + name, *args], check=True, cwd=self.home, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **kw)

    def sql(self, text):
        return run("psql", "-X", "-At", "-h", self.home, "-U", "postgres", "-c", text).strip()

    def fill(self, kind, scale):
        if kind == "pages":
            run(pg("pgbench"), "-h", self.home, "-U", "postgres", "-i", "-q", "-s", str(scale), "postgres")
        elif kind == "events":
            self.sql(f"create table pgbench_accounts as select g aid, md5(g::text)||md5((g*7)::text) h, jsonb_build_object('k', g, 'v', md5((g*3)::text)) j, 0 abalance from generate_series(1, {scale * 50000}) g")
            self.sql("create index on pgbench_accounts(aid)")
        else:
            self.sql(f"create table pgbench_accounts as select g aid, 0 abalance, decode(string_agg(md5(random()::text || x::text), ''), 'hex') b from generate_series(1, {scale * 4000}) g, generate_series(1, 60) x group by g")
            self.sql("create index on pgbench_accounts(aid)")
        self.sql("vacuum freeze")

    def keep(self, to):
        self.sql("checkpoint")
        shutil.copytree(self.home + "/d/base", to)

    def backup(self, to, on=None):
        began = time.monotonic()
        self.tool("pg_basebackup", "-h", self.home, "-U", "postgres", "-D", to, "-c", "fast", "--no-sync", *(["--incremental", on + "/backup_manifest"] if on else []))
        return time.monotonic() - began


def changed(old, new):
    """Bytes to store: pages gathered, pieces of 64 KiB, pieces of 32 KiB."""
    pages, totals = bytearray(), {65536: 0, 32768: 0}
    for folder, _, names in os.walk(new):
        for name in names:
            path = os.path.join(folder, name)
            before = old + path[len(new):]
            a, b = open(path, "rb").read(), open(before, "rb").read() if os.path.exists(before) else b""
            for n in totals:
                totals[n] += sum(len(squeeze(a[i:i + n])) + PIECE_COST for i in range(0, len(a), n) if a[i:i + n] != b[i:i + n])
            for i in range(0, len(a), 8192):
                if a[i:i + 8192] != b[i:i + 8192]:
                    pages += a[i:i + 8192]
    gathered = sum(len(squeeze(bytes(pages[i:i + 65536]))) + PIECE_COST for i in range(0, len(pages), 65536))
    return gathered, totals[65536], totals[32768]


def packed(folder):
    tar = subprocess.Popen(["tar", "-C", folder, "--exclude=pg_wal", "-cf", "-", "."], stdout=subprocess.PIPE)
    out = subprocess.run(["zstd", "-1", "-q"], stdin=tar.stdout, capture_output=True, check=True).stdout
    return len(out)


def main():
    a = arguments(1, scale=12)
    if not BINS:
        raise SystemExit("PostgreSQL 17 is not here: scripts/fetch-postgres.sh")
    print("| set | change | pages MB | 64 KiB MB | 32 KiB MB | PostgreSQL MB | 64 KiB / pages |\n|---|---|---|---|---|---|---|")
    for kind in ("pages", "events", "random"):
        with Scratch() as home:
            server = Server(home)
            try:
                server.fill(kind, a.scale)
                rows = server.sql("select count(*) from pgbench_accounts")
                server.keep(home + "/c")
                server.backup(home + "/b")
                last = home + "/b"
                for n, (step, where) in enumerate(STEPS):
                    server.sql("update pgbench_accounts set abalance = abalance + 1 where " + where.format(rows))
                    server.keep(home + "/next")
                    sizes = changed(home + "/c", home + "/next")
                    server.backup(f"{home}/b{n}", last)
                    last = f"{home}/b{n}"
                    mb = [f"{s / 1e6:.2f}" for s in (*sizes, packed(last))]
                    print(f"| {kind} | {step} | {' | '.join(mb)} | {sizes[1] / sizes[0]:.2f} |", flush=True)
                    shutil.rmtree(home + "/c")
                    os.rename(home + "/next", home + "/c")
            finally:
                server.tool("pg_ctl", "-D", home + "/d", "-m", "immediate", "stop")


main()
