#!/bin/sh
# Installs locktables: one program, PREFIX/sbin/locktables, and nothing else.
#
#   curl -fsSLO URL/install.sh
#   sh install.sh --help
#
# Everything stands inside one pair of braces, which a shell reads to the last byte before it runs
# any of it: a download that was cut short does nothing at all.
{
  # Filled in by `deno task release`, so that the script trusts the bytes of one build alone, wherever
  # they come from. Empty in a checkout, where the program is built.
  VERSION=''
  SHA256=''
  BASE_URL=''
  # The fingerprint of the OpenPGP key that SHA256SUMS is signed with; empty where it is not signed.
  SIGNED_BY=''

  # What `locktables install` has changed; while it is there, hooks call the program.
  RECEIPT=/var/lib/locktables/receipt.json

  # The newest symbol that the Deno runtime takes from glibc is of this version.
  GLIBC_MAJOR=2
  GLIBC_MINOR=27

  # The one Deno that scripts/build.ts builds with.
  DENO_VERSION=2.5.7

  # A mirror that sends nothing for so long will not send the rest either.
  STALL_SECONDS=60

  newline='
'
  action=install
  from=''
  prefix=/usr/local
  signed_by=''
  # What must not stay behind, once it is there.
  work=''
  staged=''
  made_directory=''

  main() {
    set -u
    # Messages of other programs are looked at and handed on.
    LC_ALL=C
    export LC_ALL
    read_options "$@"
    case $action in
      help) print_help ;;
      version)
        find_release
        printf 'locktables %s\n' "$version"
        ;;
      uninstall) uninstall_program ;;
      install) install_program ;;
    esac
  }

  # The one way to fail: what happened, what to do, exit code.
  fail() {
    printf 'install.sh: %s. %s.\n' "$1" "$2" >&2
    exit "${3:-1}"
  }

  usage_error() {
    fail "$1" "Run: sh install.sh --help" 2
  }

  read_options() {
    while [ $# -gt 0 ]; do
      case $1 in
        --from | --prefix | --signed-by)
          [ -n "${2-}" ] || usage_error "$1 needs a value"
          case $1 in
            --from) from=$2 ;;
            --prefix) prefix=$2 ;;
            --signed-by) signed_by=$2 ;;
          esac
          shift
          ;;
        --from=?*) from=${1#*=} ;;
        --prefix=?*) prefix=${1#*=} ;;
        --signed-by=?*) signed_by=${1#*=} ;;
        --uninstall) action=uninstall ;;
        --version) action=version ;;
        -h | --help) action=help ;;
        -*) usage_error "Unknown option $1" ;;
        *) usage_error "Unexpected argument $1" ;;
      esac
      shift
    done
  }

  print_help() {
    cat <<'END'
Usage: sh install.sh [--from FILE|DIR|URL] [--prefix DIR] [--signed-by KEY]
       sh install.sh --uninstall [--prefix DIR]
       curl -fsSL URL/install.sh | sh -s -- [OPTION]...

Installs locktables as /usr/local/sbin/locktables. No hook and no service is
touched. Whatever the program comes from, its checksum must be the one that is
written in this script.

  --from WHERE  the program, its directory, or an http, https or file URL of
                either (that of a directory ends in /); default: the place of
                the release. In a checkout the program is built instead
  --prefix DIR  install DIR/sbin/locktables; default: /usr/local
  --signed-by KEY
                install only what this OpenPGP key (its fingerprint) has signed;
                default: the release's own key, checked where gpgv is here
  --uninstall   remove the program; refused while hooks call it
  --version     print the version that this script installs
  -h, --help    print this

Exit codes: 0 done, or done before; 1 nothing was changed; 2 the command line
was wrong. Every failure is one line on stderr.
END
  }

  # Sets `version`, and `checkout` where the program is built and not downloaded.
  find_release() {
    version=$VERSION
    checkout=''
    [ -z "$SHA256" ] || return 0
    # Piped into a shell, $0 is the shell, and the working directory is anybody's.
    case $0 in
      install.sh | */install.sh)
        checkout=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd) || checkout=''
        ;;
    esac
    if [ -z "$checkout" ] || [ ! -f "$checkout/deno.json" ] || [ ! -f "$checkout/scripts/build.ts" ]; then
      fail "This install.sh carries no release checksum and is not in a checkout" \
        "Take the install.sh of a release"
    fi
    version=$(sed -n '/"version"/{s/.*: *"\([^"]*\)".*/\1/p;q;}' "$checkout/deno.json")
  }

  install_program() {
    find_release
    require_platform
    require_sha256
    find_target
    if [ -n "$SHA256" ]; then
      wanted=$SHA256
      if [ -z "$signed_by" ] && is_installed; then return; fi
      from=${from:-$BASE_URL}
      [ -n "$from" ] || fail "This install.sh has no place to download from" \
        "Give it the program: sh install.sh --from FILE, DIR or URL"
    else
      [ -z "$from" ] || fail "This install.sh carries no release checksum to verify $from with" \
        "Take the install.sh of a release, or leave --from out to build the program"
      [ -z "$signed_by" ] || fail "This install.sh builds the program, which nobody has signed" \
        "Take the install.sh of a release, or leave --signed-by out to build the program"
    fi
    require_writable
    make_private
    if [ -z "$SHA256" ]; then
      build_program
      from=$checkout/dist/locktables
      sha256_of "$from"
      wanted=$sum
      if is_installed; then return; fi
    fi
    fetch_program
    sha256_of "$work/locktables"
    [ "$sum" = "$wanted" ] || fail "Wrong checksum: $from is $sum, expected $wanted" \
      "Take install.sh and the program from the same release"
    check_signature
    place_program
    printf 'Installed locktables %s: %s\n' "$version" "$target"
    print_next
  }

  require_platform() {
    system=$(uname -s)
    machine=$(uname -m)
    [ "$system $machine" = "Linux x86_64" ] ||
      fail "locktables is for Linux on x86_64, and this is $system on $machine" \
        "Install it in an x86_64 guest"
    libc=$(getconf GNU_LIBC_VERSION 2>/dev/null) || libc=$(ldd --version 2>&1) || :
    libc=${libc%%"$newline"*}
    case $libc in
      *musl*)
        fail "locktables needs glibc $GLIBC_MAJOR.$GLIBC_MINOR or later, and this system has musl" \
          "Install it in a guest of Debian, Ubuntu, RHEL, SUSE or another with glibc"
        ;;
      # getconf: "glibc 2.36"; ldd: "ldd (Debian GLIBC 2.36-9) 2.36", "ldd (GNU libc) 2.28"
      glibc\ [0-9]*.[0-9]* | ldd\ *\ [0-9]*.[0-9]*) libc=${libc##* } ;;
      # It is not known which: then running the program decides, before it is installed.
      *) return 0 ;;
    esac
    major=${libc%%.*}
    minor=${libc#*.}
    minor=${minor%%[!0-9]*}
    if [ "$major" -lt "$GLIBC_MAJOR" ] ||
      { [ "$major" -eq "$GLIBC_MAJOR" ] && [ "$minor" -lt "$GLIBC_MINOR" ]; }; then
      fail "locktables needs glibc $GLIBC_MAJOR.$GLIBC_MINOR or later, and this system has $libc" \
        "Install it on RHEL 8, Debian 10, Ubuntu 18.04 or later"
    fi
  }

  has() {
    command -v "$1" >/dev/null 2>&1
  }

  require_sha256() {
    has sha256sum || has openssl ||
      fail "Cannot check the program: neither sha256sum nor openssl is here" "Install coreutils"
  }

  # Sets `sum` to the sha256 of a file, in hex; to nothing where it cannot be read.
  sha256_of() {
    if has sha256sum; then
      sum=$(sha256sum <"$1")
    else
      sum=$(openssl dgst -sha256 -r <"$1")
    fi 2>/dev/null
    sum=${sum%% *}
  }

  # Sets `directory` and `target`.
  find_target() {
    # Absolute, because it is printed for later use.
    directory=$(CDPATH='' cd -- "$prefix" 2>/dev/null && pwd) ||
      fail "There is no directory $prefix" "Make it, or choose another with --prefix DIR"
    directory=${directory%/}/sbin
    target=$directory/locktables
    [ ! -d "$target" ] ||
      fail "$target is a directory" "Move it away, or choose another place with --prefix DIR"
  }

  # Whether the wanted program is there already; says so.
  is_installed() {
    [ -f "$target" ] && [ -x "$target" ] && [ ! -L "$target" ] || return 1
    sha256_of "$target"
    [ "$sum" = "$wanted" ] || return 1
    printf 'locktables %s is already installed: %s\n' "$version" "$target"
    print_next
  }

  require_writable() {
    place=$directory
    [ -d "$place" ] || place=${directory%/sbin}/
    if [ ! -w "$place" ]; then refuse_unwritable "$place"; fi
  }

  refuse_unwritable() {
    if [ "$(id -u)" = 0 ]; then
      fail "Cannot write to $1" "Mount it writable, or choose another place with --prefix DIR"
    fi
    fail "Cannot write to $1" "Run this as root, or choose another place with --prefix DIR"
  }

  # Sets `work`, and sees to it that nothing stays behind however this ends.
  make_private() {
    user_umask=$(umask)
    umask 077
    trap clean_up EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 141' PIPE
    trap 'exit 143' TERM
    work=$(mktemp -d "${TMPDIR:-/tmp}/locktables.XXXXXX" 2>/dev/null) ||
      fail "Cannot make a directory in ${TMPDIR:-/tmp}" "Make room there, or set TMPDIR"
  }

  # shellcheck disable=SC2317 # the traps call it
  clean_up() {
    [ -z "$staged" ] || rm -f -- "$staged"
    # Fails where the program is in it, and that is right.
    [ -z "$made_directory" ] || rmdir -- "$made_directory" 2>/dev/null
    [ -z "$work" ] || rm -rf -- "$work"
  }

  build_program() {
    if has deno && case $(deno --version 2>/dev/null) in "deno $DENO_VERSION "*) ;; *) false ;; esac then
      set -- deno task build
    elif has npx; then
      set -- npx -y "deno@$DENO_VERSION" task build
    else
      fail "Cannot build the program: neither deno $DENO_VERSION nor npx is here" \
        "Install npm, or take the install.sh of a release"
    fi
    printf 'Building locktables %s: %s\n' "$version" "$*"
    # The checkout is the user's, so are the permissions of what is built in it. Behind a proxy that
    # opens TLS, Deno must trust what the system trusts.
    (
      umask "$user_umask"
      cd -- "$checkout" &&
        NO_COLOR=1 DENO_TLS_CA_STORE="${DENO_TLS_CA_STORE:-system,mozilla}" "$@"
    ) >"$work/build.log" 2>&1 </dev/null && return 0
    reason=$(sed -n '/^error: /{s///p;q;}' "$work/build.log")
    [ -n "$reason" ] || reason=$(sed -n '$p' "$work/build.log")
    fail "Cannot build the program: $reason" "To see all of it: cd $checkout && $*"
  }

  # Copies the program to $work, private to us before it is checked; sets `from` to where it was, and
  # `alone` where that is a file of which it is not known what lies beside it.
  fetch_program() {
    alone=''
    case $from in
      file://localhost/*) from=${from#file://localhost} ;;
      file:///*) from=${from#file://} ;;
    esac
    case $from in
      http://*/ | https://*/) from=${from}locktables ;;
      http://* | https://*) ;;
      *://*) fail "Cannot download from $from" "Use an http, https or file URL" ;;
      *)
        if [ -d "$from" ]; then from=${from%/}/locktables; else alone=yes; fi
        [ -f "$from" ] || fail "There is no file $from" "Give --from the program or its directory"
        ;;
    esac
    case $from in http*://*) printf 'Downloading %s\n' "$from" ;; esac
    fetch "$from" locktables
  }

  # Copies or downloads a file to $work/$2.
  fetch() {
    case $1 in
      http://* | https://*) ;;
      *)
        reason=$(cp -- "$1" "$work/$2" 2>&1) ||
          fail "Cannot copy $1: ${reason##*"$newline"}" "Make it readable, or make room in $work"
        return
        ;;
    esac
    if has curl; then
      reason=$(curl -fsSL --connect-timeout "$STALL_SECONDS" \
        --speed-limit 1 --speed-time "$STALL_SECONDS" -o "$work/$2" "$1" 2>&1) && return 0
    elif has wget; then
      # Debian's busybox crashes on -T, and the others have a limit of their own.
      case $(wget --version 2>/dev/null) in
        "GNU Wget"*) stall="-T $STALL_SECONDS -t 1" ;;
        *) stall='' ;;
      esac
      # shellcheck disable=SC2086 # words
      reason=$(wget -q $stall -O "$work/$2" "$1" 2>&1) && return 0
    else
      fail "Cannot download $1: neither curl nor wget is here" \
        "Install one of them, or bring the file and use --from FILE"
    fi
    reason=${reason##*"$newline"}
    fail "Cannot download $1${reason:+: $reason}" "Try again, or bring the file and use --from FILE"
  }

  # Whether the key that was named, or else the release's, has signed the sum of this program.
  check_signature() {
    key=$(printf %s "${signed_by:-$SIGNED_BY}" | sed 's/[ :]//g; y/abcdef/ABCDEF/; s/^0X//')
    [ -n "$key" ] || return 0
    case $key:${#key} in
      *[!0-9A-F]*:*) key='' ;;
      *:40 | *:64) ;;
      *) key='' ;;
    esac
    [ -n "$key" ] || fail "--signed-by $signed_by is not the fingerprint of a key" \
      "Give all of its 40 digits: gpg --show-keys locktables-release-key.gpg" 2
    beside=${from%/*}
    case $from in */*) ;; *) beside=. ;; esac
    skipped=''
    if ! has gpgv; then
      skipped='gpgv is not here'
    elif [ -n "$alone" ] && [ ! -f "$beside/SHA256SUMS.asc" ]; then
      skipped="there is no $beside/SHA256SUMS.asc"
    fi
    if [ -n "$skipped" ]; then
      [ -z "$signed_by" ] || fail "Cannot check the signature: $skipped" \
        "Install gpgv, and bring SHA256SUMS, SHA256SUMS.asc and locktables-release-key.gpg as well"
      printf 'The signature of the release was not checked: %s\n' "$skipped"
      return 0
    fi
    for name in SHA256SUMS SHA256SUMS.asc locktables-release-key.gpg; do
      fetch "$beside/$name" "$name"
    done
    said=$(gpgv --homedir "$work" --keyring "$work/locktables-release-key.gpg" --status-fd 1 \
      "$work/SHA256SUMS.asc" "$work/SHA256SUMS" 2>/dev/null) || said=''
    # The last word is the fingerprint of the whole key, whichever part of it has signed.
    signer=$(printf '%s\n' "$said" | sed -n 's/^\[GNUPG:\] VALIDSIG .* \([0-9A-F]*\)$/\1/p')
    [ "$signer" = "$key" ] ||
      fail "The signature of $beside/SHA256SUMS is not good, or not of the key $key" \
        "Do not use these files; take install.sh and the release from where you trust them"
    case $newline$(cat "$work/SHA256SUMS")$newline in
      *"$newline$wanted  locktables$newline"*) ;;
      *)
        fail "Wrong checksum: $beside/SHA256SUMS, though signed, has another program than $from" \
          "Take install.sh and the program from the same release"
        ;;
    esac
    printf 'Signed by %s\n' "$key"
  }

  # From $work to where it belongs, all or nothing: what runs there now is replaced, never written to.
  place_program() {
    if [ ! -d "$directory" ]; then
      (umask 022 && mkdir -- "$directory") 2>/dev/null || refuse_unwritable "$directory"
      made_directory=$directory
    fi
    staged=$(mktemp "$directory/.locktables.XXXXXX" 2>/dev/null) || refuse_unwritable "$directory"
    # A copy: a file that is made here gets the SELinux type of programs, a moved one keeps its own.
    reason=$({ cp -- "$work/locktables" "$staged" && chmod 0755 "$staged"; } 2>&1) ||
      fail "Cannot write to $directory: ${reason##*"$newline"}" "Make room there"
    said=$("$staged" --version 2>&1 </dev/null) || :
    [ "$said" = "locktables $version" ] ||
      fail "The program does not run here: it says \"${said##*"$newline"}\", expected \"locktables $version\"" \
        "Look whether $directory is mounted noexec; otherwise please report it"
    reason=$(mv -f -- "$staged" "$target" 2>&1) ||
      fail "Cannot replace $target: ${reason##*"$newline"}" "Look whether it is immutable (lsattr)"
    staged=''
  }

  print_next() {
    command=$target
    if [ "$(command -v locktables)" = "$target" ]; then command=locktables; fi
    printf 'Next:\n  %s check            # what could make a freeze fail\n' "$command"
    printf '  %s install CALLER   # the hooks of your hypervisor or backup product\n' "$command"
  }

  # Whether hooks may call this program, and not only one at another path, such as a package's.
  is_called() {
    [ -e "$RECEIPT" ] || return 1
    place=$(CDPATH='' cd -P -- "$directory" 2>/dev/null && pwd -P) || return 0
    called=$(sed -n 's/^ *"program": "\(.*\)",$/\1/p' "$RECEIPT") || return 0
    case $newline$called$newline in
      # Metrics alone, or a path that JSON writes otherwise.
      "$newline$newline" | *\\*) ;;
      *"$newline$place/locktables$newline"*) ;;
      *) return 1 ;;
    esac
  }

  uninstall_program() {
    [ -z "$from" ] || usage_error "--uninstall takes no --from"
    find_target
    if [ ! -e "$target" ] && [ ! -L "$target" ]; then
      printf 'locktables is not installed: there is no %s\n' "$target"
      return
    fi
    state=${RECEIPT%/*}
    if [ -d "$state" ] && [ ! -x "$state" ]; then
      fail "Cannot see whether hooks are installed: $state is closed to you" "Run this as root"
    fi
    ! is_called || fail "Hooks still call locktables ($RECEIPT)" "First run: $target uninstall"
    rm -f -- "$target" 2>/dev/null || refuse_unwritable "$directory"
    printf 'Removed %s\n' "$target"
  }

  main "$@"
  exit
}
