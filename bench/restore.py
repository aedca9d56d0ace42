"""Restore until the engine answers, and the time the service is away during a restore in place. Peers bring the same
data back with their own tool, and then the server is started on it, until it answers."""
from peers import *


def answering(server, target, dir):
    """Seconds from the start of a server on restored files until it answers."""
    inside = next((p for p, _, files in os.walk(target) if "PG_VERSION" in files and "global" in os.listdir(p)), None)
    if os.path.exists(f"{inside}/postmaster.pid"):
        os.unlink(f"{inside}/postmaster.pid")
    os.chmod(target, 0o755)
    run("chown", "-R", USER or str(os.getuid()), target); os.chmod(inside, 0o700)
    with open(inside + "/postgresql.conf", "a") as f:
        f.write(f"listen_addresses='{server.host}'\nport=5433\nunix_socket_directories='{server.sock}'\narchive_mode=off\n")
    began = time.monotonic()
    server.start(inside)
    seconds = time.monotonic() - began
    server.stop(inside)
    return seconds


def main():
    a = arguments(3)
    rows, away, whole = {"Mainstay": []}, [], []
    with Mainstay() as m, Scratch() as d:
        m.cli("cluster", "create", "pg-r", "--engine", "postgres", "--replicas", "1")
        m.pgbench("pg-r", "-i", "-q", "-s", str(a.scale))
        raw = Postgres(d)
        try:
            raw.pgbench("-i", "-q", "-s", str(a.scale)); raw.psql("checkpoint")
            b = m.cli("backup", "create", "pg-r")
            peers = [make(d, raw) for make in PEERS]
            for peer in peers:
                peer.backup()
            for i in range(a.rounds):
                figure, _ = ours(m, lambda: m.cli("restore", "run", b["id"], "--new", f"pg-n{i}"))
                rows["Mainstay"].append(figure); m.drop(f"pg-n{i}")
                whole.append(m.timed("restore", "run", b["id"], "--to", "pg-r", "--yes")[0])
                away.append(m.operation("restore_in_place")["output"]["away_seconds"])
                for peer in random.sample(peers, len(peers)):
                    target = f"{d}/out"
                    figure = peer.restore(target)
                    figure["seconds"] += answering(raw, target, d)
                    rows.setdefault(peer.name, []).append(figure); shutil.rmtree(target)
        finally:
            raw.stop()
    figures("Restore of PostgreSQL to a new cluster until it answers", rows, f"{b['data_bytes'] / 1e6:.0f} MB.")
    table("Restore in place, seconds the service is away", {"Mainstay": away}, f"The whole of it with safety backup and the replica seeded again: {statistics.median(whole):.1f} s.")


main()
