/** Drivers for tests. */

import { formatEndpoint } from "../../lib/kit/address.ts";
import { utf8Text } from "../../lib/kit/bytes.ts";
import { type DriverOptions, NodeDriver } from "../../lib/net/driver.ts";
import { SnapshotStore } from "../../lib/net/snapshot_store.ts";
import type { SerfEvent } from "../../lib/serf/event.ts";
import { PROFILES } from "../../lib/swim/config.ts";
import { Keyring } from "../../lib/wire/keyring.ts";
import { until } from "./deadline.ts";

/** A driver on loopback, with what it said. */
export class Node {
  readonly events: string[] = [];
  readonly log: string[] = [];
  readonly driver: NodeDriver;

  constructor(
    name: string,
    options: {
      host?: string;
      port?: number;
      key?: Uint8Array;
      advertise?: DriverOptions["advertise"];
      snapshot?: SnapshotStore;
      onEvent?: (event: SerfEvent) => void;
      onNameLost?: () => void;
      saveKeyring?: DriverOptions["saveKeyring"];
    } = {},
  ) {
    const { host = "127.0.0.1", port = 0, key, advertise } = options;
    const { saveKeyring, snapshot } = options;
    this.driver = NodeDriver.start({
      bind: { host, port },
      ...(advertise && { advertise }),
      ...(snapshot && { snapshot }),
      config: {
        swim: {
          name,
          profile: PROFILES.local,
          ...(key && { keyring: new Keyring([key]) }),
        },
      },
      onEvent: (event) => {
        this.events.push(shortText(event));
        options.onEvent?.(event);
      },
      onLog: (level, text) => this.log.push(`[${level}] ${text}`),
      onNameLost: () => options.onNameLost?.(),
      ...(saveKeyring && { saveKeyring }),
    });
  }

  get address(): string {
    const { host, port } = this.driver.bound;
    return formatEndpoint(host, port);
  }

  /** `name status` of everybody, by name. */
  get view(): string[] {
    return this.driver.members().map(({ name, status }) => `${name} ${status}`);
  }

  sees(...view: string[]): Promise<void> {
    const text = view.join(", ");
    return until(text, () => this.view.join(", ") === text);
  }

  join(...addresses: string[]): Promise<number> {
    return this.driver.join(addresses, { replay: false });
  }

  [Symbol.dispose](): void {
    this.driver.shutdown();
  }
}

function shortText(event: SerfEvent): string {
  if (event.type === "query") return `query ${event.name}`;
  return event.type === "user"
    ? `user ${event.name} ${utf8Text(event.payload)}`
    : `${event.type} ${event.members.map(({ name }) => name).join(" ")}`;
}
