/**
 * The release's bill of materials: CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/).
 *
 * What is in the program says the bundler, what it depends on and its hash says the lock file.
 * Written by hand: it is one object, and a library for it would be larger than what it saves.
 */

import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { ScriptError } from "./shell.ts";

/** The parts of deno.lock (version 5) that are read. */
export interface LockFile {
  /** By `name@version`, with `_` and the peers after it where there are any. */
  readonly npm: Readonly<Record<string, LockedPackage>>;
}

interface LockedPackage {
  /** `sha512-` and the hash of the tarball in base64. */
  readonly integrity: string;
  /** Names; with `@version` where the lock file has several versions. */
  readonly dependencies?: readonly string[];
}

/** What a bill of materials is made of. */
export interface SbomInput {
  readonly version: string;
  readonly license: string;
  /** Of the program, in hex. */
  readonly sha256: string;
  /** The packages with code in the program, as `name@version`. */
  readonly packages: readonly string[];
  /** Those of them that the program's own source imports, by name. */
  readonly imported: ReadonlySet<string>;
  readonly lock: LockFile;
  /** SPDX licence expressions by package, as far as they are known. */
  readonly licenses: ReadonlyMap<string, string>;
  /** The Deno runtime that the program is appended to. */
  readonly runtime: { readonly version: string; readonly sha256: string };
  readonly time: Date;
}

/** A CycloneDX component, as far as it is used here. */
export interface Component {
  readonly type: "application" | "library" | "platform";
  readonly "bom-ref": string;
  readonly group?: string;
  readonly name: string;
  readonly version: string;
  readonly description?: string;
  readonly hashes: readonly { readonly alg: "SHA-256" | "SHA-512"; readonly content: string }[];
  readonly licenses?: readonly (
    | { readonly license: { readonly id: string } }
    | { readonly expression: string }
  )[];
  readonly purl: string;
}

/** A CycloneDX document, as far as it is used here. */
export interface Sbom {
  readonly bomFormat: "CycloneDX";
  readonly specVersion: "1.6";
  readonly serialNumber: string;
  readonly version: 1;
  readonly metadata: {
    readonly timestamp: string;
    readonly lifecycles: readonly [{ readonly phase: "build" }];
    readonly component: Component;
  };
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
  readonly compositions: readonly {
    readonly aggregate: "complete" | "incomplete";
    readonly assemblies: readonly string[];
  }[];
}

/** Makes the bill of materials; the same input gives the same bytes. */
export function makeSbom(input: SbomInput): Sbom {
  const product: Component = {
    type: "application",
    "bom-ref": `pkg:generic/locktables@${input.version}`,
    name: "locktables",
    version: input.version,
    description: "Application-consistent VM snapshots of MySQL and MariaDB",
    hashes: [{ alg: "SHA-256", content: input.sha256 }],
    licenses: licensesOf(input.license),
    purl: `pkg:generic/locktables@${input.version}`,
  };
  const runtime: Component = {
    type: "platform",
    "bom-ref": `pkg:github/denoland/deno@v${input.runtime.version}`,
    name: "deno",
    version: input.runtime.version,
    description: "denort, the runtime that the program is appended to; its parts are not listed",
    hashes: [{ alg: "SHA-256", content: input.runtime.sha256 }],
    licenses: licensesOf("MIT"),
    purl: `pkg:github/denoland/deno@v${input.runtime.version}`,
  };
  const bundled = input.packages.map((id) => {
    const key = lockKeyOf(input.lock, id);
    const { name, version } = splitId(id);
    const purl = purlOf(name, version);
    const slash = name.indexOf("/");
    const license = input.licenses.get(id);
    const component: Component = {
      type: "library",
      "bom-ref": purl,
      ...(slash < 0 ? {} : { group: name.slice(0, slash) }),
      name: name.slice(slash + 1),
      version,
      hashes: [{ alg: "SHA-512", content: hexOfIntegrity(id, input.lock.npm[key]?.integrity) }],
      ...(license === undefined ? {} : { licenses: licensesOf(license) }),
      purl,
    };
    return { id, name, key, component };
  }).sort((a, b) => a.component.purl < b.component.purl ? -1 : 1);

  const dependsOn = (key: string): string[] =>
    bundled.filter(({ id, name }) =>
      (input.lock.npm[key]?.dependencies ?? []).some((one) => one === name || isLockKeyOf(one, id))
    ).map(({ component }) => component.purl);
  const direct = bundled.filter(({ name }) => input.imported.has(name));
  const bom: Omit<Sbom, "serialNumber"> = {
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: {
      timestamp: input.time.toISOString().replace(/\.\d+Z$/, "Z"),
      lifecycles: [{ phase: "build" }],
      component: product,
    },
    components: [runtime, ...bundled.map(({ component }) => component)],
    dependencies: [
      {
        ref: product["bom-ref"],
        dependsOn: [runtime.purl, ...direct.map(({ component }) => component.purl)],
      },
      { ref: runtime["bom-ref"], dependsOn: [] },
      ...bundled.map(({ key, component }) => ({ ref: component.purl, dependsOn: dependsOn(key) })),
    ],
    compositions: [
      { aggregate: "complete", assemblies: [product["bom-ref"]] },
      { aggregate: "incomplete", assemblies: [runtime["bom-ref"]] },
    ],
  };
  const { bomFormat, specVersion, ...rest } = bom;
  return { bomFormat, specVersion, serialNumber: serialNumberOf(bom), ...rest };
}

/** Package URL of an npm package (https://github.com/package-url/purl-spec). */
function purlOf(name: string, version: string): string {
  return `pkg:npm/${name.replace("@", "%40")}@${version}`;
}

function splitId(id: string): { name: string; version: string } {
  const at = id.lastIndexOf("@");
  return { name: id.slice(0, at), version: id.slice(at + 1) };
}

/** Whether a key of the lock file is of this package, whatever its peers are. */
function isLockKeyOf(key: string, id: string): boolean {
  return key === id || key.startsWith(`${id}_`);
}

function lockKeyOf(lock: LockFile, id: string): string {
  const key = Object.keys(lock.npm).find((one) => isLockKeyOf(one, id));
  if (key === undefined) throw new ScriptError(`${id} is in the program but not in deno.lock`);
  return key;
}

function hexOfIntegrity(id: string, integrity: string | undefined): string {
  const base64 = /^sha512-(.+)$/.exec(integrity ?? "")?.[1];
  if (base64 === undefined) throw new ScriptError(`deno.lock has no sha512 of ${id}: ${integrity}`);
  return Buffer.from(base64, "base64").toString("hex");
}

/** A single licence as its identifier, which validators look up; anything longer as an expression. */
function licensesOf(license: string): NonNullable<Component["licenses"]> {
  return /^[\w.+-]+$/.test(license) ? [{ license: { id: license } }] : [{ expression: license }];
}

/** A UUID of the content (version 8 of RFC 9562: made as the application sees fit). */
function serialNumberOf(content: unknown): string {
  const hash = createHash("sha256").update(JSON.stringify(content)).digest();
  hash.writeUInt8(hash.readUInt8(6) & 0x0f | 0x80, 6);
  hash.writeUInt8(hash.readUInt8(8) & 0x3f | 0x80, 8);
  const hex = hash.toString("hex", 0, 16);
  return `urn:uuid:${hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5")}`;
}
