#!/usr/bin/env bash
# Versions: Debian 12's netcat-openbsd 1.219-1, netcat-traditional 1.10-47, ncat 7.93+dfsg1-1,
# busybox 1:1.35.0-4+deb12u1+b1, inetutils-telnet 2:2.4-2+deb12u3.
#
# Guess: a line client ends when the server ends the connection, as `nc` does in most people's memory.
# Behaviour: netcat-traditional, busybox nc and telnet end. The `nc` that Debian installs by default
# (netcat-openbsd) and ncat stay, print nothing, and wait for input; the next line that is typed goes
# nowhere. nc.openbsd then ends with status 0, so a script takes the lost line for sent.
#
# Output seen:
#   nc.traditional: ends, status 0
#   busybox nc: ends, status 0
#   telnet: ends, status 0
#   nc.openbsd: stays; after two more lines status 0
#   ncat: stays; after two more lines status 1
#
# Why it matters here: after an idle timeout, a kick or a stop, a person at `nc` sees no prompt come
# back. The last line of a text dialect has to say itself that the connection is closed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
for package in netcat-openbsd=1.219-1 netcat-traditional=1.10-47 ncat=7.93+dfsg1-1 liblinear4=2.3.0+dfsg-5 \
    libpcap0.8=1.10.3-1 liblua5.3-0=5.3.6-2 busybox=1:1.35.0-4+deb12u1+b1 inetutils-telnet=2:2.4-2+deb12u3; do
    apt-get download -qq "$package" 2>/dev/null || { echo "no package $package: run apt-get update"; exit 2; }
done
for file in *.deb; do dpkg -x "$file" root; done
cat > compare.py <<'P'
import os, socket, subprocess, sys, threading

root = os.path.abspath("root")
libraries = dict(os.environ, LD_LIBRARY_PATH=f"{root}/usr/lib/x86_64-linux-gnu:{root}/lib/x86_64-linux-gnu")
programs = {
    "nc.traditional": ([f"{root}/bin/nc.traditional"], "ends, status 0"),
    "busybox nc": ([f"{root}/bin/busybox", "nc"], "ends, status 0"),
    "telnet": ([f"{root}/usr/bin/inetutils-telnet"], "ends, status 0"),
    "nc.openbsd": ([f"{root}/bin/nc.openbsd"], "stays; after two more lines status 0"),
    "ncat": ([f"{root}/usr/bin/ncat"], "stays; after two more lines status 1"),
}
wrong = 0
for name, (command, expected) in programs.items():
    listener = socket.create_server(("127.0.0.1", 0))
    process = subprocess.Popen([*command, "127.0.0.1", str(listener.getsockname()[1])], env=libraries,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    connection, _ = listener.accept()
    connection.sendall(b"bye\r\n")
    connection.close()
    try:
        seen = f"ends, status {process.wait(3)}"
    except subprocess.TimeoutExpired:
        for _ in range(2):
            try:
                process.stdin.write(b"said after the end\n")
                process.stdin.flush()
                process.wait(1)
            except (BrokenPipeError, subprocess.TimeoutExpired):
                pass
        try:
            seen = f"stays; after two more lines status {process.wait(3)}"
        except subprocess.TimeoutExpired:
            seen = "stays"
            process.kill()
    print(f"{name}: {seen}")
    wrong += seen != expected
sys.exit(1 if wrong else 0)
P
python3 compare.py
