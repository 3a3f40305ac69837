#!/bin/bash
# A package's life in a Debian of its own: installed, used, upgraded, removed, purged; prints what it
# does and sees, and ends with the first thing that is not as it should be.
#
#   story.sh deb|rpm OLD NEW PROGRAM     the packages, and the program that is in both
set -euo pipefail

kind=$1 old=$2 new=$3 program=$4
installed=/usr/sbin/locktables
receipt=/var/lib/locktables/receipt.json
hook=/etc/qemu/fsfreeze-hook.d/99-locktables

say() { printf '\n== %s\n' "$*"; }
fail() {
  printf 'NOT AS EXPECTED: %s\n' "$*"
  exit 1
}

# Runs a command, shows both, and fails unless it ends with that code.
expect() {
  local wanted=$1 code=0
  shift
  printf '$ %s\n' "$*"
  "$@" >/tmp/said 2>&1 || code=$?
  sed 's/^/  /' /tmp/said
  [[ $code == "$wanted" ]] || fail "exit code $code, expected $wanted"
}

said() { grep -qe "$1" /tmp/said || fail "it does not say: $1"; }

# Everything but what the package managers, the server and this script write.
tree() {
  paths -printf '%p %m %U:%G %y %l\n' | sort
  paths -type f -print0 | sort -z | xargs -0 sha256sum
}

paths() {
  find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /tmp -o -path /story \
    -o -path /var/lib/dpkg -o -path /var/lib/rpm -o -path /root/.rpmdb -o -path /var/cache \
    -o -path /var/log/dpkg.log -o -path /var/lib/mysql -o -path /run/mysqld \) -prune -o "$@"
}

same_tree() {
  tree >/tmp/tree.now
  diff "$1" /tmp/tree.now || fail "the tree is not as in $1"
  printf '  same tree as %s: %s paths\n' "$1" "$(grep -c '^/' "$1")"
}

case $kind in
  deb)
    # Not synced to disk file by file: the guest goes anyway.
    install=(dpkg --force-unsafe-io --install)
    upgrade=("${install[@]}")
    remove=(dpkg --remove locktables)
    purge=(dpkg --purge locktables)
    # dpkg's own code; that of the script is in what it says.
    refused=1
    package_files() { dpkg --listfiles locktables; }
    is_installed() { [[ $(dpkg-query -W -f '${db:Status-Status}' locktables) == installed ]]; }
    ;;
  rpm)
    # Debian's rpm knows nothing of Debian's libraries.
    install=(rpm --install --nodeps)
    upgrade=(rpm --upgrade --nodeps)
    remove=(rpm --erase locktables)
    purge=(true)
    refused=1
    package_files() { rpm --query --list locktables; }
    is_installed() { rpm --query locktables >/dev/null; }
    ;;
esac

# What every guest has, where metrics go, and a window that outlives a slow dpkg.
mkdir -p /etc/tmpfiles.d /usr/share/licenses /var/lib/prometheus/node-exporter
printf '[locktables]\nhold_timeout=10m\n' >/root/.my.cnf
chmod 600 /root/.my.cnf
tree >/tmp/tree.before

say "Installed: files alone"
expect 0 "${install[@]}" "$old"
tree >/tmp/tree.installed
diff /tmp/tree.before /tmp/tree.installed >/tmp/tree.diff || true
! grep '^<' /tmp/tree.diff || fail "something was changed"
sed -n 's,^> \(/[^ ]*\) .*,\1,p' /tmp/tree.diff | sort >/tmp/added
# /. is what dpkg calls the root.
comm -23 /tmp/added <(package_files | sort) >/tmp/strangers
[[ ! -s /tmp/strangers ]] || fail "not of the package: $(cat /tmp/strangers)"
printf '  %s paths were added, all of the package; none was changed\n' "$(wc -l </tmp/added)"
cmp "$program" $installed || fail "the program is not the one that was built"
expect 0 stat -c '%n %a %U:%G' $installed
said '755 root:root'
expect 0 locktables --version
expect 0 systemd-tmpfiles --create /usr/lib/tmpfiles.d/locktables.conf
expect 0 stat -c '%n %a %U:%G' /run/veeam
said '700 root:root'
rmdir /run/veeam
gzip -t /usr/share/man/man8/locktables.8.gz

# The shells find the completions by these names.
expect 0 bash -c ". /usr/share/bash-completion/completions/locktables && complete -p locktables"

say "Removed without ever being used"
expect 0 "${remove[@]}"
expect 0 "${purge[@]}"
same_tree /tmp/tree.before

