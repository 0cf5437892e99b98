"""What tests/rig/pool.sh promises, for each feeder, and how a kernel has to be started for it."""

# The kernel trusts neither the processor nor who started it, and, in user-mode Linux, nor the
# random numbers of its host: else it is ready before we begin.
ARGUMENTS = ("random.trust_cpu=off", "random.trust_bootloader=off")
UML = (*ARGUMENTS, "initcall_blacklist=rng_init")

CASES = {
    "agent": [
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
    "daemon": [
        "not_ready_at_boot",
        "daemon_without_the_capability",
        "daemon_gives_what_it_credits",
        "becomes_ready_by_the_daemon",
        "daemon_goes_by_the_clock_now",
        "device_is_served_beside",
    ],
}

# Debian's client is not in the image of the guests in QEMU.
QEMU_CASES = {
    feeder: [case for case in cases if not case.startswith("debians_")]
    for feeder, cases in CASES.items()
}
