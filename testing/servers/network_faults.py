"""
A TCP proxy with network faults: `python3 network_faults.py LISTEN_PORT SERVER_PORT SEED`. Each connection gets a fault,
and prints its name when it happens. In Python, because Deno can't send a TCP reset on demand.
"""
import random
import select
import socket
import struct
import sys
import threading
import time

FATES = ["accept", "request", "answer", "copy", "commit", "committed", "cut", "garbage", "end"]


def reset(*connections):
    """Closes with RST instead of FIN."""
    for connection in connections:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()


def serve(client, port, fate, left):
    """Passes bytes on until `fate` strikes, for those that count bytes after `left` of them."""
    def strikes():
        print(fate, flush=True)

    if fate == "accept":
        strikes()
        return reset(client)
    server = socket.create_connection(("127.0.0.1", port))
    ends = None
    while True:
        # Limited, because a peer that waits for a lost byte would wait until its own time limit.
        readable, _, _ = select.select([client, server], [], [], None if ends is None else max(0, ends - time.monotonic()))
        if readable == []:
            return reset(client, server)
        for source in readable:
            sink = server if source is client else client
            try:
                data = source.recv(65536)
                if data == b"":
                    client.close()
                    return server.close()
                asks = source is client
                if asks and fate == "copy" and b"copy " in data and left > 10_000:
                    left = 0  # The next bytes are the rows.
                elif (asks and fate in ("request", "copy")) or (not asks and fate in ("answer", "cut", "garbage", "end")):
                    left -= len(data)
                    if left < 0:
                        strikes()
                        kept = data[:left]
                        ends = time.monotonic() + 0.3
                        if fate == "cut":
                            # Drop one byte, so that everything after it is misread.
                            data, fate = kept + data[len(kept) + 1 :], "none"
                        elif fate == "garbage":
                            # Append a message that claims to describe 32,767 columns, but has none.
                            data, fate = data + b"T\x00\x00\x00\x06\x7f\xff", "none"
                        else:
                            sink.sendall(kept)
                            if fate == "end":
                                client.close()
                                return server.close()
                            return reset(client, server)
                if asks and b"commit\0" in data and fate in ("commit", "committed"):
                    if fate == "committed":
                        server.sendall(data)
                        server.recv(65536)
                    strikes()
                    return reset(client, server)
                sink.sendall(data)
            except OSError:
                client.close()
                return server.close()


def main():
    listen, port, seed = map(int, sys.argv[1:])
    chance = random.Random(seed)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", listen))
    listener.listen(64)
    print("ready", flush=True)
    for n in range(1 << 30):
        client, _ = listener.accept()
        # Every fault in turn, so that none is missing. Every third connection lives long enough for real work.
        fate = FATES[(seed + n * 2 // 3) % len(FATES)] if n % 3 > 0 else "request"
        left = int(10 ** chance.uniform(1, 4)) if n % 3 > 0 else int(10 ** chance.uniform(4, 6))
        threading.Thread(target=serve, args=(client, port, fate, left), daemon=True).start()


main()
