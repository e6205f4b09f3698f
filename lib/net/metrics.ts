/**
 * What only the driver can count: that the system did not take or give something;
 * and what goes on at the control port of an agent.
 *
 * Streams that the driver turns away are counted with those that the engine does,
 * and bytes and packets where the engine counts them; see `lib/swim/metrics.ts`.
 */

import { counter, type Instruments, MetricSet } from "../kit/metrics.ts";

const DEFINITIONS = {
  udpSendsDropped: counter(
    "memberlist.udp.send_dropped",
    "",
    "Packets dropped because too many were on their way to the system. Any: this machine cannot keep up",
  ),
  udpSendsFailed: counter(
    "memberlist.udp.send_failed",
    "",
    "Packets that the system did not send. Rising: a network is down, or a firewall says no",
  ),
  udpReceivesFailed: counter(
    "memberlist.udp.receive_failed",
    "",
    "Reads of the packet socket that failed",
  ),
  tcpAcceptsFailed: counter(
    "memberlist.tcp.accept_failed",
    "",
    "Streams that the system did not hand over. Rising: too many files are open",
  ),
  tcpAcceptsAborted: counter(
    "memberlist.tcp.accept_aborted",
    "",
    "Streams that their peer reset before they were accepted. Rising: a health check, or somebody who scans ports",
  ),
} as const;

export const NET_METRICS: MetricSet<typeof DEFINITIONS> = new MetricSet(
  DEFINITIONS,
);

export type NetMetrics = Instruments<typeof DEFINITIONS>;

/** Of the control port; `accept` and `command` as in Serf's `ipc.go`. */
const RPC_DEFINITIONS = {
  accepts: counter(
    "agent.ipc.accept",
    "",
    "Clients that the control port let in",
  ),
  aborts: counter(
    "agent.ipc.aborted",
    "",
    "Clients that reset the connection before the control port accepted it. Rising: a health check, or somebody who scans ports",
  ),
  commands: counter(
    "agent.ipc.command",
    "",
    "Requests of clients, refused ones included, handshakes too",
  ),
  refusals: counter(
    "agent.ipc.refused",
    "",
    "Clients that the control port did not let in, since it was full. Any: somebody opens connections and does not close them",
  ),
  evictions: counter(
    "agent.ipc.evicted",
    "",
    "Clients that had not introduced themselves and lost their place to a newcomer. Any: somebody opens connections and says nothing",
  ),
  lateIntroductions: counter(
    "agent.ipc.timeout",
    "",
    "Clients closed because they did not introduce themselves in time, with a handshake and the token",
  ),
  wrongTokens: counter(
    "agent.ipc.auth_failed",
    "",
    "Wrong tokens. Rising: somebody guesses, or a program has an old token",
  ),
  heldTokens: counter(
    "agent.ipc.auth_delayed",
    "",
    "Tokens that had to wait, or were refused without a look, because of wrong ones. Any: somebody guesses",
  ),
  unloggedLines: counter(
    "agent.ipc.unlogged",
    "",
    "Lines about clients that were left out of the log, being too many",
  ),
} as const;

export const RPC_METRICS: MetricSet<typeof RPC_DEFINITIONS> = new MetricSet(
  RPC_DEFINITIONS,
);

export type RpcMetrics = Instruments<typeof RPC_DEFINITIONS>;

/** Of discovery on the local network. */
const MDNS_DEFINITIONS = {
  refused: counter(
    "agent.mdns.refused",
    "",
    "Questions of discovery that were not answered, since there were too many of one host or of all. Rising: somebody uses this agent to flood another host",
  ),
} as const;

export const MDNS_METRICS: MetricSet<typeof MDNS_DEFINITIONS> = new MetricSet(
  MDNS_DEFINITIONS,
);
