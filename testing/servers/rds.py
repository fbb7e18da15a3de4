"""What RDS puts in front of PostgreSQL: demands TLS, asks for a password in clear text, lets AWS judge it as a signed
request, and then passes everything on to a server without passwords.

Arguments: port, port of the server, certificate, key, URL of AWS.
"""
import socket
import ssl
import struct
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request

PORT, SERVER, CERTIFICATE, KEY, AWS = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5]
SSL_REQUEST = 80877103


def read(connection, count):
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def startup(connection):
    length = struct.unpack("!i", read(connection, 4))[0]
    return struct.pack("!i", length) + read(connection, length - 4)


def refuse(connection, message):
    fields = b"SFATAL\0C28000\0M" + message.encode() + b"\0\0"
    connection.sendall(b"E" + struct.pack("!i", len(fields) + 4) + fields)


def judged(password, user):
    host, _, query = password.partition("/?")
    if f"DBUser={urllib.parse.quote(user)}&" not in query or "Action=connect&" not in query:
        return False
    try:
        urllib.request.urlopen(urllib.request.Request(f"{AWS}/?{query}", headers={"x-signed-host": host})).read()
        return True
    except urllib.error.HTTPError:
        return False


def passed(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    for each in (source, target):
        try:
            each.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def serve(plain, context):
    try:
        first = startup(plain)
        if struct.unpack("!i", first[4:8])[0] != SSL_REQUEST:
            return refuse(plain, "no pg_hba.conf entry for this host, no encryption")
        plain.sendall(b"S")
        connection = context.wrap_socket(plain, server_side=True)
        message = startup(connection)
        user = dict(zip(*[iter(message[8:].rstrip(b"\0").split(b"\0"))] * 2))[b"user"].decode()
        connection.sendall(b"R" + struct.pack("!ii", 8, 3))
        length = struct.unpack("!i", read(connection, 5)[1:])[0]
        password = read(connection, length - 4).rstrip(b"\0").decode()
        if not judged(password, user):
            return refuse(connection, f"PAM authentication failed for user {user}")
        server = socket.create_connection(("127.0.0.1", SERVER))
        server.sendall(message)
        threading.Thread(target=passed, args=(server, connection), daemon=True).start()
        passed(connection, server)
    except (EOFError, OSError):
        pass
    finally:
        plain.close()


def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, KEY)
    listener = socket.create_server(("127.0.0.1", PORT))
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection, context), daemon=True).start()


main()
