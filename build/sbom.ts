/**
 * What a release consists of, as a list for programs: a software bill of materials
 * in the JSON form of CycloneDX 1.6.
 *
 * It names the program, the Deno that runs it, and each package with its licence
 * and the hash that `deno.lock` demands. It has no time and no random number in
 * it, so that the same sources give the same bytes.
 *
 * Source: https://cyclonedx.org/docs/1.6/json/
 */

import { join } from "node:path";
import { type BundledPackage, bundledPackages } from "./packages.ts";

/** The part that is read of `package.json`. */
interface Manifest {
  readonly license?: string;
}

/** A component as CycloneDX writes it; fields that are not used here are left out. */
interface Component {
  readonly type: "application" | "library" | "platform";
  readonly "bom-ref": string;
  readonly name: string;
  readonly version: string;
  readonly purl: string;
  readonly licenses?: readonly { readonly license: { readonly id: string } }[];
  readonly hashes?: readonly {
    readonly alg: string;
    readonly content: string;
  }[];
}

/**
 * The document.
 *
 * @param root the project's directory
 * @throws {Error} when the packages cannot be found out
 */
export async function sbom(root: string, version: string): Promise<string> {
  const packages = await bundledPackages(root);
  const program = componentOf("application", "generic", "serf", version);
  const runtime = componentOf("platform", "github", "deno", Deno.version.deno);
  const parts = [runtime, ...packages.map(libraryOf)];
  const document = {
    $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: { component: program },
    components: parts,
    dependencies: [
      { ref: program.purl, dependsOn: parts.map(({ purl }) => purl) },
      ...packages.map(({ name, version, dependencies }) => ({
        ref: purlOf("npm", `${name}@${version}`),
        dependsOn: dependencies.map((id) => purlOf("npm", id)),
      })),
    ],
  };
  return `${JSON.stringify(document, undefined, 2)}\n`;
}

function componentOf(
  type: Component["type"],
  origin: "generic" | "github",
  name: string,
  version: string,
): Component {
  const path = origin === "github" ? `denoland/${name}` : name;
  const purl = purlOf(origin, `${path}@${version}`);
  return {
    type,
    "bom-ref": purl,
    name,
    version,
    purl,
    licenses: [{ license: { id: "MIT" } }],
  };
}

function libraryOf(
  { name, version, localPath, sha512 }: BundledPackage,
): Component {
  const purl = purlOf("npm", `${name}@${version}`);
  const path = join(localPath, "package.json");
  const { license }: Manifest = JSON.parse(Deno.readTextFileSync(path));
  return {
    type: "library",
    "bom-ref": purl,
    name,
    version,
    purl,
    ...(license && { licenses: [{ license: { id: license } }] }),
    hashes: [{
      alg: "SHA-512",
      content: Uint8Array.fromBase64(sha512).toHex(),
    }],
  };
}

/** A package URL; the sign of a scope is written with its number. */
function purlOf(origin: "generic" | "github" | "npm", id: string): string {
  return `pkg:${origin}/${id.replace(/^@/, "%40")}`;
}
