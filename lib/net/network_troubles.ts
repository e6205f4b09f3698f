/**
 * What goes wrong between a node and its network: counted each time, and logged
 * in moderation.
 *
 * Not for: what peers send and the engine refuses, which the engine counts.
 */

import type { LogLevel } from "../kit/log.ts";
import type { Metrics } from "../kit/metrics.ts";
import { SWIM_METRICS, type SwimMetrics } from "../swim/metrics.ts";
import { NET_METRICS, type NetMetrics } from "./metrics.ts";
import { systemErrorText } from "./system_error.ts";
import { TroubleLog } from "./trouble_log.ts";

export class NetworkTroubles {
  readonly #net: NetMetrics;
  readonly #swim: SwimMetrics;
  readonly #log: TroubleLog;

  /** @param write takes lines for the log, without a component in front */
  constructor(
    metrics: Metrics,
    write: (level: LogLevel, text: string) => void,
  ) {
    this.#net = metrics.of(NET_METRICS);
    this.#swim = metrics.of(SWIM_METRICS);
    this.#log = new TroubleLog((text, kind) =>
      write(kind === "abort" ? "DEBUG" : "ERR", text)
    );
  }

  receiveFailed(error: unknown): void {
    this.#net.udpReceivesFailed.add();
    const why = systemErrorText(error);
    this.#log.log("receive", `Error reading UDP packet: ${why}`);
  }

  sendFailed(to: string, error: unknown): void {
    this.#net.udpSendsFailed.add();
    const why = systemErrorText(error);
    this.#log.log("send", `Failed to send UDP packet to ${to}: ${why}`);
  }

  /** Too many sends are pending; the log says nothing, as of any lost packet. */
  sendDropped(): void {
    this.#net.udpSendsDropped.add();
  }

  acceptFailed(error: unknown): void {
    this.#net.tcpAcceptsFailed.add();
    const why = systemErrorText(error);
    this.#log.log("accept", `Error accepting TCP connection: ${why}`);
  }

  /** Nothing is wrong with us, and health checks do it all the time. */
  acceptAborted(error: unknown): void {
    this.#net.tcpAcceptsAborted.add();
    const why = systemErrorText(error);
    this.#log.log("abort", `Stream ended before it was accepted: ${why}`);
  }

  /** Counted with the streams that the engine turns away. */
  streamRefused(from: string): void {
    this.#swim.streamsRefused.add();
    this.#log.log("refuse", `Too many open streams, closing one from=${from}`);
  }

  /** Counted in the same way. */
  streamOverfull(from: string): void {
    this.#swim.streamsRefused.add();
    this.#log.log(
      "refuse",
      `Too much waits for peers that do not read, closing a stream from=${from}`,
    );
  }
}
