/**
 * Numbers that a node keeps of its own work, for whoever wants to see them.
 *
 *     mechanism --add, record, set--> instrument --read()-----> sinks that pull
 *                                          |
 *                                          +-----subscribe()--> sinks that push
 *
 * One `Metrics` per node is the one place where things are counted. A room of the
 * code defines its fixed names once, as a `MetricSet`; a node's instruments of a
 * set are its typed fields, so that code reads `metrics.memberJoin.add()`.
 *
 * An instrument comes into being when it is first used, because a simulation
 * holds thousands of nodes, most of which never see most of what is counted.
 *
 * Not here: prefixes, intervals, rates and the forms in which sinks write all
 * this.
 */

import { assert } from "./assert.ts";
import {
  Audience,
  Counter,
  CounterFamily,
  Gauge,
  type Metric,
  type MetricKind,
  type MetricListener,
  Sample,
  type SampleSummary,
} from "./instruments.ts";

export type {
  Counter,
  CounterFamily,
  Gauge,
  Metric,
  MetricKind,
  MetricListener,
  Sample,
  SampleSummary,
} from "./instruments.ts";

/** A metric and its value at the moment of `read`. */
export type Reading =
  | { readonly metric: Metric; readonly value: number }
  | { readonly metric: Metric; readonly summary: SampleSummary };

type Instrument = Counter | Gauge | Sample | CounterFamily;

interface InstrumentsByKind {
  readonly counter: Counter;
  readonly gauge: Gauge;
  readonly sample: Sample;
  readonly family: CounterFamily;
}

/** A fixed metric; `family` makes it one of many names. */
export interface Definition<
  K extends keyof InstrumentsByKind = keyof InstrumentsByKind,
> {
  readonly instrument: K;
  readonly metric: Metric;
}

type Definitions = Readonly<Record<string, Definition>>;

/** The instruments of one node, under the keys of their definitions. */
export type Instruments<D extends Definitions> = {
  readonly [Key in keyof D]: InstrumentsByKind[D[Key]["instrument"]];
};

/** Defines a counter. @param meaning for the operator; see `Metric` */
export function counter(
  name: string,
  unit: Metric["unit"],
  meaning: string,
): Definition<"counter"> {
  const metric: Metric = { kind: "counter", name, unit, meaning };
  return { instrument: "counter", metric };
}

/** Defines a gauge. */
export function gauge(
  name: string,
  unit: Metric["unit"],
  meaning: string,
  labels?: Readonly<Record<string, string>>,
): Definition<"gauge"> {
  const metric: Metric = { kind: "gauge", name, unit, meaning };
  return {
    instrument: "gauge",
    metric: labels === undefined ? metric : { ...metric, labels },
  };
}

/** Defines a sample. */
export function sample(
  name: string,
  unit: Metric["unit"],
  meaning: string,
): Definition<"sample"> {
  const metric: Metric = { kind: "sample", name, unit, meaning };
  return { instrument: "sample", metric };
}

/** Defines a counter whose parts have names of the network. */
export function family(name: string, meaning: string): Definition<"family"> {
  const metric: Metric = { kind: "counter", name, unit: "", meaning };
  return { instrument: "family", metric };
}

/** A node's instruments of one set, by their places in it. */
class Shelf {
  readonly #set: MetricSet;
  readonly #audience: Audience;
  readonly #made: (Instrument | undefined)[];

  constructor(set: MetricSet, audience: Audience) {
    this.#set = set;
    this.#audience = audience;
    const { length } = set.definitions;
    this.#made = new Array<Instrument | undefined>(length).fill(undefined);
  }

  /** Whether it holds this set; nobody else needs to know which. */
  isOf(set: MetricSet): boolean {
    return this.#set === set;
  }

  at(place: number): Instrument {
    return this.#made[place] ?? this.#make(place);
  }

  /** The metric of that name, if it is one of the set without labels. */
  find(name: string): Instrument | undefined {
    const place = this.#set.placeOf(name);
    return place === undefined ? undefined : this.at(place);
  }

  /** What was never used does not exist, and is read as zero. */
  *read(): Generator<Reading> {
    for (const [place, definition] of this.#set.definitions.entries()) {
      const made = this.#made[place];
      if (made !== undefined) yield* readingsOf(made);
      else yield zeroOf(definition.metric);
    }
  }

  #make(place: number): Instrument {
    const definition = this.#set.definitions[place];
    assert(definition !== undefined, "a place is one of the set");
    const { instrument, metric } = definition;
    const made = new INSTRUMENTS[instrument](metric, this.#audience);
    this.#made[place] = made;
    return made;
  }
}

/**
 * The fixed metrics of one part of the code. Make it once, at the top of a file;
 * all nodes share it, and `Metrics.of` gives each its own instruments.
 */
export class MetricSet<D extends Definitions = Definitions> {
  readonly definitions: readonly Definition[];
  readonly #places = new Map<string, number>();
  /** A shelf with a getter for each key, which knows the key's place. */
  readonly #Shelf: typeof Shelf;

