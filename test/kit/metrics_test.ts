import assert from "node:assert/strict";
import {
  FAMILY_NAME_LENGTH_MAX,
  FAMILY_NAMES_MAX,
} from "../../lib/kit/instruments.ts";
import {
  counter,
  family,
  gauge,
  type Metric,
  Metrics,
  MetricSet,
  sample,
} from "../../lib/kit/metrics.ts";

const SET = new MetricSet({
  joins: counter("test.joins", "", "Members that joined"),
  score: gauge("test.score", "", "How ill"),
  rtt: sample("test.rtt", "ms", "Round trips"),
  events: family("test.events", "Events"),
  alive: gauge("test.nodes", "", "Alive", { state: "alive" }),
  dead: gauge("test.nodes", "", "Dead", { state: "dead" }),
});

/** `name=value`, or `name=count/sum` of a sample, of what is not zero. */
function story(metrics: Metrics): string[] {
  return metrics.read().flatMap((reading) => {
    const { name, labels } = reading.metric;
    const full = labels === undefined ? name : `${name}{${labels.state}}`;
    if ("value" in reading) {
      return reading.value === 0 ? [] : [`${full}=${reading.value}`];
    }
    const { count, sum } = reading.summary;
    return count === 0 ? [] : [`${full}=${count}/${sum}`];
  });
}

/** Listens, and keeps `name=value` of all it hears. */
function listen(metrics: Metrics): { heard: string[]; stop: () => void } {
  const heard: string[] = [];
  const listener = ({ name }: Metric, value: number) => {
    heard.push(`${name}=${value}`);
  };
  return { heard, stop: metrics.subscribe(listener) };
}

Deno.test("Metrics count apart for each node", () => {
  const a = new Metrics();
  const b = new Metrics();
  a.of(SET).joins.add();
  a.of(SET).joins.add(2);
  a.of(SET).score.set(4);
  a.of(SET).rtt.record(1.5);
  b.of(SET).score.set(-1);
  b.of(SET).dead.set(7);
  assert.deepEqual(story(a), [
    "test.joins=3",
    "test.score=4",
    "test.rtt=1/1.5",
  ]);
  assert.deepEqual(story(b), ["test.score=-1", "test.nodes{dead}=7"]);
});

Deno.test("Metrics.of() gives the same instruments at each call", () => {
  const metrics = new Metrics();
  const set = metrics.of(SET);
  assert.equal(metrics.of(SET), set);
  assert.equal(set.joins, set.joins);
  assert.equal(set.joins.metric.name, "test.joins");
  assert.notEqual(set.alive, set.dead);
});

Deno.test("Metrics.read() knows every fixed metric, used or not", () => {
  const metrics = new Metrics();
  assert.deepEqual(metrics.read(), []);
  const set = metrics.of(SET);
  const untouched = metrics.read();
  assert.equal(untouched.length, SET.definitions.length);
  assert.deepEqual(untouched[0], {
    metric: {
      kind: "counter",
      name: "test.joins",
      unit: "",
      meaning: "Members that joined",
    },
    value: 0,
  });
  assert.deepEqual(untouched[2], {
    metric: {
      kind: "sample",
      name: "test.rtt",
      unit: "ms",
      meaning: "Round trips",
    },
    summary: { count: 0, sum: 0, min: 0, max: 0, sumOfSquares: 0, last: 0 },
  });
  for (let i = 0; i < 1_000; i++) {
    set.joins.add();
    set.rtt.record(i);
  }
  assert.equal(metrics.read().length, untouched.length);
});

Deno.test("Metrics.read() gives values that do not change any more", () => {
  const metrics = new Metrics();
  const { rtt } = metrics.of(SET);
  rtt.record(1);
  const [, , before] = metrics.read();
  rtt.record(2);
  assert.ok(before !== undefined && "summary" in before);
  assert.equal(before.summary.count, 1);
});

Deno.test("Sample.record() keeps what the usual statistics need", () => {
  const { rtt } = new Metrics().of(SET);
  for (const value of [3, 5, 2.5]) rtt.record(value);
  const { count, sum, min, max, sumOfSquares, last } = rtt;
  assert.deepEqual({ count, sum, min, max, sumOfSquares, last }, {
    count: 3,
    sum: 10.5,
    min: 2.5,
    max: 5,
    sumOfSquares: 9 + 25 + 6.25,
    last: 2.5,
  });
  const below = new Metrics().of(SET).rtt;
  below.record(-2);
  assert.deepEqual([below.min, below.max], [-2, -2]);
});

