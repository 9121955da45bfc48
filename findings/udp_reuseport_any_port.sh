#!/usr/bin/env bash
# Versions: Linux 6.1 to 6.18, python3 (Debian's, standard library only; any version).
#
# Behaviour: a UDP socket with SO_REUSEPORT that is bound to port 0 may get a port that another socket of the same user
# has, if that socket set SO_REUSEPORT as well. The two then share what comes to the port, by a hash of the peer's
# address. A TCP socket never gets such a port: there, port 0 means a free one.
#
# Output seen (Linux 6.18.44): "udp: 1000 sockets, 982 ports" and "tcp: 1000 sockets, 1000 ports"; the first number of
# ports varies from run to run.
#
# Why it matters here: two servers of one user with several shards each, both started with `--ucrp 0`, would take each
# other's datagrams once in some thousand starts. The first socket is therefore bound without SO_REUSEPORT, which gives
# a port that is really free, and sets it afterwards; the kernel lets further sockets share it from then on.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/ports.py" <<'PYTHON'
import resource
import socket
import sys

COUNT = 1000
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, COUNT + 100), hard), hard))


def ports(kind):
    sockets = []
    for _ in range(COUNT):
        one = socket.socket(socket.AF_INET, kind)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        one.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            one.listen()
        sockets.append(one)
    return len({one.getsockname()[1] for one in sockets})


def shared_afterwards():
    """Whether a port that was got alone can be shared afterwards."""
    first = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    first.bind(("127.0.0.1", 0))
    first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    second = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    second.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    second.bind(first.getsockname())
    return True


udp, tcp = ports(socket.SOCK_DGRAM), ports(socket.SOCK_STREAM)
print(f"udp: {COUNT} sockets, {udp} ports")
print(f"tcp: {COUNT} sockets, {tcp} ports")
sys.exit(0 if udp < COUNT and tcp == COUNT and shared_afterwards() else 1)
PYTHON
python3 "$folder/ports.py"