  constructor(definitions: D) {
    this.definitions = Object.values(definitions);
    this.#Shelf = class extends Shelf {};
    for (const [place, key] of Object.keys(definitions).entries()) {
      assert(!(key in Shelf.prototype), `${key} is no key of a metric`);
      Object.defineProperty(this.#Shelf.prototype, key, {
        get(this: Shelf) {
          return this.at(place);
        },
      });
    }
    for (const [place, { metric }] of this.definitions.entries()) {
      if (metric.labels === undefined) this.#places.set(metric.name, place);
    }
  }

  /** Where a metric without labels stands. */
  placeOf(name: string): number | undefined {
    return this.#places.get(name);
  }

  /** Only for `Metrics.of`, so that a node has one shelf of a set. */
  makeShelf(audience: Audience): Shelf {
    return new this.#Shelf(this as MetricSet, audience);
  }
}

/** Everything that one node counts. */
export class Metrics {
  readonly #audience = new Audience();
  readonly #shelves: Shelf[] = [];
  /** What was asked for by name and is in no set. */
  #named: Map<string, Counter | Gauge | Sample> | undefined;
  #listeners: readonly { readonly listener: MetricListener }[] = [];

  /**
   * This node's instruments of a set; the same ones at each call.
   *
   * @internal
   */
  of<D extends Definitions>(definitions: MetricSet<D>): Instruments<D> {
    const set = definitions as MetricSet;
    let shelf = this.#shelves.find((shelf) => shelf.isOf(set));
    if (shelf === undefined) {
      shelf = set.makeShelf(this.#audience);
      this.#shelves.push(shelf);
    }
    // The keys of the definitions are the getters of this shelf.
    return shelf as unknown as Instruments<D>;
  }

  /**
   * The counter of that name: of a set in use, or a new one. Ask once and keep
   * it. The name must not come from the network; see `CounterFamily`.
   *
   * @throws {Error} when the name belongs to a metric of another kind
   */
  counter(name: string): Counter {
    const found = this.#find(name, "counter");
    assert(found instanceof Counter, `${name} is a counter`);
    return found;
  }

  /** The gauge of that name; see `counter`. */
  gauge(name: string): Gauge {
    const found = this.#find(name, "gauge");
    assert(found instanceof Gauge, `${name} is a gauge`);
    return found;
  }

  /** The sample of that name; see `counter`. */
  sample(name: string): Sample {
    const found = this.#find(name, "sample");
    assert(found instanceof Sample, `${name} is a sample`);
    return found;
  }

  /** All metrics at this moment, also those that are still zero. */
  read(): Reading[] {
    const readings = this.#shelves.flatMap((shelf) => [...shelf.read()]);
    for (const named of this.#named?.values() ?? []) {
      readings.push(...readingsOf(named));
    }
    return readings;
  }

  /**
   * From now on tells the listener of everything that is counted.
   *
   * @returns ends it; harmless when repeated
   */
  subscribe(listener: MetricListener): () => void {
    const entry = { listener };
    this.#setListeners([...this.#listeners, entry]);
    return () => {
      this.#setListeners(this.#listeners.filter((other) => other !== entry));
    };
  }

  #setListeners(listeners: readonly { listener: MetricListener }[]): void {
    this.#listeners = listeners;
    this.#audience.listener = listeners.length < 2
      ? listeners[0]?.listener
      : (metric, value) => {
        for (const { listener } of listeners) listener(metric, value);
      };
  }

  #find(name: string, kind: MetricKind): Instrument {
    for (const shelf of this.#shelves) {
      const found = shelf.find(name);
      if (found !== undefined) {
        return found instanceof CounterFamily ? found.total : found;
      }
    }
    this.#named ??= new Map();
    let named = this.#named.get(name);
    if (named === undefined) {
      const metric: Metric = { kind, name, unit: "", meaning: "" };
      named = new INSTRUMENTS[kind](metric, this.#audience);
      this.#named.set(name, named);
    }
    return named;
  }
}

/** The part of `Metrics` that only looks. */
export type MetricsView = Pick<Metrics, "read" | "subscribe">;

const INSTRUMENTS = {
  counter: Counter,
  gauge: Gauge,
  sample: Sample,
  family: CounterFamily,
} as const;

const NO_VALUES: SampleSummary = {
  count: 0,
  sum: 0,
  min: 0,
  max: 0,
  sumOfSquares: 0,
  last: 0,
};

function zeroOf(metric: Metric): Reading {
  return metric.kind === "sample"
    ? { metric, summary: NO_VALUES }
    : { metric, value: 0 };
}

function* readingsOf(made: Instrument): Generator<Reading> {
  if (made instanceof CounterFamily) {
    yield* readingsOf(made.total);
    for (const part of made.parts()) yield* readingsOf(part);
  } else if (made instanceof Sample) {
    const { metric, count, sum, min, max, sumOfSquares, last } = made;
    yield { metric, summary: { count, sum, min, max, sumOfSquares, last } };
  } else {
    yield { metric: made.metric, value: made.value };
  }
}
