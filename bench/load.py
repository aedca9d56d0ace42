"""What a backup does to a running writer: the 99th percentile of single-row commits by 2 clients at 200 a second, idle and
while a backup is taken from a replica, from the primary, and by `pg_basebackup` into restic; and, to tell a backup from a
machine that is merely busy, beside one process that only computes in the last scheduling class. Milliseconds; ten rounds or more."""
from peers import *


class Writer:
    """pgbench at a fixed rate, keeping each transaction's latency."""
    SCRIPT = "\\set a random(1, 100000)\nupdate pgbench_accounts set abalance = abalance + 1 where aid = :a;\n"

    def __init__(self, d, connect, env):
        self.dir, self.connect, self.env = tempfile.mkdtemp(dir=d), connect, env
        open(self.dir + "/one.sql", "w").write(self.SCRIPT)

    def during(self, act, at_least=4.0):
        """The 99th percentile in ms over the time `act` took, or `at_least` so many seconds."""
        p = subprocess.Popen([pg("pgbench"), "-n", "-c", "2", "-j", "1", "-R", "200", "-T", "600", "--log", "-f", "one.sql", *self.connect],
                             cwd=self.dir, env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(1.0)
        began = time.time()
        while True:
            act()
            if time.time() - began >= at_least:
                break
        ended = time.time()
        p.send_signal(signal.SIGINT); p.wait()
        took = []
        for log in os.listdir(self.dir):
            if log.startswith("pgbench_log"):
                for line in open(f"{self.dir}/{log}"):
                    f = line.split()
                    # The last line may be cut off where it was interrupted.
                    if len(f) >= 6 and line.endswith("\n") and began <= int(f[4]) + int(f[5]) / 1e6 <= ended:
                        took.append(int(f[2]) / 1000)
                os.unlink(f"{self.dir}/{log}")
        if len(took) < 200:
            raise SystemExit(f"only {len(took)} transactions were seen")
        return sorted(took)[int(len(took) * 0.99)]


def main():
    a = arguments(10)
    idle, busy, replica, primary, raw_idle, restic = [], [], [], [], [], []
    compute = ["chrt", "-i", "0", "timeout", "4", "sha256sum", "/dev/zero"]
    with Mainstay() as m, Scratch() as d:
        for name, replicas in (("pg-two", "1"), ("pg-one", "0")):
            m.cli("cluster", "create", name, "--engine", "postgres", "--replicas", replicas) if replicas != "0" else m.cli("cluster", "create", name, "--engine", "postgres")
            m.pgbench(name, "-i", "-q", "-s", str(a.scale))
        raw = Postgres(d)
        try:
            raw.pgbench("-i", "-q", "-s", str(a.scale))
            peer = Restic(d, raw, stream=True)
            def writer(name):
                c = m.cli("cluster", "credentials", name)
                return Writer(d, ["-h", c["host"], "-p", str(c["port"]), "-U", c["user"], c["database"]], dict(os.environ, PGPASSWORD=c["password"]))
            two, one, by_hand = writer("pg-two"), writer("pg-one"), Writer(d, ["-h", raw.host, "-U", "postgres", "postgres"], dict(os.environ))
            for _ in range(a.rounds):
                idle.append(two.during(lambda: time.sleep(4)))
                busy.append(two.during(lambda: subprocess.run(compute)))
                replica.append(two.during(lambda: m.cli("backup", "create", "pg-two")))
                primary.append(one.during(lambda: m.cli("backup", "create", "pg-one")))
                raw_idle.append(by_hand.during(lambda: time.sleep(4)))
                restic.append(by_hand.during(peer.backup))
        finally:
            raw.stop()
    table("Writers during a backup, 99th percentile of a commit, ms", {
        "during Mainstay's from a replica": replica, "idle, through the endpoint": idle, "idle, beside a process that computes": busy, "during Mainstay's from the primary": primary,
        "idle, a raw server": raw_idle, "during `pg_basebackup` into restic": restic})
    ratio = lambda x, y: statistics.median(p / q for p, q in zip(x, y))
    print(f"\nfrom a replica / idle {ratio(replica, idle):.2f}, / beside a process that computes {ratio(replica, busy):.2f}; from the primary / restic pipeline {ratio(primary, restic):.2f}; restic pipeline / raw idle {ratio(restic, raw_idle):.2f}")


if __name__ == "__main__":
    main()
