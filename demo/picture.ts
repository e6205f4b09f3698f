/**
 * Records the demo as a moving picture for the README: `docs/demo.svg`.
 *
 *     deno run -A demo/picture.ts [FILE]
 *
 * Real agents start, one is killed and comes back, and what the demo would draw
 * on a terminal is written down at each change. The picture is one SVG file that
 * shows these frames in turn; it contains text and no script.
 */

import { pause } from "./chaos.ts";
import { DemoCluster } from "./cluster.ts";
import { observersOf, renderMatrix } from "./matrix.ts";

const NODES = 5;
/** The agent that is killed. */
const VICTIM = 2;
/** How often the agents are asked, ms. */
const LOOK_INTERVAL_MS = 50;
/** Longest wait for all agents to agree, ms. */
const LIMIT_MS = 60_000;
/** How long a frame is shown, s; the last one before the start over is shown longer. */
const FRAME_SECONDS = 2;
const LAST_FRAME_SECONDS = 4;

/** Of one character and one line, in units of the picture. */
const CHARACTER_WIDTH = 8.4;
const LINE_HEIGHT = 20;
const MARGIN = 16;
const COLOURS: Readonly<Record<string, string>> = {
  alive: "#7ee787",
  leaving: "#e3b341",
  left: "#8b949e",
  failed: "#ff7b72",
};

/** One text on the terminal. */
interface Frame {
  readonly text: string;
  readonly seconds: number;
}

/** Starts, kills, restarts; keeps what the demo shows after each step. */
class Recorder {
  readonly frames: Frame[] = [];
  readonly #cluster = new DemoCluster({ count: NODES });
  readonly #startMs = performance.now();
  readonly #said: string[] = [];

  async run(): Promise<void> {
    try {
      await this.#cluster.start();
      await this.#until("alive");
      this.#say(`all ${NODES} agents see each other`);
      const victim = this.#cluster.slots[VICTIM];
      if (victim === undefined) return;
      victim.process?.kill();
      await victim.process?.exited;
      this.#say(`${victim.name} killed`);
      await this.#until("failed");
      this.#say(`${victim.name} is failed for all others`);
      await this.#cluster.launch(victim);
      this.#say(`${victim.name} started again`);
      await this.#until("alive");
      this.#say(`all ${NODES} agents see each other`, LAST_FRAME_SECONDS);
    } finally {
      await this.#cluster.stop();
    }
  }

  /** Waits until all that run say the same of the one that is killed, and all else lives. */
  async #until(status: "alive" | "failed"): Promise<void> {
    const limit = AbortSignal.timeout(LIMIT_MS);
    while (!limit.aborted) {
      await this.#cluster.poll();
      const views = this.#cluster.slots.flatMap(({ process, view }) =>
        process === undefined ? [] : [view]
      );
      const isSo = views.every((view) =>
        this.#cluster.slots.every(({ name }, i) =>
          view?.get(name) === (i === VICTIM ? status : "alive")
        )
      );
      if (isSo) return;
      await pause(LOOK_INTERVAL_MS, limit);
    }
    throw new Error(`The agents did not agree on ${status}`);
  }

  #say(text: string, seconds = FRAME_SECONDS): void {
    const passed = ((performance.now() - this.#startMs) / 1_000).toFixed(1);
    this.#said.push(`${passed.padStart(6)} s  ${text}`);
    const matrix = renderMatrix(observersOf(this.#cluster));
    const lines = ["$ deno task demo", "", matrix, "", ...this.#said];
    this.frames.push({ text: lines.join("\n"), seconds });
  }
}

/** The picture: one group for each frame, of which one at a time can be seen. */
export function renderPicture(frames: readonly Frame[]): string {
  const all = frames.map(({ text }) => text.split("\n"));
  const columns = Math.max(...all.flat().map((line) => line.length));
  const rows = Math.max(...all.map((lines) => lines.length));
  const width = Math.ceil(columns * CHARACTER_WIDTH + 2 * MARGIN);
  const height = rows * LINE_HEIGHT + 2 * MARGIN;
  const total = frames.reduce((sum, { seconds }) => sum + seconds, 0);
  let start = 0;
  const groups = frames.map(({ seconds }, i) => {
    const from = (100 * start / total).toFixed(2);
    start += seconds;
    const to = (100 * start / total).toFixed(2);
    const keys = `@keyframes f${i} { 0% { opacity: ${i === 0 ? 1 : 0} } ` +
      `${from}% { opacity: 1 } ${to}% { opacity: 0 } 100% { opacity: 0 } }`;
    const lines = (all[i] ?? []).map((line, row) =>
      `<text x="${MARGIN}" y="${MARGIN + (row + 0.7) * LINE_HEIGHT}">` +
      `${colour(line)}</text>`
    );
    // Where nothing moves, the last frame is seen.
    const last = i === frames.length - 1 ? 1 : 0;
    return {
      style: `${keys}\n.f${i} { opacity: ${last}; ` +
        `animation: f${i} ${total}s step-end infinite }`,
      group: `<g class="f${i}">\n${lines.join("\n")}\n</g>`,
    };
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" role="img">`,
    "<title>Five agents find each other, one is killed and comes back</title>",
    "<style>",
    "text { font: 14px ui-monospace, Menlo, Consolas, monospace; fill: #e6edf3; white-space: pre }",
    ...groups.map(({ style }) => style),
    "</style>",
    `<rect width="${width}" height="${height}" rx="8" fill="#0d1117"/>`,
    ...groups.map(({ group }) => group),
    "</svg>\n",
  ].join("\n");
}

/** A line with its statuses in their colours. */
function colour(line: string): string {
  return line.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(
    /\b(alive|leaving|left|failed)\b/g,
    (status) => `<tspan fill="${COLOURS[status]}">${status}</tspan>`,
  );
}

if (import.meta.main) {
  const [path = `${import.meta.dirname}/../docs/demo.svg`] = Deno.args;
  const recorder = new Recorder();
  await recorder.run();
  Deno.writeTextFileSync(path, renderPicture(recorder.frames));
}
