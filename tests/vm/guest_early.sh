#!/bin/sh
# Before the kernel's package is unpacked into $1: what its first initrd is made of. The modules of
# every machine there is would take three seconds longer to unpack, at each boot.
set -eu
mkdir -p "$1/etc/initramfs-tools/conf.d" "$1/usr/share/initramfs-tools/modules.d"
echo MODULES=list >"$1/etc/initramfs-tools/conf.d/lab"
printf '%s\n' virtio_pci virtio_blk dm-mod ext4 >"$1/usr/share/initramfs-tools/modules.d/lab"
