"""keepalived and HAProxy with the shipped examples of their configurations, as they are, before a
daemon that is configured as doc/fleet.md has it.

In namespaces of its own, where eth0 and the addresses are nobody's, and /usr/local/sbin has nothing
but our ekey-feed. It runs, for keepalived 2.2.7 dies of `--config-test` with a script_user.
"""

import shutil
import subprocess

import pytest

from house import as_root
from processes import BUILD, PATIENCE_S, TOP, program, wait_until

EXAMPLE = TOP / "doc/examples/keepalived.conf"
HAPROXY_EXAMPLE = TOP / "doc/examples/haproxy.cfg"
KEEPALIVED = "/usr/sbin/keepalived"
HAPROXY = "/usr/sbin/haproxy"
FLEET = """\
[listen lan]
address = tcp:192.0.2.11:8888
allow = 192.0.2.0/24
proxy-from = 192.0.2.2, 192.0.2.3
[agent]
address = tcp:192.0.2.11:7777
allow = 192.0.2.2, 192.0.2.3
"""
ADDRESS = "192.0.2.1"

NAMESPACES = """
mount -t tmpfs none /usr/local/sbin && cp "$0" /usr/local/sbin/ekey-feed &&
ip link set lo up &&
ip link add eth0 type bridge && ip address add 192.0.2.2/24 dev eth0 &&
ip address add 192.0.2.11/24 dev eth0 && ip link set eth0 up &&
echo ready && exec sleep 600
"""

pytestmark = [
    as_root,
    pytest.mark.skipif(not shutil.which(KEEPALIVED), reason="missing: keepalived"),
    pytest.mark.skipif(not shutil.which(HAPROXY), reason="missing: haproxy"),
    pytest.mark.skipif(not shutil.which("ip"), reason="missing: ip (package iproute2)"),
]


@pytest.fixture
def inside(house):
    """Words before a command: it runs in the namespaces."""
    holder = house.start("unshare", "--net", "--mount", "sh", "-c", NAMESPACES,
                         program("ekey-feed"), log="namespaces.log")
    log = house.path / "namespaces.log"
    wait_until(lambda: holder.poll() is not None or "ready" in log.read_text(), "namespaces")
    if holder.poll() is not None:
        pytest.skip(f"missing: network namespaces with bridges ({log.read_text().strip()})")
    return ["nsenter", "--net", "--mount", "--target", holder.pid]


def start_daemon(house, inside):
    daemon = house.start(*inside, BUILD / "ekey-randomd", "-c", house.config, log="daemon.log")
    wait_until(lambda: house.answers(daemon), "ekey-randomd answers")
    return daemon


def addresses(inside):
    shown = subprocess.run([*map(str, inside), "ip", "-brief", "address", "show", "eth0"],
                           stdout=subprocess.PIPE, text=True, timeout=PATIENCE_S, check=True)
    return [word.partition("/")[0] for word in shown.stdout.split()]


def test_examples_have_the_address_and_follow_the_check(house, inside):
    house.start_sim()
    house.write_config(house.source(), FLEET)
    daemon = start_daemon(house, inside)
    house.start(*inside, HAPROXY, "-db", "-f", HAPROXY_EXAMPLE, log="haproxy.log")
    files = ["-f", EXAMPLE, "-p", house.path / "main.pid", "-r", house.path / "vrrp.pid"]
    house.start(*inside, KEEPALIVED, "-n", "-l", "-D", "-P", *files, log="keepalived.log")
    said = lambda: (house.path / "keepalived.log").read_text()
    wait_until(lambda: ADDRESS in addresses(inside), "it has the address")
    wait_until(lambda: "VRRP_Script(egd) succeeded" in said(), "the check succeeds")
    asked = [*map(str, inside), program("ekey-feed"), "--check", "--from", f"tcp:{ADDRESS}:8888"]
    assert subprocess.run(asked, timeout=PATIENCE_S, check=False).returncode == 0
    daemon.kill()
    daemon.wait(PATIENCE_S)
    wait_until(lambda: "priority from 110 to 50" in said(), "another may have it")
    start_daemon(house, inside)
    wait_until(lambda: "priority from 50 to 110" in said(), "it is back")
    assert f"({EXAMPLE}: Line" not in said()  # complaints name one
