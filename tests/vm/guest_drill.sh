#!/bin/sh
# docs/restore.md's "drill without hands", on a snapshot in the guest itself: $1 is its device, $2
# counts the rows in the copy. Prints verify's exit code, and what $2 selects.
set -eu
drill=/srv/drill
image=/var/lib/locktables/image
socket=/var/lib/locktables/drill.sock
mkdir -p $image $drill/copy $drill/upper $drill/work
chmod 0700 $image $drill
clean_up() {
  [ ! -f $drill/drill.pid ] || kill "$(cat $drill/drill.pid)" || :
  wait
  umount $image || :
  umount $drill/copy || :
  rm -rf $drill /root/.my.cnf
}
trap clean_up EXIT
mount -o ro "$1" $drill/copy
mount -t overlay -o "lowerdir=$drill/copy/var/lib,upperdir=$drill/upper,workdir=$drill/work" overlay $image
mariadbd --no-defaults --user=root --datadir=$image/mysql --log-bin=binlog \
  --socket=$socket --pid-file=$drill/drill.pid --log-error=$drill/error.log \
  --skip-networking --skip-slave-start --event-scheduler=OFF --read-only \
  --myisam-recover-options=OFF --aria-recover-options=OFF &
printf '[locktables]\nsocket=%s\n' $socket >/root/.my.cnf
timeout 120 sh -c "until [ -S $socket ]; do sleep 0.2; done" || {
  tail -n 20 $drill/error.log >&2
  exit 1
}
code=0
locktables verify --full --datadir $image/mysql >$drill/verify.txt || code=$?
echo "verify $code"
[ "$code" = 0 ] || cat $drill/verify.txt >&2
mariadb --no-defaults --socket=$socket --batch --skip-column-names -e "$2"
