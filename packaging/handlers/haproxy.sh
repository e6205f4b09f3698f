#!/bin/sh
# Event handler: writes the backend of HAProxy anew whenever web servers come or go.
#
# Asks the agent who is there now instead of reading the event, so that events that
# were missed, or came twice, do no harm. HAProxy is started with this file behind
# its own: haproxy -f /etc/haproxy/haproxy.cfg -f /var/lib/serf/haproxy.cfg
#
# The user of the agent needs the right to reload HAProxy; sudo does not work in the
# hardened systemd unit, /etc/polkit-1/rules.d/50-serf.rules does:
#   polkit.addRule(function (action, subject) {
#     if (
#       action.id == "org.freedesktop.systemd1.manage-units" &&
#       action.lookup("unit") == "haproxy.service" &&
#       action.lookup("verb") == "reload" && subject.user == "serf"
#     ) return polkit.Result.YES;
#   });

set -eu

role=${WEB_ROLE:-web}
port=${WEB_PORT:-8080}
config=${HAPROXY_CONFIG:-/var/lib/serf/haproxy.cfg}
reload=${HAPROXY_RELOAD:-systemctl --no-ask-password reload haproxy}

new=$config.new
trap 'rm -f "$new" "$new.members"' EXIT

# Not a pipe, since then a failure would look like a cluster without web servers.
serf members -status=alive -tag "role=$role" > "$new.members"
{
  echo "backend $role"
  echo "  balance roundrobin"
  # Lines are NAME ADDRESS:PORT STATUS TAGS. Members choose their names; one that
  # could be read as more than a name is left out.
  awk -v port="$port" '
    $1 ~ /^[A-Za-z0-9._-]+$/ && $2 ~ /^[0-9A-Fa-f.:\[\]]+$/ {
      sub(/:[0-9]+$/, "", $2)
      printf "  server %s %s:%s check\n", $1, $2, port
    }' "$new.members" | sort
} > "$new"

if ! cmp -s "$new" "$config"; then
  mv "$new" "$config"
  # A command with its arguments.
  # shellcheck disable=SC2086
  $reload
fi
