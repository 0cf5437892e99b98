"""An emulated machine on a busy one may miss a time: a defect misses it in the next boot, too."""


def keeps(run, cases):
    return run.exit == 0 and all(run.results().get(case, "not tried") is None for case in cases)


def boot(name, cases, boot_it, told):
    """The Run of a boot, or of a second one, if the first missed any of its cases: that is told."""
    run = boot_it()
    if keeps(run, cases):
        return run
    missed = {case: why for case, why in run.results().items() if why}
    told.append(f"guest {name} was booted again; the first boot: exit {run.exit}, {missed}")
    return boot_it()


def tell(request, told):
    for line in told:
        request.config.get_terminal_writer().line(f"\n{line}")
