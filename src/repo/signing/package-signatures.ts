import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { lastLine, output, run } from '../program.js';

/** What rpm says of a package’s signature. */
export type PackageSignature =
  | { readonly kind: 'good' }
  | { readonly kind: 'unsigned' }
  | { readonly kind: 'other key'; readonly key: string } // the end of its key id, hexadecimal
  | { readonly kind: 'damaged'; readonly why: string };

/** Checks packages with rpm as an installer does that has the keys of one key file, and no others. */
export interface PackageChecker {
  /** What rpm says of local files, in their order. Throws RepoError MISSING_TOOL. */
  check(files: readonly string[]): Promise<PackageSignature[]>;
}

/** Calls `body` with a checker that knows the keys in the armored text `keys`. Throws RepoError MISSING_TOOL, TOOL_FAILED. */
export async function withPackageChecker<T>(
  keys: string,
  body: (checker: PackageChecker) => Promise<T>,
): Promise<T> {
  const work = await mkdtemp(path.join(tmpdir(), 'rackboot-rpm-'));
  try {
    const options = ['--define', `_dbpath ${work}/db`, '--define', '_pkgverify_level all'];
    await writeFile(path.join(work, 'keys.asc'), keys);
    await output({
      program: 'rpmkeys',
      package: 'rpm',
      args: [...options, '--import', path.join(work, 'keys.asc')],
    });
    return await body({
      async check(files) {
        const args = [...options, '--checksig', '--verbose', ...files];
        const { stdout, stderr } = await run({ program: 'rpmkeys', package: 'rpm', args });
        const said = sections(stdout);
        return files.map((file) => signatureOf(said.get(file) ?? [], stderr));
      },
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** By file, the lines below its name. */
function sections(stdout: string): Map<string, string[]> {
  const found = new Map<string, string[]>();
  let lines: string[] = [];
  for (const line of stdout.split('\n')) {
    if (line.startsWith(' ')) lines.push(line.trim());
    else if (line.endsWith(':')) found.set(line.slice(0, -1), (lines = []));
  }
  return found;
}

function signatureOf(lines: readonly string[], stderr: string): PackageSignature {
  if (lines.length === 0) return { kind: 'damaged', why: lastLine(stderr) };
  const bad = lines.find((line) => /: BAD\b/.test(line));
  if (bad !== undefined) return { kind: 'damaged', why: bad.replace(/ \(.*/, '') };
  const signatures = lines.filter((line) => / Signature, key ID /.test(line));
  if (signatures.some((line) => line.endsWith(': OK'))) return { kind: 'good' };
  const [key] = signatures.map((line) => /key ID ([0-9a-f]+)/.exec(line)?.[1] ?? '');
  return key === undefined ? { kind: 'unsigned' } : { kind: 'other key', key };
}