Deno.test("Metrics.counter() and its neighbours find fixed metrics and make others", () => {
  const metrics = new Metrics();
  const set = metrics.of(SET);
  assert.equal(metrics.counter("test.joins"), set.joins);
  assert.equal(metrics.gauge("test.score"), set.score);
  assert.equal(metrics.sample("test.rtt"), set.rtt);
  assert.equal(metrics.counter("test.events"), set.events.total);
  const accepts = metrics.counter("agent.ipc.accept");
  assert.equal(metrics.counter("agent.ipc.accept"), accepts);
  accepts.add();
  assert.deepEqual(story(metrics), ["agent.ipc.accept=1"]);
  // Labels tell them apart, so that a name alone means neither.
  assert.notEqual(metrics.gauge("test.nodes"), set.alive);
  for (const name of ["test.joins", "agent.ipc.accept"]) {
    assert.throws(() => metrics.gauge(name), /is a gauge/);
    assert.throws(() => metrics.sample(name), /is a sample/);
  }
  assert.throws(() => metrics.counter("test.rtt"), /is a counter/);
});

Deno.test("MetricSet refuses a key that would hide what the set itself needs", () => {
  const joins = counter("test.joins", "", "");
  assert.throws(() => new MetricSet({ read: joins }), /read is no key/);
});

Deno.test("CounterFamily counts the whole and each part", () => {
  const metrics = new Metrics();
  const { events } = metrics.of(SET);
  for (const name of ["deploy", "deploy", "other", "__proto__", ""]) {
    events.add(name);
  }
  assert.deepEqual(story(metrics), [
    "test.events=5",
    "test.events.deploy=2",
    "test.events.other=1",
    "test.events.__proto__=1",
    "test.events.=1",
  ]);
});

Deno.test("CounterFamily keeps a bounded number of names in a flood of them", () => {
  const metrics = new Metrics();
  const { heard } = listen(metrics);
  const { events } = metrics.of(SET);
  for (let i = 0; i < 10_000; i++) events.add(`event-${i}`);
  // A name that is known goes on being counted by itself.
  events.add("event-0");
  const parts = [...events.parts()];
  assert.equal(parts.length, FAMILY_NAMES_MAX + 1);
  assert.equal(parts[0]?.value, 2);
  assert.equal(parts.at(-1)?.metric.name, "test.events_other");
  assert.equal(parts.at(-1)?.value, 10_000 - FAMILY_NAMES_MAX);
  assert.equal(events.total.value, 10_001);
  let sum = 0;
  for (const { value } of parts) sum += value;
  assert.equal(sum, events.total.value);
  assert.ok(heard.includes("test.events.event-255=1"));
  assert.ok(!heard.includes("test.events.event-256=1"));
  assert.ok(heard.includes("test.events_other=1"));
});

Deno.test("CounterFamily does not keep very long names", () => {
  const { events } = new Metrics().of(SET);
  events.add("x".repeat(FAMILY_NAME_LENGTH_MAX));
  events.add("x".repeat(FAMILY_NAME_LENGTH_MAX + 1));
  const names = [...events.parts()].map(({ metric }) => metric.name);
  assert.equal(names[0]?.length, "test.events.".length + 128);
  assert.deepEqual(names.slice(1), ["test.events_other"]);
});

Deno.test("Metrics.subscribe() tells of everything, until it is ended", () => {
  const metrics = new Metrics();
  const set = metrics.of(SET);
  set.joins.add();
  const first = listen(metrics);
  set.joins.add(2);
  set.score.set(1);
  set.rtt.record(0.5);
  set.events.add("deploy");
  metrics.counter("agent.ipc.accept").add();
  const second = listen(metrics);
  set.alive.set(3);
  first.stop();
  first.stop();
  set.score.set(0);
  second.stop();
  set.joins.add();
  assert.deepEqual(first.heard, [
    "test.joins=2",
    "test.score=1",
    "test.rtt=0.5",
    "test.events=1",
    "test.events.deploy=1",
    "agent.ipc.accept=1",
    "test.nodes=3",
  ]);
  assert.deepEqual(second.heard, ["test.nodes=3", "test.score=0"]);
  assert.equal(set.joins.value, 4);
});

Deno.test("Metrics.subscribe() tells a listener that came twice twice", () => {
  const metrics = new Metrics();
  let calls = 0;
  const listener = () => calls++;
  const stop = metrics.subscribe(listener);
  metrics.subscribe(listener);
  metrics.of(SET).joins.add();
  stop();
  metrics.of(SET).joins.add();
  assert.equal(calls, 3);
});
