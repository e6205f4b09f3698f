/**
 * The engine of a driver: made of the caller's settings and of what only the
 * driver knows, the addresses and where things are kept.
 */

import { type HostPort, parseIp } from "../kit/address.ts";
import type { Metrics } from "../kit/metrics.ts";
import { serfConfig } from "../serf/config.ts";
import { SerfEngine } from "../serf/engine.ts";
import type { DriverOptions } from "./driver_options.ts";
import { nonceSource, seededRandom } from "./entropy.ts";

/** @throws {RangeError} when a setting is out of range */
export function makeEngine(
  { config, snapshot, saveKeyring }: DriverOptions,
  driver: {
    readonly bound: HostPort;
    readonly advertised: HostPort;
    readonly metrics: Metrics;
  },
): SerfEngine {
  const { bound, advertised, metrics } = driver;
  const settings = serfConfig({
    ...config,
    ...(snapshot && { snapshot: { restored: snapshot.restored } }),
    savesKeyring: saveKeyring !== undefined,
    swim: {
      ...config.swim,
      advertiseAddr: parseIp(advertised.host) as Uint8Array,
      advertisePort: advertised.port,
      bindPort: bound.port,
    },
  });
  return new SerfEngine(settings, {
    random: seededRandom(),
    nextNonce: nonceSource(),
    metrics,
  });
}
