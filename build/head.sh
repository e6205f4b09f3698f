#!/bin/sh
# serf @VERSION@ for @TARGET@, in one file that unpacks itself.
#
# Behind this text lies a compressed archive: the Deno run-time and the program.
# The first start unpacks it into a directory of the user's, whose name is a hash
# of what is in it. Every start checks that directory and turns into the program:
# the process stays the same one, so that signals, exit code, standard input and
# arguments are the program's own.
#
# The directory is $SERF_CACHE_DIR, or else $XDG_CACHE_HOME/serf, ~/.cache/serf, or
# for a user without a home ${TMPDIR:-/tmp}/serf-UID. Whoever can write there can
# make us run anything. So it must be a real directory, it and all in it must
# belong to the user or to root, and nobody else may be able to write; what is
# above it is taken on trust. That keeps other users out, the directory for
# temporary files included. It is no protection against the user himself, who could
# replace this file as well; so what is checked of the contents at each start is
# what accidents change, the number of files and their sizes, which takes one call
# of ls. The checksum of the archive is checked when it is unpacked.
#
# Unpacking takes place in a private directory that is then renamed, so that one
# under the final name is always whole, whatever happened on the way. A lock keeps
# several first starts from doing the same work; nothing depends on it.

# Ends nothing while this text runs. What becomes of it later: see below.
trap '' USR1

name='@NAME@'
file_count=@COUNT@
byte_count=@BYTES@
archive_at=@OFFSET@

fail() {
  printf 'serf: %s\n' "$1" >&2
  exit 1
}

# What a line of `ls -ldn` says: mode, links, owner, group, size, ...
check_entry() {
  case $1 in
    [!d-]*) trouble='there is something in it that is not ours' ;;
    ?????w* | ????????w*) trouble='others than its owner can write there' ;;
    -*) files=$((files + 1)) bytes=$((bytes + $5)) ;;
  esac
  case $3 in
    "$uid" | 0) ;;
    *) trouble="it, or something in it, belongs to user $3" ;;
  esac
}

# Sets state to absent, torn or whole. Ends everything when the directories are not
# to be trusted, also before anything is written there.
check() {
  for path in "$base" "$directory"; do
    [ ! -h "$path" ] || fail "will not use $path: it is a symbolic link"
  done
  # The user's number, then a line for each directory and file. One that goes away
  # meanwhile, since another start replaces it, is one that is missing.
  listing=$(
    unset LC_ALL BLOCK_SIZE LS_BLOCK_SIZE
    export LC_ALL=C
    CDPATH='' cd "$base" || exit
    set --
    [ ! -e "$name" ] || set -- "$name" "$name"/*
    id -u
    ls -ldn . "$@" 2> /dev/null || :
  ) || fail "cannot look into $directory"
  state=absent
  [ ! -e "$directory" ] || state=torn
  files=0 bytes=0 uid='' trouble=''
  IFS='
'
  set -f
  for line in $listing; do
    IFS=' '
    # shellcheck disable=SC2086 -- to be taken apart
    case $uid in
      '') uid=$line ;;
      *) check_entry $line ;;
    esac
  done
  set +f
  unset IFS
  [ -z "$trouble" ] || fail "will not use $directory: $trouble"
  [ "$files $bytes" != "$file_count $byte_count" ] || state=whole
}

# Removes what this process has made and not finished.
clean_up() {
  [ -z "$new" ] || rm -rf "$new"
  [ -z "$lock" ] || rm -f "$lock"
  new='' lock=''
}

end_by() {
  clean_up
  trap - "$1"
  kill -s "$1" $$
}

is_running() {
  kill -0 "$1" 2> /dev/null
}

# Takes the lock, a link that leads to our number; one whose owner is gone does not
# count. Whole is the state when somebody else has done the work meanwhile.
take_lock() {
  tries=0 misses=0
  until ln -s $$ "$base/.lock-$name" 2> /dev/null; do
    check
    [ "$state" != whole ] || return 0
    tries=$((tries + 1))
    if [ $tries -gt 1200 ]; then
      return 0
    elif holder=$(readlink "$base/.lock-$name") && is_running "$holder"; then
      sleep 0.1 2> /dev/null || sleep 1
    elif misses=$((misses + 1)) && [ $misses -gt 10 ]; then
      # It cannot be made; why, we shall hear when unpacking fails.
      return 0
    else
      rm -f "$base/.lock-$name"
    fi
  done
  lock=$base/.lock-$name
  check
}

unpack() {
  new='' lock=''
  mask=$(umask)
  umask 022
  trap clean_up EXIT
  for signal in HUP INT TERM; do
    # shellcheck disable=SC2064 -- the name is known now
    trap "end_by $signal" $signal
  done
  take_lock
  if [ "$state" != whole ]; then
    for old in "$base"/.new-*; do
      owner=${old##*/.new-}
      is_running "${owner%%.*}" || rm -rf "$old"
    done
    unpack_here
  fi
  clean_up
  trap - EXIT HUP INT TERM
  umask "$mask"
}

