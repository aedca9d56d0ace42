"""Backup of the Redis family: the first, and the next after 1 % of the keys changed at random. Peers: the server's own
snapshot stream (`--rdb -`) into zstd, restic and borg, from a raw server with the same keys."""
from peers import *


def load(host, port, count, user=None, password=None, step=1):
    argv = ["redis-cli", "-h", host, "-p", str(port), "--no-auth-warning", *(["--user", user, "-a", password] if password else []), "--pipe"]
    p = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    rnd = random.Random(count + step)
    for n in range(0, count, step):
        key, value = b"key:%d" % n, (rnd.randbytes(192).hex() + "x" * 128).encode()
        p.stdin.write(b"*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (len(key), key, len(value), value))
    p.stdin.close()
    if p.wait():
        raise SystemExit("the keys could not be loaded")


def main():
    a = arguments(3)
    count, rows = a.scale * 20_000, {}
    for _ in range(a.rounds):
        with Mainstay() as m, Scratch() as d:
            engines = {e["name"]: e for e in m.cli("engine", "list")}
            kv = "valkey" if engines["valkey"]["available"] else "redis"
            m.cli("cluster", "create", "kv-b", "--engine", kv)
            m.cli("backup", "create", "kv-b")
            c, host = m.cli("cluster", "credentials", "kv-b"), address()
            raw = subprocess.Popen(["redis-server", "--bind", host, "--dir", d, "--save", "", "--repl-diskless-sync-delay", "0"], stdout=subprocess.DEVNULL)
            try:
                env = dict(os.environ, RESTIC_PASSWORD="x", RESTIC_CACHE_DIR=d + "/cache", BORG_PASSPHRASE="x", BORG_BASE_DIR=d + "/home")
                run("restic", "-r", d + "/restic", "init", env=env); run("borg", "init", "-e", "repokey-blake2", d + "/borg", env=env)
                for n, (step, every) in enumerate((("first", 1), ("next, 1 % changed", 100))):
                    load(c["host"], c["port"], count, c["user"], c["password"], every); load(host, 6379, count, step=every)
                    row = rows.setdefault(step, {"Mainstay": []})
                    figure, b = ours(m, lambda: m.cli("backup", "create", "kv-b"))
                    figure["added"] = b["copies"][0]["added_bytes"]; row["Mainstay"].append(figure)
                    rdb = ["redis-cli", "-h", host, "--rdb", "-"]
                    for name, place, sink in (("`--rdb -` into zstd -1", d + "/rdb.zst", ["zstd", "-1", "-q", "-c"]),
                                              ("`--rdb -` into restic", d + "/restic", ["restic", "-r", d + "/restic", "backup", "--quiet", "--stdin"]),
                                              ("`--rdb -` into borg, zstd 1", d + "/borg", ["borg", "create", "-C", "zstd,1", f"{d}/borg::{n}", "-"])):
                        out = place if "zst" in place else None
                        act = lambda: pipeline(rdb, sink, env=env, out=out)
                        figure = adding(place, act) if not out else act()
                        if out:
                            figure["added"] = os.path.getsize(out)
                        row.setdefault(name, []).append(figure)
            finally:
                raw.kill(); raw.wait()
    for step, row in rows.items():
        figures(f"Backup of {kv}: {step}", row, f"{count} keys of about 0.5 kB. Mainstay reads every new byte back before the backup counts; its peers do not.")


main()
