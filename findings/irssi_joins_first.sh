#!/usr/bin/env bash
# Versions: Debian 12's irssi 1.4.3-2.
#
# Guess: an IRC client that negotiates capabilities sends CAP LS, then NICK and USER, and joins nothing before
# it was welcomed (numeric 001).
#
# Behaviour: irssi sends `JOIN :`, a JOIN of a channel without a name, right behind CAP LS, before NICK and
# USER. It wants the error: a server that answers the JOIN with 451 and says nothing of CAP has no
# capabilities.
#
# Output seen:
#   CAP LS 302 | JOIN : | CAP REQ :server-time | CAP END | NICK visitor | USER visitor ...
#
# Why it matters here: a server that closes a connection for a command before registration, counts it as a
# violation, or reads an empty name as the default room, loses every irssi at its third line.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -qq irssi=1.4.3-2 2>/dev/null || { echo "no package irssi=1.4.3-2: run apt-get update"; exit 2; }
for package in libglib2.0-0 libpcre2-8-0 libssl3 libtinfo6; do apt-get download -qq "$package" 2>/dev/null || true; done
for file in *.deb; do dpkg -x "$file" root; done
cat > compare.py <<'P'
import os, pathlib, pty, socket, subprocess, sys

root = pathlib.Path.cwd() / "root"
libraries = f"{root}/usr/lib/x86_64-linux-gnu:{root}/lib/x86_64-linux-gnu"
environment = dict(os.environ, HOME=str(root), TERM="xterm", LD_LIBRARY_PATH=libraries)
listener = socket.create_server(("127.0.0.1", 0))
terminal, inner = pty.openpty()
irssi = subprocess.Popen(
    [root / "usr/bin/irssi", f"--home={root}/home", "-n", "visitor", "-c", "127.0.0.1",
     "-p", str(listener.getsockname()[1])],
    stdin=inner, stdout=inner, stderr=inner, env=environment, start_new_session=True)
try:
    listener.settimeout(10)
    connection, _ = listener.accept()
    connection.settimeout(10)
    sent = []
    for line in connection.makefile("rb"):
        line = line.decode().rstrip("\r\n")
        sent.append("USER visitor ..." if line.startswith("USER ") else line)
        command, _, rest = line.partition(" ")
        if line.startswith("CAP LS"):
            connection.sendall(b":server CAP * LS :server-time\r\n")
        elif line.startswith("CAP REQ"):
            connection.sendall(b":server CAP * ACK :server-time\r\n")
        elif command == "JOIN":
            connection.sendall(b":server 451 * :You have not registered\r\n")
        elif command == "USER":
            break
finally:
    irssi.kill()
    irssi.wait()
seen = " | ".join(sent)
print(seen)
expected = "CAP LS 302 | JOIN : | CAP REQ :server-time | CAP END | NICK visitor | USER visitor ..."
sys.exit(seen != expected)
P
python3 compare.py
