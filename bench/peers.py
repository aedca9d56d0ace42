"""What a user would run instead, on a PostgreSQL of its own with the same data. Each act tells its seconds, the CPU
seconds and the peak memory of all that ran for it, and the bytes it added to where it writes."""
from common import *
import resource

USER = "postgres" if os.geteuid() == 0 else None


class Figure(dict):
    """seconds, cpu, rss, added"""


def _as(user):
    return {"user": user, "group": user, "extra_groups": []} if user and os.geteuid() == 0 else {}


def pipeline(*stages, env=None, user=None, out=None, cwd=None, tolerate=()):
    """Runs programs one into the other and waits for them all; the last writes to `out` or nowhere."""
    began, procs = time.monotonic(), []
    with tempfile.TemporaryFile() as errors, open(out or os.devnull, "wb") as end:
        for i, argv in enumerate(stages):
            last = i == len(stages) - 1
            procs.append(subprocess.Popen(list(argv), env=env, cwd=cwd, stdin=procs[-1].stdout if procs else subprocess.DEVNULL,
                                          stdout=end if last else subprocess.PIPE, stderr=errors, **_as(user)))
            if i:
                procs[i - 1].stdout.close()
        cpu = rss = 0
        codes = []
        for p in procs:
            _, status, used = os.wait4(p.pid, 0)
            p.returncode = os.waitstatus_to_exitcode(status)
            codes.append(p.returncode)
            cpu, rss = cpu + used.ru_utime + used.ru_stime, rss + used.ru_maxrss * 1024
        seconds = time.monotonic() - began
        if any(c and c not in tolerate for c in codes):
            errors.seek(0)
            raise SystemExit(f"{stages}: {codes}: {errors.read().decode(errors='replace')[-800:]}")
    return Figure(seconds=seconds, cpu=cpu, rss=rss)


def adding(place, act):
    before = size(place)
    figure = act()
    figure["added"] = size(place) - before
    return figure


class Postgres:
    """A server by hand, with what backups of it need, under `dir`, which its user may enter."""
    def __init__(self, dir, name="raw", bin=None):
        self.bin = bin or (lambda tool: pg(tool))
        self.data, self.host, self.sock = f"{dir}/{name}", address(), f"{dir}/{name}-s"
        os.mkdir(self.sock); os.chmod(self.sock, 0o777)
        run(self.bin("initdb"), "-D", self.data, "-U", "postgres", "--auth=trust", "-k", user=USER)
        with open(self.data + "/postgresql.conf", "a") as f:
            f.write(f"listen_addresses='{self.host}'\nunix_socket_directories='{self.sock}'\nwal_level=replica\nmax_wal_senders=10\n"
                    "max_wal_size='4GB'\narchive_mode=on\narchive_command='/bin/true'\n")
        with open(self.data + "/pg_hba.conf", "a") as f:
            f.write("host all all 127.0.0.0/8 trust\nhost replication all 127.0.0.0/8 trust\n")
        self.start()

    def start(self, data=None):
        argv = [self.bin("pg_ctl"), "-D", data or self.data, "-w", "-t", "120", "-l", self.data + ".log", "start"]
        if subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **_as(USER)).returncode:
            raise SystemExit(f"{argv}: {open(self.data + '.log').read()[-1500:]}")

    def stop(self, data=None):
        run(self.bin("pg_ctl"), "-D", data or self.data, "-m", "fast", "stop", user=USER, check=False)

    def psql(self, sql, db="postgres"):
        return run("psql", "-h", self.host, "-U", "postgres", "-d", db, "-Atqc", sql).strip()

    def pgbench(self, *args):
        run(pg("pgbench"), "-h", self.host, "-U", "postgres", *args, "postgres")

    def base(self, *more):
        return [self.bin("pg_basebackup"), "-h", self.host, "-U", "postgres", "-c", "fast", "-X", "fetch", *more]


class PgBackRest:
    name = "pgBackRest, zst 3"

    def __init__(self, dir, server):
        self.repo, self.server, self.full = f"{dir}/pgbackrest", server, None
        os.mkdir(self.repo); os.chmod(self.repo, 0o777)
        self.options = ["--stanza=bench", f"--repo1-path={self.repo}", f"--pg1-path={server.data}", f"--pg1-socket-path={server.sock}",
                        "--pg1-user=postgres", "--compress-type=zst", "--compress-level=3", "--process-max=2",
                        "--start-fast", f"--log-path={self.repo}", f"--lock-path={self.repo}", "--log-level-console=error", "--config=/dev/null"]
        pipeline(["pgbackrest", *self._for("--compress", "--start-fast", "--process-max"), "stanza-create"], user=USER)
        # What it restores starts only with the log that it was given.
        push = " ".join(["pgbackrest", *self._for("--compress", "--start-fast", "--process-max", "--pg1-socket", "--pg1-user"), "archive-push", "%p"])
        server.psql(f"alter system set archive_command = '{push}'"); server.psql("select pg_reload_conf()")

    def _for(self, *less):
        """The options of a command that does not know all of them."""
        return [o for o in self.options if not o.startswith(less)]

    def backup(self):
        kind, self.full = ("incr" if self.full else "full"), True
        return adding(self.repo, lambda: pipeline(["pgbackrest", *self.options, f"--type={kind}", "backup"], user=USER))

    def restore(self, target):
        os.mkdir(target); os.chmod(target, 0o700); shutil.chown(target, USER or os.getuid(), USER or os.getgid())
        less = self._for("--compress", "--start-fast", "--pg1-socket", "--pg1-user")
        options = [f"--pg1-path={target}" if o.startswith("--pg1-path") else o for o in less]
        return pipeline(["pgbackrest", *options, "restore"], user=USER)


