#!/bin/sh
T() { echo "T $(cut -d' ' -f1 /proc/uptime) $*"; }
mount -t xenfs x /proc/xen; mkdir -p /dev/pts; mount -t devpts d /dev/pts
for m in xen-evtchn xen-gntdev xen-gntalloc xen-privcmd; do modprobe $m; done
mkdir -p /run/xen /run/xenstored /run/lock
xenstored --pid-file /run/xenstored.pid 
/usr/lib/xen-*/bin/xen-init-dom0
xenconsoled --log=guest --log-dir=/run/xen --pid-file=/run/xenconsoled.pid
T tools
mkdir -p /run/g/bin; cp /usr/bin/busybox /run/g/bin
cat > /run/g/init <<'X'
#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /usr/bin /usr/sbin /sbin
/bin/busybox --install -s
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
mount -t proc p /proc; mount -t sysfs s /sys; mount -t devtmpfs d /dev
echo "GUEST up at $(cut -d' ' -f1 /proc/uptime) avail=$(cat /proc/sys/kernel/random/entropy_avail) type=$(cat /sys/hypervisor/guest_type)"
ls -l /dev/hvc* /sys/bus/xen/devices /dev/xen /sys/bus/xen/devices/console-*/
cat /sys/bus/xen/devices/console-*/nodename
sleep 5
poweroff -f
X
chmod +x /run/g/init
(cd /run/g; find . | busybox cpio -o -H newc >/run/initrd)
ls -l /run/initrd
cat > /run/a.cfg <<'X'
name = "a"
type = "pv"
memory = 128
vcpus = 1
kernel = "/guest/vmlinux"
ramdisk = "/run/initrd"
cmdline = "console=hvc0 loglevel=4 random.trust_cpu=off panic=1"
on_poweroff = "destroy"
on_reboot = "destroy"
on_crash = "destroy"
channel = [ "connection=pty,name=unused0", "connection=socket,path=/run/xen/ekey-a,name=org.ekey-random.egd" ]
X
T create
xl create /run/a.cfg
T created rc=$?
ls -la /run/xen; ps ax | grep qemu
xl list; xl domid a
xenstore-ls /local/domain/1/device/console
ls -la /run/xen
sleep 6
xl list
ls -la /run/xen
tail -60 /run/xen/guest-a.log
ls /var/log/xen; cat /var/log/xen/*
T end
