#!/usr/bin/env bash
# A short read does not mean that a TCP socket is empty: Linux ends a read at urgent data.
#
# Versions: seen on Linux 6.18; python3 of Debian 12 (3.11), whose `select.epoll` and `socket` are thin.
#
# Behaviour: epoll(7) says that with edge-triggered readiness "the condition that the read/write I/O space is
# exhausted can also be detected by checking the amount of data read from / written to the target file
# descriptor". A read that reaches the mark of urgent data returns what stands before the mark, and leaves what
# stands behind it. No event follows: the one edge was reported for both parts. A server that trusts the short read
# waits until the peer sends more.
#
# Output seen: events EPOLLIN|EPOLLPRI; first read b'one'; event after it: none; second read b'two'.
#
# Why it matters: Telnet clients send urgent data with an interrupt, so a line behind Ctrl-C could stand
# unread until the user pressed Enter again. Parlance asks for EPOLLPRI, and reads such a socket until it
# would block (src/reactor/shard.rs).
#
# Exit status: 0 as described, 1 changed.
set -euo pipefail
python3 - <<'SOURCE'
import select, socket, sys

listener = socket.create_server(("127.0.0.1", 0))
sender = socket.create_connection(listener.getsockname())
receiver, _ = listener.accept()
receiver.setblocking(False)
epoll = select.epoll()
epoll.register(receiver, select.EPOLLIN | select.EPOLLPRI | select.EPOLLET)

# Corked, so that both parts are one segment and one edge.
sender.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
sender.send(b"one!", socket.MSG_OOB)
sender.send(b"two")
sender.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)

[(_, events)] = epoll.poll(20)
first = receiver.recv(100)
later = epoll.poll(1)
second = receiver.recv(100)
print(f"events {events:#x}, first read {first}, events after it {later}, second read {second}")
is_as_described = events & select.EPOLLPRI and (first, later, second) == (b"one", [], b"two")
sys.exit(0 if is_as_described else 1)
SOURCE
