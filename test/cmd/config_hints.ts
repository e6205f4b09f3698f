/**
 * What our complaints about bad configurations add to those of the original:
 * lines below its own, by the name of the recorded call.
 */

const ADDRESS = '"10.0.0.1", "10.0.0.1:7946" or "[::1]:7946"';
const AN_ADDRESS = `takes an address, such as ${ADDRESS}`;
const ADDRESSES = 'takes a list of addresses, such as ["10.0.0.1:7946"]';
const TAGS = 'line 1: "tags" takes an object of texts, such as {"role": "web"}';
const DURATION = 'takes a duration, such as "30s"';
const LEVELS = 'takes "trace", "debug", "info", "warn" or "err"';
const PROFILES = 'takes "lan", "wan" or "local"';
const VERSION = "takes a whole number from 2 to 5";
const KEY = "takes 16, 24 or 32 bytes in base64, as `serf keygen` prints them";
const RPC = 'takes an address with a port, such as "127.0.0.1:7373"';
const INTERFACE = 'takes the name of a network interface, such as "eth0"';
const ROOT = "the file must be an object: { ... }";

export const HINTS: Readonly<Record<string, readonly string[]>> = {
  "agent-err-config-array-root": [ROOT],
  "agent-err-config-bad-duration": [`line 1: "retry_interval" ${DURATION}`],
  "agent-err-config-badjson": ["at line 1, column 15"],
  "agent-err-config-duration-number": [`line 1: "retry_interval" ${DURATION}`],
  "agent-err-config-empty-file": ["at line 1, column 1"],
  "agent-err-config-syntax": ["at line 1, column 2"],
  "agent-err-config-wrong-type": [
    'line 1: "event_handlers" takes a list of handlers, such as ' +
    '["member-join=/etc/serf/join.sh"] or ' +
    '[{"filter": "user:deploy", "script": "deploy.sh"}]',
    `line 1: "protocol" ${VERSION}`,
  ],
  "agent-err-config-wrong-type-str": [
    'line 1: "node_name" takes a text, such as "web-1"',
  ],
  "agent-err-user-event-limit": [
    'FILE: "user_event_size_limit" takes a number of bytes, at most 9216',
  ],
  "root-number": [ROOT],
  "root-text": [ROOT],
  "root-boolean": [ROOT],
  "number-garbage": [ROOT],
  "trailing-data": [`FILE: "log_level" ${LEVELS}`],
  "nulls": [`FILE: "log_level" ${LEVELS}`],
  "two-spellings": ['line 1: "Node_Name" and "node_name" are the same key'],
  "case": [`FILE: "log_level" ${LEVELS}`],
  "tags-types": [TAGS],
  "tags-list": [TAGS],
  "tags-text": [TAGS],
  "join-text": [`line 1: "start_join" ${ADDRESSES}`],
  "join-types": [`line 1: "start_join" ${ADDRESSES}`],
  "join-object": [`line 1: "start_join" ${ADDRESSES}`],
  "join-boolean": [`line 1: "retry_join" ${ADDRESSES}`],
  "boolean-text": ['line 1: "leave_on_terminate" takes true or false'],
  "boolean-number": ['line 1: "skip_leave_on_interrupt" takes true or false'],
  "boolean-list": ['line 1: "rejoin_after_leave" takes true or false'],
  "boolean-object": ['line 1: "replay_on_join" takes true or false'],
  "integer-text": [`line 1: "protocol" ${VERSION}`],
  "integer-boolean": [
    'line 1: "query_size_limit" takes a number of bytes, such as 1024',
  ],
  "integer-fraction": [`FILE: "protocol" ${VERSION}`],
  "number-overflow": ["at line 1, column 18"],
  "text-boolean": [`line 1: "bind" ${AN_ADDRESS}`],
  "text-list": [`line 1: "profile" ${PROFILES}`],
  "text-object": [`line 1: "rpc_addr" ${RPC}`],
  "text-million": ['line 1: "role" takes a text, such as "web"'],
  "text-fraction": ['line 1: "rpc_auth" takes a text'],
  "text-small": [`line 1: "log_level" ${LEVELS}`],
  "durations": [
    `line 1: "reconnect_interval" ${DURATION}`,
    `line 1: "retry_interval" ${DURATION}`,
    `line 1: "broadcast_timeout" ${DURATION}`,
  ],
  "duration-unit": [`line 1: "tombstone_timeout" ${DURATION}`],
  "duration-boolean": [`line 1: "reconnect_timeout" ${DURATION}`],
  "mixed": [
    'line 4: did you mean "start_join" instead of "join"?',
    'line 3: did you mean "node_name" instead of "nodename"?',
    'line 5: "node_name" takes a text, such as "web-1"',
    `line 2: "protocol" ${VERSION}`,
    TAGS.replace("line 1", "line 6"),
  ],
  "go-name": [
    'line 1: did you mean "reconnect_interval" instead of "ReconnectInterval"?',
  ],
  "last-counts": [`FILE: "log_level" ${LEVELS}`],
  "bom": ["at line 1, column 1"],
  "space": ["at line 2, column 2"],
  "comment": ["at line 1, column 1"],
  "trailing-comma": ["at line 3, column 1"],
  "list-comma": ["at line 1, column 20"],
  "single-quotes": ["at line 1, column 2"],
  "no-colon": ["at line 1, column 6"],
  "no-comma": ["at line 2, column 2"],
  "escape": ["at line 1, column 8"],
  "line-break": ["at line 1, column 7"],
  "unicode-escape": ["at line 1, column 11"],
  "leading-zero": ["at line 1, column 7"],
  "minus": ["at line 1, column 7"],
  "dot": ["at line 1, column 8"],
  "exponent": ["at line 1, column 8"],
  "literal": ["at line 1, column 9"],
  "literal-null": ["at line 1, column 9"],
  "torn-text": ["at line 1, column 8"],
  "not-ascii": ["at line 1, column 2"],
  "list-no-comma": ["at line 1, column 20"],
  "plus": ["at line 1, column 6"],
  "interface": [`FILE: "interface" ${INTERFACE}`],
  "profile": [`FILE: "profile" ${PROFILES}`],
  "log-level": [`FILE: "log_level" ${LEVELS}`],
  "bind": [`FILE: "bind" ${AN_ADDRESS}`],
  "bind-port": [`FILE: "bind" ${AN_ADDRESS}`],
  "advertise": [`FILE: "advertise" ${AN_ADDRESS}`],
  "key": [`FILE: "encrypt_key" ${KEY}`],
  "key-length": [`FILE: "encrypt_key" ${KEY}`],
  "protocol-high": [`FILE: "protocol" ${VERSION}`],
  "protocol-low": [`FILE: "protocol" ${VERSION}`],
  "rpc": [`FILE: "rpc_addr" ${RPC}`],
  "warnings": [`FILE: "profile" ${PROFILES}`],
  "interface-before-warnings": [`FILE: "interface" ${INTERFACE}`],
};
