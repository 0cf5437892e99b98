"""The guests in QEMU, and the promises that are tried in each: what its job prints "ok" for."""

import dataclasses
import os
import pathlib
import shutil
import subprocess
import typing

import beside
import qemu

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = TOP / os.environ.get("BUILD", "build")
CYCLES = int(os.environ.get("EKEY_USB_CYCLES", "8"))
ROUNDS = int(os.environ.get("ROUNDS", "5"))
BLOCKS = int(os.environ.get("EKEY_CUSE_BLOCKS", "20000"))
PROMISES = subprocess.run(
    [BUILD / "tests/system/probe", "-l"], stdout=subprocess.PIPE, text=True, check=True, timeout=10
).stdout.split()


@dataclasses.dataclass(frozen=True)
class Guest:
    name: str
    job: str
    cases: list
    boots: int = 100  # that its job may last; about ten on a quiet machine
    words: dict = dataclasses.field(default_factory=dict)
    arguments: tuple = ()  # of its kernel
    systemd: bool = False
    beside: typing.Callable = beside.nothing

    def boot(self, tree, place=qemu):
        """`tree` is an empty folder, for what the guest finds in its root; `place` has a boot()."""
        if self.systemd:
            install(tree, self.job)
        with self.beside(tree) as devices:
            return place.boot(
                BUILD, self.job, self.boots, tree, self.systemd, devices, self.arguments,
                **self.words,
            )


# Not ordered after multi-user.target, which need not be reached.
UNIT = """\
[Service]
Type=oneshot
Environment=rig_build=/rig
ExecStart=/rig/{job}
StandardOutput=file:/dev/console
StandardError=file:/dev/console
"""


def install(tree, job):
    """`make install`, for the guest to put in place, and a unit that does so."""
    subprocess.run(
        ["make", "-s", "-C", TOP, "install", f"DESTDIR={tree}/install/root", f"BUILD={BUILD}"],
        stdout=subprocess.DEVNULL, timeout=300, check=True,
    )
    shutil.copy(TOP / "udev/host.sh", tree / "install")
    units = tree / "etc/systemd/system"
    (units / "multi-user.target.wants").mkdir(parents=True)
    (units / "rig.service").write_text(UNIT.format(job=job), encoding="ascii")
    (units / "multi-user.target.wants/rig.service").symlink_to("../rig.service")


# Of a kernel that trusts neither its processor nor its loader: its generator is not ready at boot.
NOT_READY = ("random.trust_cpu=off", "random.trust_bootloader=off")

DEVICE = [
    "is_character_device",
    "mode_is_from_config",
    "stream_in_order",
    "dd",
    "dd_fullblock",
    "head",
    "cat",
    "openssl_rand",
    "rngtest_passes",
    "dieharder_passes",
    "python_reads",
    "second_instance_is_refused",
    "name_of_another_device_is_refused",
    "name_of_a_file_is_refused",
    "never_twice",
    "pool_balances",
    "who_waits_is_served_by_a_later_daemon",
    "node_stays",
    "another_table_is_published_anew",
    "killed_daemon_leaves_no_device",
    "serves_again",
    "stops_with_a_reader_blocked",
]
LINUX = [
    "enumerates",
    "endpoints_are_the_keys",
    "acm_binds",
    "udev_knows_it",
    "two_keys_have_two_terminals",
]
SOURCE = [
    "flows_in_order",
    "no_line_state_was_sent",
    "unplugged_key_blocks_readers",
    "replugged_key_serves_them",
    "plug_to_byte_takes_less_than_3_s_of_frames",
    "stall",
    "eproto",
    "overflow",
    "zero_length_packets",
    "short_packets",
    "disconnected_mid_frame",
    "unplugged_at_any_byte",
]
LIBUSB = [
    "no_class_request_was_sent",
    "idle_and_full_sleeps",
    "nak_until_reset",
    "two_keys_double_the_rate",
    "losing_one_halves_it",
]
GADGET = [
    "flows_in_order",
    "unplugged_gadget_blocks_readers",
    "replugged_gadget_serves_them",
]
HANDOVER = [
    "all_outlive_each_kill",
    "all_outlive_each_restart",
    "was_resumed_each_time",
]

