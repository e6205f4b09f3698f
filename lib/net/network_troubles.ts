/**
 * What goes wrong between a node and its network: counted each time, and logged
 * in moderation.
 *
 * Not for: what peers send and the engine refuses, which the engine counts.
 */

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
  constructor(metrics: Metrics, write: (text: string) => void) {
    this.#net = metrics.of(NET_METRICS);
    this.#swim = metrics.of(SWIM_METRICS);
    this.#log = new TroubleLog(write);
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
