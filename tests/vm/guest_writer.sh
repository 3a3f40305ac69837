#!/bin/bash
# A client of the guest's server: writes one row after the other into lab.$2 as writer $1, and keeps
# a ledger of what was acknowledged, in memory: /run/lab-ledger/$1 is no part of the guest's disk.
set -eu
writer=$1 table=$2
coproc server { exec mariadb --batch --unbuffered --skip-column-names lab; }
# Read with a limit where nobody writes: a pause that starts no process.
mkfifo "/run/lab-pause-$writer"
exec 3<>"/run/lab-pause-$writer"
for ((sequence = 1; ; sequence++)); do
  echo "INSERT INTO $table VALUES ($writer, $sequence); SELECT $sequence;" >&"${server[1]}"
  read -r acknowledged <&"${server[0]}"
  echo "$acknowledged" >>"/run/lab-ledger/$writer"
  read -r -t 0.05 <&3 || true
done
