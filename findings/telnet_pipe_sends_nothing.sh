#!/usr/bin/env bash
# Versions: Debian 12's inetutils-telnet 2:2.4-2+deb12u3 (what `telnet` installs), netcat-traditional 1.10-47.
#
# Guess: `printf 'a\nb\n' | telnet HOST PORT` sends both lines, then ends the connection; only answers
# that come late are lost.
# Behaviour: when the input has ended before the connection stands, telnet sends not one byte, says
# "Connection closed by foreign host." (the server closed nothing), and exits with status 0. With the same
# input nc.traditional sends both lines.
#
# Output seen:
#   telnet: the server got 0 bytes, status 0, blames the foreign host
#   nc.traditional: the server got 4 bytes
#
# Why it matters here: a script that pipes into telnet speaks to nobody, and blames the server. Documents
# recommend nc or `parlance chat` for scripts, and a check with telnet needs a terminal or an open pipe.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
for package in inetutils-telnet=2:2.4-2+deb12u3 netcat-traditional=1.10-47; do
    apt-get download -qq "$package" 2>/dev/null || { echo "no package $package: run apt-get update"; exit 2; }
done
for file in *.deb; do dpkg -x "$file" root; done
cat > compare.py <<'P'
import socket, subprocess, sys


def run(program):
    listener = socket.create_server(("127.0.0.1", 0))
    process = subprocess.Popen([program, "127.0.0.1", str(listener.getsockname()[1])], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdin.write(b"a\nb\n")
    process.stdin.close()
    connection, _ = listener.accept()
    connection.settimeout(2)
    got = b""
    try:
        while data := connection.recv(4096):
            got += data
    except (TimeoutError, ConnectionError):
        pass
    connection.close()
    status = process.wait(10)
    return got, status, process.stderr.read()


wrong = 0
for _ in range(5):
    got, status, words = run("root/usr/bin/inetutils-telnet")
    blames = b"closed by foreign host" in words
    wrong += (len(got), status, blames) != (0, 0, True)
print(f"telnet: the server got {len(got)} bytes, status {status}{', blames the foreign host' if blames else ''}")
got, _, _ = run("root/bin/nc.traditional")
print(f"nc.traditional: the server got {len(got)} bytes")
sys.exit(1 if wrong or len(got) != 4 else 0)
P
python3 compare.py
