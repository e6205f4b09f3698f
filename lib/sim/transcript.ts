/**
 * Transcripts: text files that tell a situation as commands and what came out.
 *
 *     # A comment tells the story.
 *     nodes a b c
 *     crash b
 *     ask a about b
 *     ----
 *     alive incarnation=1
 *
 * A block is comments and commands, a line of four dashes, and the output of all
 * its commands; an empty line ends it. A block that says nothing gives "ok".
 * Comparing and rewriting is a matter of text: rendering what was parsed gives
 * the file back, so a rewritten file differs in outputs only. The idea is etcd's
 * (`datadriven`, raft `testdata`); commands are in `scenario.ts`.
 */

/** One block of a transcript. */
export interface TranscriptBlock {
  /** Comments and commands, as written. */
  readonly lines: readonly string[];
  /** Expected output. */
  readonly output: readonly string[];
  /** Number of the first line in the file, from 1. */
  readonly lineNumber: number;
}

const SEPARATOR = "----";
/** Output of a block whose commands said nothing. */
const NOTHING_SAID = "ok";

/**
 * Takes a transcript apart.
 *
 * @throws {SyntaxError} when commands have no line of dashes after them
 */
export function parseTranscript(text: string): TranscriptBlock[] {
  const blocks: TranscriptBlock[] = [];
  const all = text.split("\n");
  let i = 0;
  while (i < all.length) {
    if (all[i] === "") {
      i++;
      continue;
    }
    const lineNumber = i + 1;
    const lines: string[] = [];
    while (i < all.length && all[i] !== SEPARATOR && all[i] !== "") {
      lines.push(all[i++] as string);
    }
    const output: string[] = [];
    if (all[i] === SEPARATOR) {
      i++;
      while (i < all.length && all[i] !== "") output.push(all[i++] as string);
    } else if (lines.some((line) => !isComment(line))) {
      throw new SyntaxError(
        `Cannot read transcript: no "${SEPARATOR}" after line ${i}`,
      );
    }
    blocks.push({ lines, output, lineNumber });
  }
  return blocks;
}

/** The commands of a block, without comments. */
export function commandsOf(block: TranscriptBlock): string[] {
  return block.lines.filter((line) => !isComment(line));
}

/** The text of a transcript; blocks of comments alone have no output. */
export function renderTranscript(blocks: readonly TranscriptBlock[]): string {
  return blocks.map((block) => {
    if (commandsOf(block).length === 0) return block.lines.join("\n") + "\n";
    return [...block.lines, SEPARATOR, ...block.output].join("\n") + "\n";
  }).join("\n");
}

/**
 * The transcript with the outputs that its commands give now.
 *
 * @param run performs one command and returns its output, line by line
 */
export function rerunTranscript(
  blocks: readonly TranscriptBlock[],
  run: (command: string) => readonly string[],
): TranscriptBlock[] {
  return blocks.map((block) => {
    const said = commandsOf(block).flatMap((command) => run(command));
    return { ...block, output: said.length === 0 ? [NOTHING_SAID] : said };
  });
}

function isComment(line: string): boolean {
  return line.startsWith("#");
}