# The longest first, as they are booted.
GUESTS = [
    Guest(
        "systemd",
        "systemd.sh",
        [
            "installs_on_a_running_machine",
            "cuse_is_the_services",
            "key_is_the_services",
            "key_is_left_alone_by_others",
            "tty_is_the_services",
            "link_is_safe",
            "plug_starts_the_service",
            "device_is_for_everyone_to_read",
            "key_is_read_by_libusb",
            "first_bytes_are_the_streams",
            "others_can_wait_for_bytes_or_device",
            "unplug_blocks_readers",
            "udev_tells_of_keys",
            "replug_serves_them",
            "tty_in_the_sandbox_serves_too",
            "device_outlives_its_daemon_says_the_doctor",
            "readers_notice_no_end",
            "aborted_device_comes_back",
            "root_by_hand_becomes_the_user_and_leaves_nothing",
            "user_namespace_shuts_users_out",
            "unit_of_the_feeder_notices_clones",
            "clones_drop_in_lets_the_daemon_notice",
            "service_reads_what_its_unit_allows",
            "uninstall_ends_it",
            "uninstall_leaves_no_unit_and_says_what_stays",
        ],
        systemd=True,
        beside=beside.generation,
    ),
    Guest(
        "usb",
        "usb.sh",
        [f"usb.{name}" for name in SOURCE + LIBUSB],
        boots=100 + CYCLES,
        words={"address": "usb", "cycles": CYCLES},
    ),
    Guest(
        "tty",
        "usb.sh",
        LINUX + [f"tty.{name}" for name in SOURCE],
        words={"address": "tty", "cycles": CYCLES},
    ),
    Guest(
        "keys",
        "usb_keys.sh",
        [
            "named_key_is_its_sections",
            "other_keys_are_for_any",
            "missing_keys_are_reported",
            "reload_hands_keys_over",
            "kernel_has_no_terminal",
            "stays_awake",
            "second_daemon_waits",
            "second_daemon_takes_over",
            "kernel_has_its_keys_back",
            "full_pool_notices_unplugging",
            "silent_key_raises_one_alarm",
            "replugged_key_answers",
            "report_of_the_daemon_has_descriptors",
            "key_that_the_daemon_has_is_in_use",
            "report_without_the_daemon",
            "rekey_without_the_daemon",
            "rekey_of_a_named_key_without_the_daemon",
            "stall_that_stays_is_given_up_once",
            "keys_are_found_without_udev",
            "unplugging_is_noticed_without_udev",
        ],
    ),
    Guest(
        "cuse",
        "cuse.sh",
        DEVICE + [f"{carrier}.{promise}" for carrier in ("cuse", "fuse") for promise in PROMISES],
        words={"blocks": BLOCKS},
    ),
    Guest(
        "handover",
        "handover.sh",
        [f"{carrier}.{promise}" for carrier in ("cuse", "fuse") for promise in HANDOVER],
        boots=100 + 4 * ROUNDS,
        words={"rounds": ROUNDS},
    ),
    Guest(
        "dead",
        "usb_dead.sh",
        [
            "opened_in_vain_stops_no_other_key",
            "commands_time_out",
            "kill_while_the_kernel_tries_is_followed_by_another",
            "reset_in_vain_stops_no_other_key",
            "stops_while_the_kernel_tries",
        ],
    ),
    Guest(
        "gadget",
        "gadget.sh",
        ["enumerates", *(f"{kind}.{name}" for kind in ("tty", "usb") for name in GADGET)],
    ),
    Guest(
        "egd",
        "egd.sh",
        [
            "hwrng_is_the_stream",
            "hwrng_never_gives_a_byte_twice",
            "limited_hwrng_is_exact_and_takes_its_time",
            "console_is_an_upstream",
            "vsock_is_an_upstream",
            "feed_takes_from_vsock",
        ],
        beside=beside.egd_servers,
    ),
    Guest(
        "pool-agent",
        "pool.sh",
        [
            "not_ready_at_boot",
            "acts_are_exact",
            "uncredited_gives_nothing",
            "plain_tcp_gives_nothing",
            "agent_gives_what_it_credits",
            "tcp_that_is_trusted_gives",
            "agent_without_the_capability",
            "not_ready_yet",
            "agent_waits",
            "becomes_ready_by_the_agent",
            "agent_goes_on_by_the_clock",
            "agent_reports",
            "debians_client_asks_for_nothing",
        ],
        words={"feeder": "agent"},
        arguments=NOT_READY,
    ),
    Guest(
        "pool-daemon",
        "pool.sh",
        [
            "not_ready_at_boot",
            "daemon_without_the_capability",
            "daemon_gives_what_it_credits",
            "becomes_ready_by_the_daemon",
            "daemon_goes_by_the_clock_now",
            "device_is_served_beside",
        ],
        words={"feeder": "daemon"},
        arguments=NOT_READY,
    ),
]

# In namespaces, or in a guest: test_systemd.py.
SERVICE = Guest(
    "service",
    "service.sh",
    [
        "installs_on_a_running_machine",
        "keyring_of_ekeyd_is_taken_over",
        "shipped_configuration_feeds_the_kernel_without_credit",
        "runs_as_nobody_special",
        "is_never_swapped",
        "reload_keeps_it_running",
        "broken_configuration_fails_the_reload_and_changes_nothing",
        "status_text_is_that_of_now",
        "socket_without_a_section_is_named",
        "socket_with_a_section_at_last_serves_who_waited",
        "doctor_says_when_the_drop_in_differs",
        "kernel_drop_in_lets_the_daemon_feed",
        "guests_drop_in_gives_the_socket_to_their_group",
        "early_unit_feeds",
        "network_drop_in_serves_whom_it_names",
        "tls_is_spoken_by_a_user_of_its_own",
        "killed_ekey_tls_comes_back_and_reload_revokes",
        "ekey_tls_ends_with_the_daemon",
        "unit_feeds",
        "xen_guest_drop_in_lets_the_agent_feed",
        "xen_drop_in_serves_a_channel",
        "channel_is_served_again_after_restart_and_kill",
        "containers_drop_in_keeps_the_folder",
        "fuse_drop_in_serves_everyone",
        "first_bytes_are_the_streams",
        "ekey_mount_serves_no_other_user",
        "moved_device_leaves_nothing_at_its_path",
        "doctor_names_a_path_that_the_service_cannot_see",
        "others_can_wait_for_bytes_of_a_fuse_device",
        "device_outlives_its_daemon_says_the_doctor",
        "readers_notice_no_end",
        "killed_daemon_comes_back",
        "hung_daemon_comes_back",
        "uninstall_ends_it",
        "uninstall_leaves_no_unit_and_says_what_stays",
    ],
    systemd=True,
)
