/**
 * A story about keys: an encrypted cluster gets a new one while it goes on
 * talking, each step asked for by another node.
 *
 *     install --all have it--> use --all seal with it--> remove the old one
 *
 * User events are sent all the time, and probes go on as ever. Since every node
 * opens with both keys before anybody seals with the new one, nothing may be
 * lost by it, and nobody may take another for failed.
 */

import type { LogLevel } from "../kit/log.ts";
import type { KeyRequestParams } from "../serf/engine.ts";
import type { KeyReport, OperationResult } from "../serf/event.ts";
import type { OperationId } from "../swim/output.ts";
import { repairMs } from "./bounds.ts";
import type { Cluster, ClusterObserver } from "./cluster.ts";
import type { SimNode } from "./node.ts";
import { Stage, type StoryOptions, type StoryReport } from "./stories.ts";

/** One step, and how it ended. */
export interface KeyChange {
  readonly kind: KeyRequestParams["kind"];
  /** Name of the node that asked. */
  readonly by: string;
  readonly error: string | undefined;
  readonly report: KeyReport;
}

export interface KeyRotationReport extends StoryReport {
  readonly changes: readonly KeyChange[];
  /** By name of each user event, how many nodes delivered it. */
  readonly delivered: ReadonlyMap<string, number>;
  /** Log lines of nodes that took somebody for failed. */
  readonly suspicions: readonly string[];
  /** Log lines of nodes that could not make use of something. */
  readonly complaints: readonly string[];
  /** Nodes that hold the new key and no other. */
  readonly renewed: number;
}

export interface KeyRotationOptions extends StoryOptions {
  /** Steps to take, in order; a rotation and a list unless told otherwise. */
  readonly steps?: readonly KeyRequestParams["kind"][];
}

/** Time between user events, ms. */
const EVENT_EVERY_MS = 400;
/** A time after each step in which only events flow, ms. */
const PAUSE_MS = 3_000;
/** AES-128, the cheapest to seal with. */
const KEY_BYTES = 16;

const OLD_KEY = new Uint8Array(KEY_BYTES).fill(1);
const NEW_KEY = new Uint8Array(KEY_BYTES).fill(2);

const ROTATION = ["install", "use", "remove", "list"] as const;

/** An encrypted cluster changes its key under load. */
export function keyRotationStory(
  options: KeyRotationOptions,
): KeyRotationReport {
  const { steps = ROTATION, ...rest } = options;
  const { nodes } = options;
  const stage = new Stage({
    ...rest,
    keys: [OLD_KEY],
    // Suspicions are told at this level.
    settings: {
      ...rest.settings,
      swim: { ...rest.settings?.swim, logLevel: "INFO" },
    },
  });
  const { cluster, views } = stage;
  stage.playStart();
  const witness = new Witness(cluster);
  witness.sendEvents();
  for (const [i, kind] of steps.entries()) {
    // Far from each other, and never the same.
    const asker = cluster.node(Math.floor((i + 0.5) / steps.length * nodes));
    witness.ask(asker, requestOf(kind));
    stage.play(
      `${kind} by all`,
      queryMs(cluster),
      () => witness.changes.length > i,
    );
    stage.play("a pause", PAUSE_MS);
  }
  witness.stopEvents();
  const isDelivered = () =>
    witness.eventNames.every((name) => views.delivered(name) === nodes);
  stage.play(
    "the last event has reached all",
    repairMs(cluster.configOf(cluster.node(0)), nodes),
    isDelivered,
  );
  return {
    ...stage.report(),
    changes: witness.changes,
    delivered: new Map(
      witness.eventNames.map((name) => [name, views.delivered(name)]),
    ),
    suspicions: witness.suspicions,
    complaints: witness.complaints,
    renewed: cluster.nodes.filter(isRenewed).length,
  };
}

function requestOf(kind: KeyRequestParams["kind"]): KeyRequestParams {
  if (kind === "list") return { kind };
  return { kind, key: kind === "remove" ? OLD_KEY : NEW_KEY };
}

/** More than any query takes that nobody gives a time to. */
function queryMs(cluster: Cluster): number {
  return repairMs(cluster.configOf(cluster.node(0)), cluster.nodes.length);
}

function isRenewed({ keyring }: SimNode): boolean {
  const [key, ...more] = keyring?.keys() ?? [];
  return key !== undefined && more.length === 0 &&
    key.every((byte, i) => byte === NEW_KEY[i]);
}

/** Sends events, asks for changes, and hears what becomes of them. */
class Witness implements ClusterObserver {
  readonly changes: KeyChange[] = [];
  readonly eventNames: string[] = [];
  readonly suspicions: string[] = [];
  readonly complaints: string[] = [];
  readonly #cluster: Cluster;
  readonly #asked = new Map<OperationId, {
    readonly node: SimNode;
    readonly kind: KeyRequestParams["kind"];
  }>();
  #isSending = false;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    cluster.observers.push(this);
  }

  ask(node: SimNode, params: KeyRequestParams): void {
    this.#cluster.call(node, (engine, nowMs) => {
      const operation = engine.changeKeys(params, nowMs);
      this.#asked.set(operation, { node, kind: params.kind });
    });
  }

  onDone(node: SimNode, result: OperationResult): void {
    const { operation, error, keys } = result;
    const asked = this.#asked.get(operation);
    if (keys === undefined || asked?.node !== node) return;
    this.#asked.delete(operation);
    const { kind } = asked;
    this.changes.push({ kind, by: node.name, error, report: keys });
  }

  onLog(node: SimNode, level: LogLevel, text: string): void {
    const line = `${node.name} [${level}] ${text}`;
    if (text.includes("uspect")) this.suspicions.push(line);
    else if (level === "ERR") this.complaints.push(line);
  }

  /** From now on, one node after the other sends an event. */
  sendEvents(): void {
    this.#isSending = true;
    this.#sendNext();
  }

  stopEvents(): void {
    this.#isSending = false;
  }

  #sendNext(): void {
    if (!this.#isSending) return;
    const cluster = this.#cluster;
    const count = this.eventNames.length;
    const name = `event-${count}`;
    // A step that shares no factor with most sizes, so that all kinds of nodes send.
    const node = count * 37 % cluster.nodes.length;
    this.eventNames.push(name);
    cluster.perform({ kind: "userEvent", node, name });
    cluster.clock.at(cluster.nowMs + EVENT_EVERY_MS, {
      kind: "call",
      run: () => this.#sendNext(),
    });
  }
}
