"""Deploy a primary and a replica: seconds until both serve. Peers: the engines' own tools by hand."""
from common import *


def raw_postgres():
    with Scratch() as d:
        user, host, other = ("postgres" if os.geteuid() == 0 else None), address(), address()
        conf = lambda h, n: ["-c", f"listen_addresses={h}", "-c", f"unix_socket_directories={d}/sockets-{n}"]
        for n in "ab":
            os.mkdir(f"{d}/sockets-{n}"); os.chmod(f"{d}/sockets-{n}", 0o777)
        began = time.monotonic()
        run(pg("initdb"), "-D", d + "/a", "-U", "postgres", "--auth=trust", user=user)
        open(d + "/a/pg_hba.conf", "a").write("host replication all 127.0.0.0/8 trust\n")
        run(pg("pg_ctl"), "-D", d + "/a", "-w", "-l", d + "/a.log", "-o", " ".join(conf(host, "a")), "start", user=user)
        try:
            run(pg("pg_basebackup"), "-h", host, "-U", "postgres", "-D", d + "/b", "-R", "-X", "stream", "-c", "fast", user=user)
            run(pg("pg_ctl"), "-D", d + "/b", "-w", "-l", d + "/b.log", "-o", " ".join(conf(other, "b")), "start", user=user)
            while run("psql", "-h", host, "-U", "postgres", "-Atc", "select count(*) from pg_stat_replication where state='streaming'").strip() != "1":
                time.sleep(0.01)
            return time.monotonic() - began
        finally:
            for n in "ab":
                run(pg("pg_ctl"), "-D", f"{d}/{n}", "-m", "immediate", "stop", user=user, check=False)


def raw_redis(delay):
    with Scratch() as d:
        a, b = address(), address()
        procs, began = [], time.monotonic()
        try:
            for name, host, extra in (("a", a, ["--repl-diskless-sync-delay", delay]), ("b", b, ["--replicaof", a, "6379"])):
                os.makedirs(f"{d}/{name}")
                procs.append(subprocess.Popen(["redis-server", "--bind", host, "--dir", f"{d}/{name}", "--appendonly", "yes", *extra], stdout=subprocess.DEVNULL))
            while "master_link_status:up" not in run("redis-cli", "-h", b, "info", "replication", check=False):
                time.sleep(0.005)
            return time.monotonic() - began
        finally:
            for p in procs:
                p.kill(); p.wait()


def main():
    a = arguments(5)
    with Mainstay() as m:
        idle = m.memory()
        engines = {e["name"]: e for e in m.cli("engine", "list")}
        kv = "valkey" if engines["valkey"]["available"] else "redis"
        pgs, kvs, raw_pg, raw_kv, tuned = [], [], [], [], []
        for i in range(a.rounds):
            pgs.append(m.timed("cluster", "create", f"pg-{i}", "--engine", "postgres", "--replicas", "1")[0]); m.drop(f"pg-{i}")
            raw_pg.append(raw_postgres())
            kvs.append(m.timed("cluster", "create", f"kv-{i}", "--engine", kv, "--replicas", "1")[0]); m.drop(f"kv-{i}")
            raw_kv.append(raw_redis("5")); tuned.append(raw_redis("0"))
        table("Deploy PostgreSQL, primary and replica, seconds", {"Mainstay": pgs, "initdb, pg_ctl, pg_basebackup by hand": raw_pg})
        table(f"Deploy {kv}, primary and replica, seconds", {"Mainstay": kvs, "redis-server twice": raw_kv, "the same without its sync delay": tuned},
              f"Idle `mainstay up`: {idle / 1e6:.0f} MB resident.")


main()
