/** What the tests of this room share: running programs, and files. */

import { join } from "node:path";

export const ROOT = join(import.meta.dirname ?? "", "..", "..");

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, in the root of the project unless told otherwise. */
export async function run(
  command: readonly string[],
  options: { cwd?: string; env?: Record<string, string> } = {},
): Promise<Outcome> {
  const [program = "", ...args] = command;
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args,
    cwd: ROOT,
    stdin: "null",
    ...options,
  }).output();
  const decoder = new TextDecoder();
  return {
    code,
    stdout: decoder.decode(stdout),
    stderr: decoder.decode(stderr),
  };
}

/** Runs serf from its source. */
export function serf(...args: readonly string[]): Promise<Outcome> {
  return run([Deno.execPath(), "run", "--quiet", "-A", "main.ts", ...args]);
}

export function read(path: string): string {
  return Deno.readTextFileSync(join(ROOT, path));
}

/** The files below a directory of the project, with their paths in the project. */
export function filesBelow(path: string): string[] {
  return [...Deno.readDirSync(join(ROOT, path))].flatMap((entry) =>
    entry.isDirectory
      ? filesBelow(`${path}/${entry.name}`)
      : [`${path}/${entry.name}`]
  ).sort();
}

/** A directory that goes away with the test. */
export function scratch(): { readonly path: string } & Disposable {
  const path = Deno.makeTempDirSync({ prefix: "serf_packaging_" });
  return {
    path,
    [Symbol.dispose]: () => Deno.removeSync(path, { recursive: true }),
  };
}
