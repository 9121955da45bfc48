#!/usr/bin/env bash
# The SYNCH of the two Telnet clients of Debian 12 leaves different bytes in the stream.
#
# Versions: inetutils-telnet 2:2.4-2+deb12u3 (Debian's `telnet`), telnet-ssl 0.17.41+really0.17-3 (netkit).
#
# Behaviour: with `toggle autosynch`, Ctrl-C sends IAC IP, IAC DO TIMING-MARK and a SYNCH. RFC 854 describes the
# SYNCH as IAC DM, with the DM as the urgent byte. A receiver without SO_OOBINLINE, which is the default, does not
# see the urgent byte in the stream. From netkit's client that leaves a lone IAC, as one would expect. GNU's client
# marks the IAC as urgent instead, and leaves a lone DM (0xF2), which is no Telnet command and starts a character of
# UTF-8.
#
# Output seen: netkit: stream ff f4 ff fd 06 ff, urgent f2; inetutils: stream ff f4 ff fd 06 f2, urgent ff.
#
# Why it matters: a server that takes out complete IAC sequences puts the left-over byte in front of the next
# line, which is then not UTF-8 and is refused: after Ctrl-C the user's next line is lost. Parlance drops
# either byte where it follows a command directly (src/wire/telnet.rs).
#
# Needs: Debian 12, apt-get, dpkg-deb, python3. Exit status: 0 as described, 1 changed, 2 a package is missing.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get -qq download 'inetutils-telnet=2:2.4-2+deb12u3' 'telnet-ssl=0.17.41+really0.17-3' >&2 || exit 2
for package in ./*.deb; do dpkg-deb -x "$package" .; done

cat >synch.py <<'SOURCE'
import os, pty, select, signal, socket, sys, time


def until(ready, what):
    end = time.monotonic() + 20
    while not ready():
        if time.monotonic() > end:
            sys.exit(f"{sys.argv[1]}: no {what}")
        time.sleep(0.02)


listener = socket.create_server(("127.0.0.1", 0))
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], [sys.argv[1], "127.0.0.1", str(listener.getsockname()[1])])
stream, _ = listener.accept()
shown = b""


def shows(text):
    def ready():
        global shown
        if select.select([terminal], [], [], 0.02)[0]:
            shown += os.read(terminal, 4096)
        return text in shown

    until(ready, text)


shows(b"Escape character")
os.write(terminal, b"\x1d")
shows(b"> ")
os.write(terminal, b"toggle autosynch\n")
shows(b"urgent mode")
os.write(terminal, b"\x03")
urgent, seen = b"", b""


def arrives():
    global urgent, seen
    for ready in select.select([stream], [], [stream], 0.02)[::2]:
        if ready and not urgent:
            try:
                urgent = stream.recv(1, socket.MSG_OOB)
            except OSError:
                pass
    if select.select([stream], [], [], 0.02)[0]:
        seen += stream.recv(100)
    return urgent and len(seen) == 6


until(arrives, "SYNCH")
print(f"stream {seen.hex(' ')}, urgent {urgent.hex()}")
os.kill(pid, signal.SIGKILL)
SOURCE

gnu=$(python3 synch.py ./usr/bin/inetutils-telnet)
netkit=$(python3 synch.py ./usr/bin/telnet-ssl)
echo "inetutils: $gnu"
echo "netkit: $netkit"
[[ $gnu == "stream ff f4 ff fd 06 f2, urgent ff" && $netkit == "stream ff f4 ff fd 06 ff, urgent f2" ]]