say "A server, check, hooks"
expect 0 "${install[@]}" "$old"
mkdir -p /run/mysqld
mariadb-install-db --force --user=root --auth-root-authentication-method=socket >/tmp/install-db.log 2>&1 || fail "$(cat /tmp/install-db.log)"
mariadbd --user=root --log-bin=binlog --server-id=1 --skip-networking >/tmp/mariadbd.log 2>&1 &
for ((n = 0; n < 300; n++)); do
  ! mariadb-admin ping >/dev/null 2>&1 || break
  sleep 0.1
done
mariadb -e 'CREATE DATABASE d; CREATE TABLE d.t (n INT) ENGINE=InnoDB'
expect 0 locktables check
expect 0 locktables install qemu
sha256sum $hook >/tmp/hook.sum
expect 0 grep -e '^program=' $hook
said "$installed"

say "A window through the installed hook, as the agent runs it; removal is refused in it"
expect 0 /etc/qemu/fsfreeze-hook freeze
expect 0 locktables status
said 'is open'
expect 1 timeout 2 mariadb --connect-timeout=1 -e 'SET lock_wait_timeout=1; INSERT INTO d.t VALUES (1)'
expect "$refused" "${remove[@]}"
said 'status 11'
said 'already open'
said 'not removed, because of the line above'
is_installed || fail "the package is not installed any more"
sha256sum --quiet -c /tmp/hook.sum
expect 0 /etc/qemu/fsfreeze-hook thaw
expect 0 locktables status --max-age 1h
expect 0 mariadb -e 'INSERT INTO d.t VALUES (2)'

say "Upgraded while a window is open: the hook stays, and the window is good"
expect 0 /etc/qemu/fsfreeze-hook freeze
expect 0 "${upgrade[@]}" "$new"
sha256sum --quiet -c /tmp/hook.sum
expect 0 /etc/qemu/fsfreeze-hook thaw
expect 0 locktables status --max-age 1h
expect 0 locktables history
said '2 windows, 2 application-consistent'

say "Removal is refused where a hook was edited"
cp -p $hook /tmp/hook.kept
echo '# edited' >>$hook
expect "$refused" "${remove[@]}"
said 'was changed since it was installed'
cp -p /tmp/hook.kept $hook

say "Hooks of a program at another path stay, and those of the package go with it"
cp $installed /usr/local/sbin/locktables
expect 0 /usr/local/sbin/locktables install run
expect 0 "${remove[@]}"
[[ ! -e $hook && ! -e $installed ]] || fail "the hook of the package is still there"
expect 0 /usr/local/sbin/locktables-run true
expect 0 "${purge[@]}"
[[ -e $receipt && -e /var/lib/locktables/record.json ]] || fail "the other program's files are gone"
expect 0 /usr/local/sbin/locktables uninstall
rm /usr/local/sbin/locktables
same_tree /tmp/tree.before

say "Hooks, a window, and removal: nothing is left"
expect 0 "${install[@]}" "$new"
expect 0 locktables install qemu prometheus
expect 0 /etc/qemu/fsfreeze-hook freeze
expect 0 /etc/qemu/fsfreeze-hook thaw
expect 0 "${remove[@]}"
said 'Uninstalled:'
same_tree /tmp/tree.before

if [[ $kind == deb ]]; then
  say "Records of windows without hooks: kept by removal, gone after purge, but for what is not ours"
  expect 0 "${install[@]}" "$new"
  expect 0 locktables rehearse --hold 0s
  ln -s /run/mysqld/mysqld.sock /var/lib/locktables/main.sock
  expect 0 "${remove[@]}"
  [[ -e /var/lib/locktables/record.json ]] || fail "removal took the records"
  expect 0 "${purge[@]}"
  [[ $(ls /var/lib/locktables) == main.sock ]] || fail "left: $(ls /var/lib/locktables)"
  rm -r /var/lib/locktables
  same_tree /tmp/tree.before
fi

say "A program that does not run: the package stays where it has hooks, and goes where it has none"
expect 0 "${install[@]}" "$new"
expect 0 locktables install qemu
cp $installed /tmp/program.kept
printf 'junk' >$installed
expect "$refused" "${remove[@]}"
said 'not removed: hooks call /usr/sbin/locktables, and it does not run'
cp /tmp/program.kept $installed
expect 0 locktables uninstall
printf 'junk' >$installed
expect 0 "${remove[@]}"
expect 0 "${purge[@]}"
same_tree /tmp/tree.before

kill %1
wait %1 || true
say "All of it is as it should be ($kind)"
