#!/bin/sh
# The first boot's init, run once for each image: the first disk is / as a bare filesystem, on the
# second it makes what Debian's installer calls "guided, with LVM": a volume group, and a volume in
# it for /. Says at which byte of the disk that volume begins, and switches the machine off.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t tmpfs run /run
mkdir -p /run/lock/lvm
modprobe dm-mod
# Nobody answers for udev, and / is read-only.
config='activation{udev_sync=0 udev_rules=0} backup{archive=0 backup=0}'
size=$(blockdev --getsize64 /dev/vda)b
if vgcreate --config "$config" guest /dev/vdb &&
  lvcreate --config "$config" --yes --wipesignatures n --zero n --size "$size" --name root guest; then
  # The first volume of a group begins where its first extent does.
  start=$(pvs --noheadings --nosuffix --units b --options pe_start | tr -d ' ')
  echo "lab: volume at $start"
fi
sync
echo o >/proc/sysrq-trigger
sleep 60
