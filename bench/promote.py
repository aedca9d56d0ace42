"""Planned promotion as a client of the endpoint sees it: the longest time between two acknowledged writes, in seconds.
Peer for the Redis family: FAILOVER between two raw servers, seen by a client that tries both."""
import threading
from common import *


class Writer(threading.Thread):
    """Writes one after the other, reconnecting at once; keeps the time of each acknowledgement."""
    def __init__(self, write):
        super().__init__(daemon=True)
        self.write, self.acks, self.stop = write, [], False

    def run(self):
        while not self.stop:
            try:
                self.write()
                self.acks.append(time.monotonic())
            except Exception:
                time.sleep(0.002)

    def longest(self):
        return max(b - a for a, b in zip(self.acks, self.acks[1:]))


class Resp:
    """Just enough of the Redis protocol for one client."""
    def __init__(self, hosts, user=None, password=None):
        self.hosts, self.auth, self.sock = hosts, (user, password), None

    def call(self, *parts):
        out = b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p.encode()), p.encode()) for p in parts)
        self.sock.sendall(out)
        line = self.file.readline()
        if not line or line.startswith(b"-"):
            raise OSError(line)

    def write(self):
        try:
            if self.sock is None:
                host, port = self.hosts[0]
                self.sock = socket.create_connection((host, port), timeout=12)
                self.file = self.sock.makefile("rb")
                if self.auth[1]:
                    self.call("AUTH", *self.auth)
            self.call("INCR", "n")
        except OSError:
            if self.sock:
                self.sock.close()
            self.sock = None
            self.hosts = self.hosts[1:] + self.hosts[:1]
            raise


class Sql:
    """A psql fed line by line: one connection, one acknowledged insert a call."""
    def __init__(self, c):
        self.c, self.p = c, None

    def write(self):
        if self.p is None or self.p.poll() is not None:
            env = dict(os.environ, PGPASSWORD=self.c["password"], PGCONNECT_TIMEOUT="12")
            argv = ["psql", "-h", self.c["host"], "-p", str(self.c["port"]), "-U", self.c["user"], "-d", self.c["database"], "-Atq", "-v", "ON_ERROR_STOP=1"]
            self.p = subprocess.Popen(argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.p.stdin.write("insert into w default values returning 1;\n"); self.p.stdin.flush()
        if not self.p.stdout.readline().strip():
            self.p.kill(); self.p.wait(); self.p = None
            raise OSError("cut")


def measure(writer, act):
    writer.start(); time.sleep(1.5)
    act(); time.sleep(1.0)
    writer.stop = True; writer.join(15)
    return writer.longest()


def raw_failover():
    with Scratch() as d:
        hosts, procs = [address(), address()], []
        try:
            for i, h in enumerate(hosts):
                os.makedirs(f"{d}/{i}")
                extra = ["--replicaof", hosts[0], "6379"] if i else ["--repl-diskless-sync-delay", "0"]
                procs.append(subprocess.Popen(["redis-server", "--bind", h, "--dir", f"{d}/{i}", "--replica-announce-ip", h, "--appendonly", "yes", *extra], stdout=subprocess.DEVNULL))
            while "master_link_status:up" not in run("redis-cli", "-h", hosts[1], "info", "replication", check=False):
                time.sleep(0.01)
            return measure(Writer(Resp([(h, 6379) for h in hosts]).write), lambda: run("redis-cli", "-h", hosts[0], "failover", "to", hosts[1], "6379"))
        finally:
            for p in procs:
                p.kill(); p.wait()


def main():
    a = arguments(5)
    with Mainstay() as m:
        engines = {e["name"]: e for e in m.cli("engine", "list")}
        kv = "valkey" if engines["valkey"]["available"] else "redis"
        m.cli("cluster", "create", "pg-p", "--engine", "postgres", "--replicas", "1")
        m.cli("cluster", "create", "kv-p", "--engine", kv, "--replicas", "1")
        m.psql("pg-p", "create table w(i bigserial)")
        gaps = {"pg-p": [], "kv-p": []}
        raw = []
        for i in range(a.rounds):
            for name in gaps:
                c = m.cli("cluster", "credentials", name)
                writer = Writer(Sql(c).write if name == "pg-p" else Resp([(c["host"], c["port"])], c["user"], c["password"]).write)
                gaps[name].append(measure(writer, lambda: m.cli("node", "promote", name, f"{name}-{2 - i % 2}", "--yes")))
            raw.append(raw_failover())
        table("Planned promotion of PostgreSQL, longest gap between two acknowledged writes, seconds", {"Mainstay": gaps["pg-p"]})
        table(f"Planned promotion of {kv}, longest gap between two acknowledged writes, seconds", {"Mainstay": gaps["kv-p"], "FAILOVER by hand": raw})


main()
