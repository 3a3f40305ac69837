#!/bin/sh
# Runs a command on a machine that has all that tests must not depend on: every caller's agent, hooks
# and settings of others, option files, a MariaDB that runs, an open window, a full /tmp, no HOME, and
# an odd environment. All of it in a mount namespace: the machine itself stays as it is.
#
#     tests/support/dirty_machine.sh npx -y deno@2.5.7 task test
set -eu

if [ "${1-}" != --inside ]; then
  exec unshare --mount --propagation private /bin/sh "$0" --inside "$@"
fi
shift

mount -t tmpfs tmpfs /mnt

# No overlays: guests make theirs above, and the kernel takes two of them and no third.
copied() {
  mkdir -p "/mnt/copy$1"
  cp -a "$1/." "/mnt/copy$1"
  mount --rbind "/mnt/copy$1" "$1"
}
for dir in /etc /usr/bin /usr/sbin /usr/lib/systemd; do copied "$dir"; done

# A directory with what is in it, where more can be put beside.
widened() {
  mkdir -p "/mnt/old$1" "/mnt/new$1"
  mount --rbind "$1" "/mnt/old$1"
  for entry in "/mnt/old$1"/* "/mnt/old$1"/.[!.]*; do
    if [ -L "$entry" ] || [ -f "$entry" ]; then
      cp -a "$entry" "/mnt/new$1"
    elif [ -d "$entry" ]; then
      mkdir "/mnt/new$1/${entry##*/}"
      mount --rbind "$entry" "/mnt/new$1/${entry##*/}"
    fi
  done
  mount --rbind "/mnt/new$1" "$1"
}
for dir in /root /run /var/lib /var/log; do widened "$dir"; done
for dir in /run/mysqld /run/veeam /var/lib/locktables; do
  mkdir -p "$dir"
  mount -t tmpfs -o mode=0755 tmpfs "$dir"
done
# As Debian had it for its group staff.
mount -t tmpfs -o mode=2775,gid=50 tmpfs /usr/local
mkdir /usr/local/bin /usr/local/sbin

put() {
  mkdir -p "${1%/*}"
  cat >"$1"
  chmod "$2" "$1"
}

# Agents, and how they are started.
for agent in /usr/bin/vmtoolsd /usr/sbin/qemu-ga /usr/bin/amazon-ssm-agent /usr/sbin/waagent \
  /usr/bin/google_guest_agent /usr/local/nutanix/ngt /usr/local/sbin/locktables; do
  printf '#!/bin/sh\nexit 1\n' | put "$agent" 755
done
printf '[Service]\nExecStart=/usr/sbin/qemu-ga -F\n' |
  put /usr/lib/systemd/system/qemu-guest-agent.service 644
printf '[Service]\nExecStart=\n' |
  put /etc/systemd/system/qemu-guest-agent.service.d/override.conf 644

# Hooks and settings of others.
for hook in /etc/qemu/fsfreeze-hook /etc/qemu/fsfreeze-hook.d/mysql-flush.sh \
  /etc/vmware-tools/backupScripts.d/10-others /usr/sbin/pre-freeze-script \
  /usr/sbin/post-thaw-script /usr/local/sbin/pre_freeze /usr/local/sbin/post_thaw \
  /etc/google/snapshots/pre.sh /etc/google/snapshots/post.sh; do
  printf '#!/bin/sh\nexit 1\n' | put "$hook" 755
done
printf '[vmbackup]\nenableScripts=false\n' | put /etc/vmware-tools/tools.conf 644
printf '[Snapshots]\nenabled = false\n' | put /etc/default/instance_configs.cfg 644
printf '{}' | put /etc/azure/VMSnapshotScriptPluginConfig.json 600
printf 'not ours\n' | put /var/log/qga-fsfreeze-hook.log 644
printf 'd /run/veeam 0777\n' | put /etc/tmpfiles.d/locktables.conf 644

# Option files.
for file in /etc/my.cnf /etc/mysql/my.cnf /root/.my.cnf; do
  printf '[client]\nuser=stranger\npassword=wrong\nsocket=/nowhere.sock\n[mysqld]\nport=1\n' |
    put "$file" 600
done
printf '[locktables]\nhold_timeout=nonsense\n' >>/root/.my.cnf

# A window that is open, and a receipt.
printf 'another\n' | put /run/veeam/waitforsnapshot 644
printf '{"schema_version":1}' | put /var/lib/locktables/window.json 600
printf '{' | put /var/lib/locktables/receipt.json 600

# A server where everybody looks for one.
server=
if [ -x /usr/sbin/mariadbd ]; then
  mkdir /mnt/data
  mariadb-install-db --no-defaults --user=root --datadir=/mnt/data --skip-test-db >/dev/null
  setpriv --pdeathsig KILL mariadbd --no-defaults --user=root --skip-networking --datadir=/mnt/data \
    --socket=/run/mysqld/mysqld.sock --log-error=/mnt/error.log &
  server=$!
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    if [ -S /run/mysqld/mysqld.sock ]; then break; fi
    sleep 1
  done
fi

# A full /tmp with the socket of a server that is gone. What is needed of the old one stays.
here=$PWD
mkdir /mnt/tmp
mount -t tmpfs -o size=1m,mode=1777 tmpfs /mnt/tmp
for kept in "$here" "${HOME-}"; do
  case $kept in
    /tmp/*)
      mkdir -p "/mnt$kept"
      mount --rbind "$kept" "/mnt$kept"
      ;;
  esac
done
: >/mnt/tmp/mysql.sock
: >/mnt/tmp/mysql_tables_read_lock
cat /dev/zero >/mnt/tmp/full 2>/dev/null || :
mount --rbind /mnt/tmp /tmp
cd "$here"

ln -sf /usr/share/zoneinfo/Pacific/Kiritimati /etc/localtime
unset HOME
export TMPDIR=/nowhere TZ=Pacific/Kiritimati LANG=tr_TR.UTF-8 LC_ALL=tr_TR.UTF-8 \
  MYSQL_HOME=/etc MYSQL_PWD=wrong MYSQL_UNIX_PORT=/nowhere.sock RUST_BACKTRACE=full \
  LD_PRELOAD=/nowhere.so NODE_OPTIONS=--no-warnings
umask 077
code=0
"$@" || code=$?
if [ "$server" ]; then
  kill "$server"
  wait "$server" 2>/dev/null || :
fi
exit "$code"
