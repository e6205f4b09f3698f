/**
 * Whose work is in the executable besides this project's, and under which terms:
 * a text that goes along with every copy, as most of the licences ask for.
 *
 * Each package comes with the licence file of the very version that is bundled.
 */

import { join } from "node:path";
import { bundledPackages } from "./packages.ts";

const LICENSE_FILE = /^licen[cs]e(\.(md|txt))?$/i;
const RULE = `\n${"-".repeat(72)}\n\n`;

/**
 * The text.
 *
 * @param root the project's directory, whose own licence stands first
 * @throws {Error} when the packages cannot be found out, or one has no licence file
 */
export async function notices(root: string): Promise<string> {
  const own = Deno.readTextFileSync(join(root, "LICENSE"));
  // The terms without the line that names the holders.
  const mit = own.replace(/^Copyright .*\n\n/m, "");
  const sections = [
    `serf\n\n${own}`,
    [
      "Deno, the run-time that the executable contains: https://deno.com\n",
      "V8 and other libraries are part of it, under permissive licences of",
      "their own: https://github.com/denoland/deno\n",
      mit.replace("\n\n", "\n\nCopyright 2018-2026 the Deno authors\n\n"),
    ].join("\n"),
    ...(await bundledPackages(root)).map(({ name, version, localPath }) =>
      `${name} ${version}: https://www.npmjs.com/package/${name}\n\n` +
      licenseIn(localPath)
    ),
  ];
  return sections.map((section) => `${section.trim()}\n`).join(RULE);
}

function licenseIn(folder: string): string {
  for (const { name } of Deno.readDirSync(folder)) {
    if (LICENSE_FILE.test(name)) {
      return Deno.readTextFileSync(join(folder, name)).replaceAll("\r", "");
    }
  }
  throw new Error(`There is no licence file in ${folder}`);
}
