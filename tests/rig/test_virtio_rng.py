"""Guests of QEMU whose virtio-rng the daemon feeds, by rng-egd on its Unix socket and by rng-random on
its device: they outlive daemons and droughts, and the device comes and goes while they run."""

import concurrent.futures
import os
import signal
import time

import pytest

from rng_guest import IN_FLIGHT, RngGuest
from rng_home import BACKENDS, REQUEST, Home, homes, short_folder
from processes import wait_until  # pylint: disable=wrong-import-order

ROUNDS = int(os.environ.get("ROUNDS", 5))
FIRST = 1 << 17  # block with which a key begins that must not repeat what another has sent
DROUGHT_S = int(os.environ.get("DROUGHT_S", 60))
QUARANTINE_S = 60
STOPPED_S = int(os.environ.get("STOPPED_S", 0))


@pytest.fixture(scope="module", autouse=True)
def drought(request):
    """Begins with the first test and is looked at by the last: it takes long, and computes little."""
    wanted = any(item.name == "test_rng_random_waits_out_a_drought" for item in request.session.items)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        yield pool.submit(drought_in_homes) if wanted else None


# ---- daemons come and go ----


def kill(service):
    service.child.kill()


def restart(service):
    service.child.send_signal(signal.SIGUSR2)


def succeed(home, how):
    previous = home.service.child.pid
    how(home.service)
    wait_until(lambda: home.service.child.pid != previous, "another daemon is started")
    wait_until(lambda: home.is_served_by(home.service.child.pid), "it serves")


def tell(what, seconds):
    print(f"{what} after at most {max(seconds):.2f} s, on average {sum(seconds) / len(seconds):.2f} s")
    return max(seconds)


def outlive(home, guests, how):
    served, bytes_again = [], []
    for _ in range(ROUNDS):
        began = time.monotonic()
        succeed(home, how)
        served.append(time.monotonic() - began)
        for guest in guests:
            guest.wait_more(IN_FLIGHT)
        bytes_again.append(time.monotonic() - began)
        assert all(child.poll() is None for child in home.children), home.log()
    slowest = tell(f"{how.__name__}: served again", served), tell("bytes again", bytes_again)
    assert slowest[0] < RngGuest.patience_s / 2 and slowest[1] < RngGuest.patience_s


def test_guests_and_readers_outlive_crashes_and_restarts(start_home):
    home = start_home().serve()
    guests = [home.start_guest(kind, home.words(kind)) for kind in BACKENDS]
    readers = [home.start_reader(size) for size in (64, 200)]
    for guest in guests:
        guest.wait_booted()
    for how in (kill, restart):
        outlive(home, guests, how)
    print({guest.path.name: guest.count() for guest in guests})
    home.check_stream(*readers, *(guest.drawn for guest in guests))


# ---- there are no bytes ----


def wait_quarantine(home):
    wait_until(lambda: home.status()["source key"]["health"] == "quarantined", "quarantine")


def plug_another(home):
    home.unplug()
    home.plug("--first-block", str(FIRST))


REASONS = {  # options of the key; how its bytes end; how they begin again
    "unplugged": ((), Home.unplug, plug_another),
    "quarantined": (("--fail-mode", "3", "--fail-after", "3000"), wait_quarantine, plug_another),
    "silent": ((), lambda home: home.key_now.send_signal(signal.SIGSTOP),
               lambda home: home.key_now.send_signal(signal.SIGCONT)),
}


def ask_for(seconds, guests):
    """The longest that one took to answer."""
    slowest, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        for guest in guests:
            began = time.monotonic()
            assert guest.monitor().execute("query-status")["running"]
            slowest = max(slowest, time.monotonic() - began)
        time.sleep(0.1)
    return slowest


def drought_in_homes():
    """Clears its homes itself: the kernel ends the children of a thread together with the thread."""
    with short_folder() as place, homes(place) as start_home:
        return wait_out_a_drought(start_home)


