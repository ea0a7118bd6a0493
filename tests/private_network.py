"""Runs a command on a network where nobody is, and reports each host name that it looks up.

    unshare --map-root-user --net --mount python private_network.py COMMAND...

The only name server is this process. Whoever asks it, Python or a library in C++, is written down.
"""

import ctypes
import fcntl
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

asked = set()


def start_loopback():
    """Give the empty network its own address, 127.0.0.1."""
    get_flags, set_flags, up = 0x8913, 0x8914, 1
    request = struct.pack("16sh14x", b"lo", up)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        flags = struct.unpack_from("16sh", fcntl.ioctl(any_socket, get_flags, request))[1]
        fcntl.ioctl(any_socket, set_flags, struct.pack("16sh14x", b"lo", flags | up))


def replace_file(path, content):
    """Put other content in the place of a file of the system, for this process and its children."""
    with tempfile.NamedTemporaryFile("w", delete=False) as file:
        file.write(content)
    bind = 4096
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(file.name.encode(), path.encode(), None, bind, None):
        raise OSError(ctypes.get_errno(), "mount failed", path)
    Path(file.name).unlink()


def serve_names(server):
    """Write down each name that is asked for, and answer that there is no such host."""
    while True:
        question, client = server.recvfrom(4096)
        labels, at = [], 12
        while length := question[at]:
            labels.append(question[at + 1 : at + 1 + length].decode())
            at += 1 + length
        asked.add(".".join(labels))
        no_such_name, no_answers = b"\x81\x83", b"\0" * 6
        reply = question[:2] + no_such_name + question[4:6] + no_answers + question[12 : at + 5]
        server.sendto(reply, client)


def main():
    """Run the command, on a network that must be one of its own."""
    # Elsewhere this would change the names of the whole machine.
    if len(Path("/proc/net/route").read_text().splitlines()) > 1:
        sys.exit("This is a network with routes. Run it by unshare --net --mount.")

    start_loopback()
    replace_file("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    replace_file("/etc/nsswitch.conf", "hosts: files dns\n")
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))
    threading.Thread(target=serve_names, args=[server], daemon=True).start()

    # It has to hear what it is there for.
    subprocess.run(
        [sys.executable, "-c", "import socket; socket.gethostbyname('a.test')"], stderr=-3
    )
    if "a.test" not in asked:
        sys.exit("The name server is not asked.")
    asked.clear()

    code = subprocess.run(sys.argv[1:]).returncode
    print("Looked up:", *sorted(asked), flush=True)
    os._exit(code)


if __name__ == "__main__":
    main()