unpack_here() {
  # A directory that lost files, or parts of them, as a crash of the system may
  # cause; those who run from it keep what they have open.
  if [ "$state" = torn ]; then
    mv "$directory" "$base/.new-$$.torn" 2> /dev/null &&
      rm -rf "$base/.new-$$.torn" ||
      fail "cannot replace $directory, which is damaged"
  fi
  new=$(mktemp -d "$base/.new-$$.XXXXXX" 2>&1) || {
    said=$new new=''
    fail "cannot unpack into $base: $said"
  }
  # Complaints, one behind the other, and a word that stands for failure.
  said=$({
    tail -c "+$archive_at" "$0" | {
      gzip -dc || echo FAILED >&2
    } | {
      cd "$new" && tar -xof - || echo FAILED >&2
    }
  } 2>&1 | tr -s '\n' ';')
  said=${said#;}
  case $said in
    *FAILED*'No space left'* | *'No space left'*FAILED*)
      fail "cannot unpack into $base: no space left on the device"
      ;;
    *FAILED*) fail "cannot unpack into $base: ${said%%;*}" ;;
  esac
  # Compiled code is kept here; it is for us alone.
  mkdir -m 700 "$new/cache" 2> /dev/null && chmod 755 "$new" &&
    mv "$new" "$directory" 2> /dev/null ||
    fail "cannot unpack into $base"
  # Had somebody been quicker, ours would be inside of theirs.
  rm -rf "$directory/${new##*/}"
  new=''
  check
  [ "$state" = whole ] || fail "what was unpacked into $directory is damaged"
}

# Makes the directory that holds the unpacked ones, if it is not there.
make_base() {
  [ -d "$base" ] || (umask "$1" && mkdir -p "$base") 2> /dev/null
}

if [ -n "${SERF_CACHE_DIR:-}" ]; then
  case $SERF_CACHE_DIR in
    /*) base=$SERF_CACHE_DIR ;;
    *) base=$PWD/$SERF_CACHE_DIR ;;
  esac
  make_base 022 || fail "cannot make the directory $base"
else
  case ${XDG_CACHE_HOME:-} in
    /*) home=$XDG_CACHE_HOME base=$XDG_CACHE_HOME/serf ;;
    *) home=${HOME:-} base=${HOME:-}/.cache/serf ;;
  esac
  # Nothing is left in the home of somebody else, which `sudo` may leave us with.
  if [ -z "$home" ] || { [ -e "$home" ] && [ ! -O "$home" ]; } ||
    ! make_base 077 || { [ ! -e "$base/$name" ] && [ ! -w "$base" ]; }; then
    base=${TMPDIR:-/tmp}/serf-$(id -u)
    make_base 077 ||
      fail "cannot make the directory $base; SERF_CACHE_DIR names another"
  fi
fi
directory=$base/$name

check
[ "$state" = whole ] || unpack
[ -x "$directory/serf" ] ||
  fail "cannot execute $directory/serf; SERF_CACHE_DIR names another directory"

# What Deno reads; the program gives back to its own children what was there before.
[ -z "${DENO_DIR+x}" ] || export SERF_KEPT_DENO_DIR="$DENO_DIR"
[ -z "${DENO_DISABLE_NODE_SHIM+x}" ] ||
  export SERF_KEPT_DENO_DISABLE_NODE_SHIM="$DENO_DISABLE_NODE_SHIM"
[ -z "${DENO_NO_UPDATE_CHECK+x}" ] ||
  export SERF_KEPT_DENO_NO_UPDATE_CHECK="$DENO_NO_UPDATE_CHECK"
export DENO_DIR="$directory/cache" DENO_DISABLE_NODE_SHIM=1 DENO_NO_UPDATE_CHECK=1

# On SIGUSR1 Deno would open its debugger, to which every user of this machine can
# connect. The program prevents that before it does anything else. An agent that
# starts slowly is safe until then too, where env can block a signal. (A path with
# an equals sign would be a variable to env.)
block=''
case ${1:-}:$directory in
  *=*) ;;
  agent:*)
    ! env --block-signal=USR1 true 2> /dev/null ||
      block='env --block-signal=USR1'
    ;;
esac

# shellcheck disable=SC2086 -- to be taken apart
exec $block "$directory/serf" run --quiet \
  @FLAGS@ \
  "$directory/start.js" "$@"