class Restic:
    def __init__(self, dir, server, stream=False):
        self.repo, self.server, self.stream = f"{dir}/restic-{stream}", server, stream
        self.name = "restic of `pg_basebackup`'s stream" if stream else "restic of the directory"
        self.env = dict(os.environ, RESTIC_PASSWORD="bench", RESTIC_CACHE_DIR=f"{dir}/restic-cache-{stream}")
        run("restic", "-r", self.repo, "init", env=self.env)

    def backup(self):
        back = ["restic", "-r", self.repo, "backup", "--quiet"]
        if self.stream:
            return adding(self.repo, lambda: pipeline(self.server.base("-D", "-", "-Ft"), [*back, "--stdin", "--stdin-filename", "base.tar"], env=self.env))
        # 3: a file changed or vanished while it was read, which a directory in use does.
        return adding(self.repo, lambda: pipeline([*back, self.server.data], env=self.env, tolerate=(3,)))

    def restore(self, target):
        if not self.stream:
            return pipeline(["restic", "-r", self.repo, "restore", "latest", "--target", target, "--quiet"], env=self.env)
        os.mkdir(target)
        return pipeline(["restic", "-r", self.repo, "dump", "latest", "base.tar", "--quiet"], ["tar", "-x"], env=self.env, cwd=target)


class Borg:
    name = "borg of `pg_basebackup`'s stream, zstd 1"

    def __init__(self, dir, server):
        self.repo, self.server, self.count = f"{dir}/borg", server, 0
        self.env = dict(os.environ, BORG_PASSPHRASE="bench", BORG_BASE_DIR=f"{dir}/borg-home", BORG_RELOCATED_REPO_ACCESS_IS_OK="yes")
        run("borg", "init", "-e", "repokey-blake2", self.repo, env=self.env)

    def backup(self):
        self.count += 1
        create = ["borg", "create", "-C", "zstd,1", f"{self.repo}::{self.count}", "-"]
        return adding(self.repo, lambda: pipeline(self.server.base("-D", "-", "-Ft"), create, env=self.env))

    def restore(self, target):
        os.mkdir(target)
        return pipeline(["borg", "extract", "--stdout", f"{self.repo}::{self.count}"], ["tar", "-x"], env=self.env, cwd=target)


class BaseBackup:
    """The server's own, compressed by itself: nothing deduplicated, nothing encrypted, a whole one each time."""
    name = "`pg_basebackup`, server zstd 1"

    def __init__(self, dir, server):
        self.dir, self.server, self.count = f"{dir}/basebackup", server, 0
        os.mkdir(self.dir); os.chmod(self.dir, 0o777)

    def backup(self):
        self.count += 1
        self.last = f"{self.dir}/{self.count}"
        return adding(self.dir, lambda: pipeline(self.server.base("-D", self.last, "-Ft", "--compress=server-zstd:1")))

    def restore(self, target):
        os.mkdir(target)
        figure = pipeline(["zstd", "-dc", self.last + "/base.tar.zst"], ["tar", "-x"], cwd=target)
        began = time.monotonic()
        run("sync", "-f", target)
        figure["seconds"] += time.monotonic() - began
        return figure


PEERS = [PgBackRest, Restic, lambda d, s: Restic(d, s, stream=True), Borg, BaseBackup]


def ours(m, act):
    """What `act`, which makes Mainstay work, costs the process of Mainstay. (Engines' own work is in nobody's figure.)"""
    pid = m.proc.pid
    open(f"/proc/{pid}/clear_refs", "w").write("5")
    used = lambda: sum(int(f) for f in open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[11:15]) / os.sysconf("SC_CLK_TCK")
    before, began = used(), time.monotonic()
    out = act()
    return Figure(seconds=time.monotonic() - began, cpu=used() - before, rss=m.peak_memory()), out


def figures(title, rows, note=""):
    """rows: name -> list of Figure, ours first. Seconds with the ratio round by round, bytes added, CPU, memory."""
    first = next(iter(rows.values()))
    mid = lambda values, unit=1: f"{statistics.median(values) / unit:.3g}" if values else "-"
    print(f"\n### {title}\n\n| | seconds, median (min to max) | ours / this | adds, MB | CPU, s | peak memory, MB |\n|---|---|---|---|---|---|")
    for name, row in rows.items():
        seconds = [f["seconds"] for f in row]
        ratio = "" if row is first else f"{statistics.median([o['seconds'] / f['seconds'] for o, f in zip(first, row)]):.2f}"
        cells = [mid([f[k] for f in row if k in f], unit) for k, unit in (("added", 1e6), ("cpu", 1), ("rss", 1e6))]
        print(f"| {name} | {mid(seconds)} ({min(seconds):.3g} to {max(seconds):.3g}) | {ratio} | {' | '.join(cells)} |")
    print(f"\n{len(first)} rounds. {note}")
    os.makedirs(os.path.join(ROOT, "bench/out"), exist_ok=True)
    name = "".join(c if c.isalnum() else "-" for c in title.lower())
    with open(os.path.join(ROOT, f"bench/out/{name}.json"), "w") as f:
        json.dump(rows, f, indent=1)
    sys.stdout.flush()
