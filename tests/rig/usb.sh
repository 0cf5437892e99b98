#!/bin/sh
echo hello; cat /proc/uptime; ls -la /rig /rig/lib; /rig/ekey-sim --help | head -3; ldd /rig/ekey-randomd; modprobe vhci_hcd && ls /sys/devices/platform/vhci_hcd.0; cat /proc/uptime
