/**
 * The mistakes that are planted in engines, each with the rule of
 * `lib/sim/checkers.ts` that must find it.
 */

import type { SimSettings } from "../../lib/sim/cluster.ts";
import type { Mistake } from "./planted_engine.ts";

export interface PlantedMistake {
  /** What such an engine does wrong. */
  readonly what: string;
  readonly rule: string;
  /** Makes the mistake of one engine. */
  readonly make: () => Mistake;
  readonly settings?: SimSettings;
}

export const PLANTED_MISTAKES: readonly PlantedMistake[] = [
  {
    what: "never takes back a death",
    rule: "agreement",
    make: neverTakesBack,
  },
  {
    what: "never takes back a death",
    rule: "not called dead",
    make: neverTakesBack,
  },
  {
    what: "accepts lower incarnations",
    rule: "never back",
    make: () => ({ believesLastWord: true }),
  },
  {
    what: "raises the incarnations of others",
    rule: "owner raises",
    make: () => ({
      message: (message) =>
        message.kind === "suspect"
          ? { ...message, incarnation: message.incarnation + 1 }
          : message,
    }),
  },
  {
    what: "calls itself what others call it",
    rule: "self alive",
    make: () => ({ believesAccusations: true }),
  },
  {
    what: "gets names wrong",
    rule: "no inventions",
    make: () => ({
      message: (message) =>
        message.kind === "alive" && message.node.name === "n1"
          ? { ...message, node: { ...message.node, name: "n!" } }
          : message,
    }),
  },
  {
    what: "delivers user events twice",
    rule: "at most once",
    make: () => ({
      output: (output) =>
        output.kind === "event" && output.event.type === "user"
          ? [output, output]
          : [output],
    }),
  },
  {
    what: "does not write down which events it delivered",
    rule: "at most once",
    make: () => ({
      output: (output) => {
        if (output.kind !== "persist") return [output];
        const text = output.text.replaceAll(/^event-clock: .*\n/gm, "");
        return [{ ...output, text }];
      },
    }),
  },
  {
    what: "tells of failures twice",
    rule: "event order",
    make: () => ({
      output: (output) =>
        output.kind === "event" && output.event.type === "member-failed"
          ? [output, output]
          : [output],
    }),
  },
  {
    what: "keeps failures to itself",
    rule: "agreement",
    make: () => ({
      output: (output) =>
        output.kind === "event" && output.event.type === "member-failed"
          ? []
          : [output],
    }),
  },
  {
    what: "does not probe",
    rule: "agreement",
    make: () => ({
      config: (config) => {
        const profile = { ...config.swim.profile, probeIntervalMs: 0 };
        return { ...config, swim: { ...config.swim, profile } };
      },
    }),
  },
  {
    what: "learns nothing from exchanges of state",
    rule: "agreement",
    make: () => ({ pushPull: (exchange) => ({ ...exchange, states: [] }) }),
  },
  {
    what: "holds on to the first tags of everybody",
    rule: "agreement",
    make: () => {
      const metas = new Map<string, Uint8Array>();
      const first = (name: string, meta: Uint8Array) => {
        if (!metas.has(name)) metas.set(name, meta);
        return metas.get(name) ?? meta;
      };
      return {
        message: (message, self) => {
          if (message.kind !== "alive" || message.node.name === self) {
            return message;
          }
          const { name, meta } = message.node;
          return {
            ...message,
            node: { ...message.node, meta: first(name, meta) },
          };
        },
        pushPull: (exchange, self) => ({
          ...exchange,
          states: exchange.states.map((state) => {
            const { name, meta } = state.node;
            if (name === self) return state;
            return {
              ...state,
              node: { ...state.node, meta: first(name, meta) },
            };
          }),
        }),
      };
    },
  },
  {
    what: "writes old keys to its keyring file",
    rule: "agreement",
    make: () => {
      let first: readonly Uint8Array[] | undefined;
      return {
        output: (output) => {
          if (output.kind !== "saveKeyring") return [output];
          first ??= output.keys.slice(0, 1);
          return [{ ...output, keys: first }];
        },
      };
    },
  },
  {
    what: "has a clock that starts again after 8",
    rule: "clocks rise",
    make: () => ({
      stats: (stats) => {
        const time = Number(stats.get("member_time")) % 8;
        return new Map(stats).set("member_time", String(time));
      },
    }),
  },
  {
    what: "does not know the limit of its queues",
    rule: "bounded queues",
    settings: { queueDepthMax: 1 },
    make: () => ({ config: (config) => ({ ...config, queueDepthMax: 4_096 }) }),
  },
  {
    what: "never closes its streams",
    rule: "streams end",
    make: () => ({
      output: (output) => output.kind === "close" ? [] : [output],
    }),
  },
];

/** Its peers' proofs of life are lost on it. */
function neverTakesBack(): Mistake {
  const dead = new Set<string>();
  return {
    output: (output) => {
      if (output.kind === "event" && output.event.type === "member-failed") {
        for (const { name } of output.event.members) dead.add(name);
      }
      return [output];
    },
    message: (message) =>
      message.kind === "alive" && dead.has(message.node.name)
        ? undefined
        : message,
    pushPull: (exchange) => ({
      ...exchange,
      states: exchange.states.filter(({ node }) => !dead.has(node.name)),
    }),
  };
}
