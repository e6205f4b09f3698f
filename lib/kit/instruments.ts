/**
 * What a node counts with: counters, gauges, samples, and families of counters.
 *
 * To count is one addition: no text is built, nothing is looked up, and nobody
 * pays for a listener that is not there. Instruments belong to a `Metrics`, which
 * makes them; see there.
 *
 * The kinds follow armon/go-metrics, with which the originals count.
 */

export type MetricKind = "counter" | "gauge" | "sample";

/**
 * What there is to know about a metric beside its value. A node has one object for
 * each, always the same, so that listeners can tell metrics apart by it.
 */
export interface Metric {
  readonly kind: MetricKind;
  /** With dots, as in `serf.member.join`. */
  readonly name: string;
  /** What is counted; `""` where the name says it. */
  readonly unit: "" | "bytes" | "ms";
  /** A sentence or two for the operator; `""` for what was asked for by name. */
  readonly meaning: string;
  /** Tells apart metrics of one name. */
  readonly labels?: Readonly<Record<string, string>>;
}

/**
 * Hears of everything that is counted, at once: the increment of a counter, the
 * new value of a gauge, each value of a sample. It must neither throw nor feed
 * the node that counts.
 */
export type MetricListener = (metric: Metric, value: number) => void;

/** What one sample has seen since the start. All zero before the first value. */
export interface SampleSummary {
  /** How many values. */
  readonly count: number;
  /** Of all values, in the metric's unit, as are the others. */
  readonly sum: number;
  /** The smallest value. */
  readonly min: number;
  /** The largest value. */
  readonly max: number;
  /** Of all values, in the square of the unit; for a standard deviation. */
  readonly sumOfSquares: number;
  /** The latest value. */
  readonly last: number;
}

/** Names that a family keeps apart; further ones are counted together. */
export const FAMILY_NAMES_MAX = 256;
/** Longest name that a family keeps apart, UTF-16 units. */
export const FAMILY_NAME_LENGTH_MAX = 128;

/** What all instruments of one node share. */
export class Audience {
  /** Absent when nobody listens. */
  listener: MetricListener | undefined;
}

/** Something that happens, or an amount that only grows. */
export class Counter {
  readonly metric: Metric;
  readonly #audience: Audience;
  #value = 0;

  constructor(metric: Metric, audience: Audience) {
    this.metric = metric;
    this.#audience = audience;
  }

  /** The sum since the start. */
  get value(): number {
    return this.#value;
  }

  /**
   * Adds to the sum.
   *
   * @param n not negative
   */
  add(n = 1): void {
    this.#value += n;
    const { listener } = this.#audience;
    if (listener !== undefined) listener(this.metric, n);
  }
}

/** A value that goes up and down. */
export class Gauge {
  readonly metric: Metric;
  readonly #audience: Audience;
  #value = 0;

  constructor(metric: Metric, audience: Audience) {
    this.metric = metric;
    this.#audience = audience;
  }

  /** What was set last; 0 before that. */
  get value(): number {
    return this.#value;
  }

  /** Takes the place of the value before. */
  set(value: number): void {
    this.#value = value;
    const { listener } = this.#audience;
    if (listener !== undefined) listener(this.metric, value);
  }
}

/** Values of which the size matters: durations, lengths, depths. */
export class Sample implements SampleSummary {
  readonly metric: Metric;
  readonly #audience: Audience;
  count = 0;
  sum = 0;
  min = 0;
  max = 0;
  sumOfSquares = 0;
  last = 0;

  constructor(metric: Metric, audience: Audience) {
    this.metric = metric;
    this.#audience = audience;
  }

  /** Adds one value, in the metric's unit. */
  record(value: number): void {
    if (this.count === 0 || value < this.min) this.min = value;
    if (this.count === 0 || value > this.max) this.max = value;
    this.count++;
    this.sum += value;
    this.sumOfSquares += value * value;
    this.last = value;
    const { listener } = this.#audience;
    if (listener !== undefined) listener(this.metric, value);
  }
}

/**
 * A counter of which the parts have names that others choose.
 *
 * The whole is counted under the family's name, a part under `NAME.part`. The
 * first `FAMILY_NAMES_MAX` parts are kept apart for good; what comes later, and
 * names beyond `FAMILY_NAME_LENGTH_MAX`, are counted together as `NAME_other`,
 * which no part can be called.
 */
export class CounterFamily {
  readonly total: Counter;
  readonly #audience: Audience;
  #parts: Map<string, Counter> | undefined;
  #other: Counter | undefined;

  constructor(metric: Metric, audience: Audience) {
    this.total = new Counter(metric, audience);
    this.#audience = audience;
  }

  /** Counts one of that name. */
  add(part: string): void {
    this.total.add();
    this.#counterOf(part).add();
  }

  /** The parts counted so far, and the rest if there is any; not the total. */
  *parts(): Generator<Counter> {
    yield* this.#parts?.values() ?? [];
    if (this.#other !== undefined) yield this.#other;
  }

  #counterOf(part: string): Counter {
    this.#parts ??= new Map();
    const known = this.#parts.get(part);
    if (known !== undefined) return known;
    const { name } = this.total.metric;
    if (
      this.#parts.size >= FAMILY_NAMES_MAX ||
      part.length > FAMILY_NAME_LENGTH_MAX
    ) return this.#other ??= this.#make(`${name}_other`);
    const made = this.#make(`${name}.${part}`);
    this.#parts.set(part, made);
    return made;
  }

  #make(name: string): Counter {
    return new Counter({ ...this.total.metric, name }, this.#audience);
  }
}
