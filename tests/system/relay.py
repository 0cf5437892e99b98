"""Houses in a row: the first has the key, each of the others asks the one before it over EGD."""


from house import SEED, House
from stream import expected

LISTEN = """\
[listen egd]
class = direct
address = {address}
{more}
"""
UPSTREAM = """\
[source up]
type = egd
address = {address}
{more}
"""
MATCH = 16  # bytes: what is found again by chance is shorter


def new_house(houses, place, name):
    path = place / name
    path.mkdir()
    houses.append(House(path))
    return houses[-1]


def start_with_key(house, address, *options, rate=0, more=""):
    """A daemon with a key of its own that serves at `address`."""
    house.start_sim(*options, rate=rate)
    house.write_config(house.source(), LISTEN.format(address=address, more=more))
    daemon = house.start_daemon()
    house.wait_state("keyed")
    return daemon


def ask_of(house, address, *keys, listen=None, device=True):
    """A daemon that asks `address`, and serves a device, or at `listen`."""
    sections = [UPSTREAM.format(address=address, more="\n".join(keys))]
    if listen:
        sections.append(LISTEN.format(address=listen, more=""))
    if device:
        sections.append(house.device_section())
    house.write_config(*sections)
    return house.start_daemon()


def gaps(got, total, seed=SEED):
    """How many pieces are missing in `got`, which must else be the stream in its order.

    Where a piece ends is known to a few bytes only: what follows may begin like what is missing.
    """
    stream = expected(seed, 0, total)
    at = found = 0
    while at < len(got):
        start = stream.find(got[at : at + MATCH], found)
        back = 0
        while start < 0 and back < MATCH and at > back:
            back += 1
            start = stream.find(got[at - back : at - back + MATCH], found - back + 1)
        assert start >= 0, f"byte {at} of {len(got)} is wrong, or was there before"
        yield start
        length = same(got[at - back :], stream[start:])
        at, found = at - back + length, start + length


def same(a, b):
    """The length of what both begin with."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if a[:middle] == b[:middle] else (low, middle - 1)
    return low
