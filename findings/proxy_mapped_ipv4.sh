#!/usr/bin/env bash
# Versions: Debian 12's haproxy 2.6.12-1+deb12u4, nginx 1.22.1-9+deb12u11 with libnginx-mod-stream.
#
# Guess: a proxy with one listener for both families tells of an IPv4 client as IPv4 in its PROXY header
# (TCP4; family 0x11 in version 2), as its own log and access rules show the address.
#
# Behaviour: nginx (version 1) and HAProxy (versions 1 and 2) tell of the family of the listening socket: TCP6
# and family 0x21, with the client's address mapped into ::ffff:0:0/96.
#
# Output seen:
#   haproxy v1: PROXY TCP6 ::ffff:127.0.0.1 ::ffff:127.0.0.1
#   haproxy v2: family 0x21, source ::ffff:7f00:1
#   nginx v1: PROXY TCP6 ::ffff:127.0.0.1 ::ffff:127.0.0.1
#
# Why it matters here: limits count an IPv6 client by its /64. All mapped IPv4 clients share one, so a server
# that takes the header's family as it stands counts all of IPv4 as one client, and matches no IPv4 rule of
# exempt or blocked addresses. The address has to be made canonical before anything looks at it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
for package in haproxy=2.6.12-1+deb12u4 liblua5.3-0=5.3.6-2 nginx=1.22.1-9+deb12u11 \
    libnginx-mod-stream=1.22.1-9+deb12u11 libopentracing-c-wrapper0 libopentracing1; do
    apt-get download -qq "$package" 2>/dev/null || case $package in
        *=*) echo "no package $package: run apt-get update"; exit 2 ;;
    esac
done
for file in *.deb; do dpkg -x "$file" root; done
cat > compare.py <<'P'
import ipaddress, os, pathlib, socket, subprocess, sys, time

folder = pathlib.Path.cwd()
root = folder / "root"
libraries = dict(os.environ, LD_LIBRARY_PATH=f"{root}/usr/lib/x86_64-linux-gnu")


def free_port():
    with socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::", 0))
        return probe.getsockname()[1]


def header(port, target):
    """What the target is sent first for an IPv4 client of the proxy."""
    for _ in range(100):
        try:
            client = socket.create_connection(("127.0.0.1", port))
            break
        except ConnectionRefusedError:
            time.sleep(0.05)
    client.sendall(b"hello\n")
    target.settimeout(5)
    connection, _ = target.accept()
    received = b""
    while not received.endswith(b"hello\n"):
        received += connection.recv(4096)
    connection.close()
    client.close()
    return received


def shown(received):
    if received.startswith(b"PROXY "):
        return " ".join(received.split(b"\r\n")[0].decode().split(" ")[:4])
    family, length = received[13], 16 if received[13] >> 4 == 2 else 4
    return f"family {family:#04x}, source {ipaddress.ip_address(received[16:16 + length])}"


targets = {name: socket.create_server(("127.0.0.1", 0)) for name in ("haproxy v1", "haproxy v2", "nginx v1")}
ports = {name: free_port() for name in targets}
backend = {name: f"127.0.0.1:{target.getsockname()[1]}" for name, target in targets.items()}
(folder / "haproxy.cfg").write_text(
    "defaults\n mode tcp\n timeout connect 5s\n timeout client 5s\n timeout server 5s\n"
    + "".join(
        f"listen {option}\n bind :::{ports[name]} v4v6\n server target {backend[name]} {option}\n"
        for name, option in (("haproxy v1", "send-proxy"), ("haproxy v2", "send-proxy-v2"))
    )
)
(folder / "nginx.conf").write_text(f"""
load_module {root}/usr/lib/nginx/modules/ngx_stream_module.so;
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ }}
stream {{ server {{ listen [::]:{ports["nginx v1"]} ipv6only=off;
                    proxy_pass {backend["nginx v1"]}; proxy_protocol on; }} }}
""")
proxies = [
    subprocess.Popen([f"{root}/usr/sbin/haproxy", "-db", "-f", "haproxy.cfg"], env=libraries),
    subprocess.Popen([f"{root}/usr/sbin/nginx", "-e", f"{folder}/nginx.log", "-c", f"{folder}/nginx.conf"],
                     env=libraries),
]
mapped = "::ffff:127.0.0.1"
expected = {
    "haproxy v1": {f"PROXY TCP6 {mapped} {mapped}"},
    "haproxy v2": {f"family 0x21, source {mapped}", "family 0x21, source ::ffff:7f00:1"},
    "nginx v1": {f"PROXY TCP6 {mapped} {mapped}"},
}
wrong = 0
try:
    for name, target in targets.items():
        seen = shown(header(ports[name], target))
        print(f"{name}: {seen}")
        wrong += seen not in expected[name]
finally:
    for proxy in proxies:
        proxy.terminate()
        proxy.wait()
sys.exit(1 if wrong else 0)
P
python3 compare.py
