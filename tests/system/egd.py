"""A client of the EGD protocol, and [listen] sections for the house's daemon."""

import socket
import struct

from processes import PATIENCE_S, wait_until

LISTEN = """\
[listen {name}]
address = {address}
class = direct
"""


def section(address, name="egd", **keys):
    more = "".join(f"{key.replace('_', '-')} = {value}\n" for key, value in keys.items())
    return LISTEN.format(name=name, address=address) + more


def read(length):
    return bytes([2, length])


class Client:
    """Connected to a Unix path, or to (host, port), perhaps from another address of ours."""

    def __init__(self, where, source=None):
        if isinstance(where, tuple):
            source = (source, 0) if source else None
            self.socket = socket.create_connection(where, PATIENCE_S, source_address=source)
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(PATIENCE_S)
            self.socket.connect(str(where))

    def say(self, data):
        self.socket.sendall(data)
        return self

    def hear(self, length):
        """Exactly so many bytes; fewer only when the server closed before."""
        heard = b""
        while len(heard) < length:
            more = self.socket.recv(length - len(heard))
            if not more:
                break
            heard += more
        return heard

    def hear_all(self):
        """Until the server closes."""
        heard = b""
        try:
            while more := self.socket.recv(65536):
                heard += more
        except ConnectionResetError:
            pass
        return heard

    def ask(self, length):
        return self.say(read(length)).hear(length)

    def level(self):
        """Bits."""
        return struct.unpack(">I", self.say(b"\0").hear(4))[0]

    def pid(self):
        return int(self.say(b"\4").hear(self.hear(1)[0]))

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)
        return self

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def row(house, key, name="egd"):
    return int(house.status()[f"listen {name}"][key])


def wait_row(house, key, value, name="egd"):
    wait_until(lambda: row(house, key, name) == value, f"{key} is {value}")
