#!/bin/sh
# What an administrator sets up in a new guest, in $1: names, network, a console. Services and their
# options are Debian's.
set -eu
root=$1
echo lab >"$root/etc/hostname"
printf '127.0.0.1 localhost lab\n' >"$root/etc/hosts"
echo '/dev/mapper/guest-root / ext4 errors=remount-ro 0 1' >"$root/etc/fstab"

# The host alone can be reached: no other route, no resolver.
cat >"$root/etc/systemd/network/lab.network" <<'EOF'
[Match]
Type=ether

[Network]
Address=10.0.2.15/24
LinkLocalAddressing=no
EOF
rm -f "$root/etc/resolv.conf"

# Root is logged in on the console that the lab types at.
mkdir -p "$root/etc/systemd/system/serial-getty@hvc0.service.d"
cat >"$root/etc/systemd/system/serial-getty@hvc0.service.d/lab.conf" <<'EOF'
[Service]
ExecStart=
ExecStart=-/sbin/agetty --autologin root --noclear hvc0 dumb
EOF
chroot "$root" systemctl --quiet enable systemd-networkd.service serial-getty@hvc0.service
# They would work beside the tests, for nothing.
chroot "$root" systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
  e2scrub_reap.service fstrim.timer systemd-networkd-wait-online.service

# On a host that has no time for it a guest starts slowly, and is not broken.
mkdir -p "$root/etc/systemd/system.conf.d"
printf '[Manager]\nDefaultTimeoutStartSec=900\nDefaultDeviceTimeoutSec=900\n' \
  >"$root/etc/systemd/system.conf.d/lab.conf"
