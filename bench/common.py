"""What the benchmarks share: a Mainstay of their own, raw engines as peers, interleaved rounds, medians."""
import argparse, json, os, random, shutil, signal, socket, statistics, subprocess, sys, tempfile, time, urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BIN = os.environ.get("BIN", os.path.join(ROOT, "target/release/mainstay"))


def arguments(rounds, scale=20):
    p = argparse.ArgumentParser()
    p.add_argument("--rounds", type=int, default=rounds)
    p.add_argument("--scale", type=int, default=scale, help="pgbench scale: about 15 MB each")
    return p.parse_args()


def free_port(host="127.0.0.1"):
    with socket.socket() as s:
        s.bind((host, 0))
        return s.getsockname()[1]


def run(*argv, env=None, stdin=None, user=None, check=True):
    kw = {"user": user, "group": user, "extra_groups": []} if user and os.geteuid() == 0 else {}
    r = subprocess.run(list(argv), env=env, input=stdin, capture_output=True, text=True, **kw)
    if check and r.returncode:
        raise SystemExit(f"{' '.join(argv)}: {r.returncode}: {r.stderr[-600:]}{r.stdout[-300:]}")
    return r.stdout


class Mainstay:
    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix="mainstay-bench-")
        os.chmod(self.dir, 0o755)
        self.url = f"http://127.0.0.1:{free_port()}"
        self.log = open(self.dir + "/up.log", "ab")
        self.proc = subprocess.Popen([BIN, "up", "--data-dir", self.dir + "/data", "--listen", self.url[7:]], stdout=self.log, stderr=self.log)
        for _ in range(600):
            try:
                if urllib.request.urlopen(self.url + "/readyz", timeout=1).status == 200:
                    break
            except OSError:
                time.sleep(0.05)
        self.env = dict(os.environ, MAINSTAY_SERVER=self.url, MAINSTAY_TOKEN=open(self.dir + "/data/admin.token").read().strip())
        return self

    def cli(self, *args):
        out = run(BIN, *args, "--output", "json", env=self.env)
        return json.loads(out) if out.strip() else None

    def timed(self, *args):
        began = time.monotonic()
        out = self.cli(*args)
        return time.monotonic() - began, out

    def peak_memory(self):
        return int(next(l for l in open(f"/proc/{self.proc.pid}/status") if l.startswith("VmHWM")).split()[1]) * 1024

    def memory(self):
        return int(next(l for l in open(f"/proc/{self.proc.pid}/status") if l.startswith("VmRSS")).split()[1]) * 1024

    def operation(self, kind):
        return next(o for o in self.cli("operation", "list") if o["kind"] == kind)

    def drop(self, cluster):
        self.cli("cluster", "delete", cluster, "--yes", "--skip-final-backup")

    def psql(self, cluster, sql):
        c = self.cli("cluster", "credentials", cluster)
        env = dict(os.environ, PGPASSWORD=c["password"])
        return run("psql", "-h", c["host"], "-p", str(c["port"]), "-U", c["user"], "-d", c["database"], "-Atqc", sql, env=env).strip()

    def pgbench(self, cluster, *args):
        c = self.cli("cluster", "credentials", cluster)
        env = dict(os.environ, PGPASSWORD=c["password"])
        run(pg("pgbench"), "-h", c["host"], "-p", str(c["port"]), "-U", c["user"], *args, c["database"], env=env)

    def data_of(self, cluster):
        node = next(n for n in self.cli("cluster", "show", cluster)["nodes"] if n["role"] == "primary")
        return f"{self.dir}/data/nodes/{node['id']}/data"

    def __exit__(self, *_):
        run(BIN, "down", "--engines", "--data-dir", self.dir + "/data", env=self.env, check=False)
        self.proc.wait(30)
        shutil.rmtree(self.dir, ignore_errors=True)


def pg(tool):
    versions = sorted(os.listdir("/usr/lib/postgresql"), key=int)
    return f"/usr/lib/postgresql/{versions[-1]}/bin/{tool}"


def address():
    return f"127.{random.randint(1, 60)}.{random.randint(1, 250)}.{random.randint(1, 250)}"


def size(path):
    return sum(os.lstat(os.path.join(d, f)).st_size for d, _, files in os.walk(path) for f in files)


class Scratch:
    """A directory that the engine's user may enter, gone afterwards."""
    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix="peer-")
        os.chmod(self.path, 0o777)
        return self.path

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)


def table(title, rows, note=""):
    """rows: name -> list of numbers, the first row being ours."""
    print(f"\n### {title}\n\n| | median | min | max | rounds | ours / this, median of rounds |\n|---|---|---|---|---|---|")
    ours = next(iter(rows.values()))
    for name, values in rows.items():
        ratios = [o / v for o, v in zip(ours, values) if v]
        ratio = f"{statistics.median(ratios):.2f}" if values is not ours and ratios else ""
        print(f"| {name} | {statistics.median(values):.3g} | {min(values):.3g} | {max(values):.3g} | {len(values)} | {ratio} |")
    if note:
        print("\n" + note)
    os.makedirs(os.path.join(ROOT, "bench/out"), exist_ok=True)
    with open(os.path.join(ROOT, "bench/out", title.split(",")[0].replace(" ", "-").lower() + ".json"), "w") as f:
        json.dump(rows, f, indent=1)
    sys.stdout.flush()