def wait_out_a_drought(start_home):
    """What was seen meanwhile."""
    all_homes = [start_home(name).serve(*options) for name, (options, _, _) in REASONS.items()]
    guests = [home.start_guest("rng-random", home.words("rng-random")) for home in all_homes]
    for guest in guests:
        guest.wait_booted()
    for home, (_, end, _) in zip(all_homes, REASONS.values()):
        end(home)
        home.wait_dry()
    drawn = [guest.count() for guest in guests]
    slowest = ask_for(DROUGHT_S, guests)
    assert slowest < RngGuest.patience_s / 4  # in a read that blocks, QEMU's main loop would not answer
    assert all(guest.count() <= before + IN_FLIGHT for guest, before in zip(guests, drawn))
    for home, guest, (_, _, begin_again) in zip(all_homes, guests, REASONS.values()):
        begin_again(home)
        guest.wait_more(IN_FLIGHT, QUARANTINE_S)
        home.check_stream(guest.drawn)
    return f"in {DROUGHT_S} s without bytes QEMU answered after at most {slowest:.2f} s"


def stop_and_start(home):
    assert home.service.stop() == 0
    time.sleep(STOPPED_S)
    home.service = home.start_service()


WAYS = {
    "a kill": lambda home: succeed(home, kill),
    "a restart": lambda home: succeed(home, restart),
    f"a stop of {STOPPED_S} s": stop_and_start,
}


def test_a_request_of_rng_egd_that_waits_is_answered_after_kill_restart_and_stop(start_home):
    """QEMU, which sends it once, allows no other one before it is answered."""
    home = start_home().serve()
    guest = home.start_guest("limited", home.words("rng-egd", "max-bytes=1024", "period=1000"))
    guest.wait_booted()
    for number, (name, end_and_follow) in enumerate(WAYS.items(), 1):
        home.unplug()
        home.wait_dry()
        end_and_follow(home)
        home.plug("--first-block", str(number * FIRST))
        began = time.monotonic()
        guest.wait_more(REQUEST)
        print(f"after {name} the guest reads again within {time.monotonic() - began:.1f} s")
    home.check_stream(guest.drawn)


# ---- the device comes and goes ----


def plug_in(guest, home, kind):
    """As libvirt's attach-device does."""
    qmp = guest.monitor()
    if kind == "rng-egd":
        address = {"type": "unix", "data": {"path": str(home.egd)}}
        data = {"addr": address, "server": False, "reconnect": 1}
        qmp.execute("chardev-add", id="egd", backend={"type": "socket", "data": data})
        qmp.execute("object-add", **{"qom-type": "rng-egd"}, id="rng", chardev="egd")
    else:
        qmp.execute("object-add", **{"qom-type": "rng-random"}, id="rng", filename=str(home.device))
    qmp.execute("device_add", driver="virtio-rng-pci", id="hwrng", rng="rng")


def unplug_from(guest, kind):
    chardev = [("chardev-remove", "egd")] if kind == "rng-egd" else []
    guest.unplug("hwrng", ("object-del", "rng"), *chardev)


def test_both_backends_are_added_and_removed_while_the_guest_runs(start_home):
    home = start_home().serve()
    kinds = ["rng-egd", "rng-random"] * 2
    guest = home.start_guest("changing", home.words(kinds[0]))
    guest.wait_booted()
    for kind, following in zip(kinds, [*kinds[1:], kinds[0]]):
        unplug_from(guest, kind)
        wait_until(lambda: home.status()["pool -"]["handles"] == "0", "nobody is connected")
        plug_in(guest, home, following)
        guest.wait_more(IN_FLIGHT)
    home.check_stream(guest.drawn)


def test_a_daemon_that_is_stopped_ends_guests_of_rng_random_and_greets_those_of_rng_egd(start_home):
    """QEMU's rng-egd sends none of its requests again: `greet` answers them."""
    home = start_home().serve()
    waiting, ended = [home.start_guest(kind, home.words(kind)) for kind in BACKENDS]
    for guest in home.guests:
        guest.wait_booted()
    home.unplug()
    home.wait_dry()
    assert home.service.stop() == 0
    assert ended.child.wait(ended.patience_s) == -signal.SIGABRT, ended.log()
    home.serve("--first-block", str(FIRST))
    waiting.wait_more(IN_FLIGHT)
    home.check_stream(waiting.drawn, ended.drawn)


# ---- there were no bytes ----


def test_rng_random_waits_out_a_drought(drought):
    """Its key is unplugged, quarantined, or silent: for a minute there is nothing to read."""
    print(drought.result())
