import { open } from 'node:fs/promises';
import { parseDocument } from 'yaml';
import * as z from 'zod';
import { codeOf } from '../../errors.js';
import type { NodeRecord } from '../../store/records.js';
import { PowerError } from './errors.js';

/** Who logs in to a BMC. */
export interface Credentials {
  readonly username: string;
  readonly password: string;
}

const entry = z.strictObject({
  username: z.string().min(1).max(64).optional(),
  password: z.string().max(256).optional(),
});

const schema = z.strictObject({
  default: entry.optional(),
  groups: z.record(z.string(), entry).default({}),
  nodes: z.record(z.string(), entry).default({}),
});

/** The passwords of a site's BMCs: of single nodes, of groups, and of all others. */
export type CredentialsFile = z.output<typeof schema>;

/**
 * The file of passwords. Throws PowerError BAD_CREDENTIALS when it cannot be read or understood, or others may read it;
 * no message holds anything of what is in it.
 */
export async function readCredentials(file: string): Promise<CredentialsFile> {
  const text = await readPrivate(file);
  const document = parseDocument(text, { prettyErrors: false, logLevel: 'silent' });
  const fault = document.errors[0];
  if (fault !== undefined) {
    const line = text.slice(0, fault.pos[0]).split('\n').length;
    throw new PowerError(
      'BAD_CREDENTIALS',
      fault.code === 'DUPLICATE_KEY'
        ? `${file}:${line}: a key that its map has already; keep one of the two`
        : `${file}:${line}: this is no YAML; see docs/power.md for its form`,
    );
  }
  const parsed = schema.safeParse(document.toJS({ maxAliasCount: 0 }) ?? {});
  if (parsed.success) return parsed.data;
  const path = parsed.error.issues[0]?.path.map(String).join('.') ?? '';
  throw new PowerError(
    'BAD_CREDENTIALS',
    `${file}: ${path === '' ? 'the file' : path} is not as it should be; write default, groups and nodes, each with username and password as text in quotes`,
  );
}

async function readPrivate(file: string): Promise<string> {
  try {
    const handle = await open(file, 'r');
    try {
      const about = await handle.stat();
      if ((about.mode & 0o077) !== 0) {
        throw new PowerError(
          'BAD_CREDENTIALS',
          `${file}: others may read these passwords; run: chmod 600 ${file}`,
        );
      }
      return await handle.readFile('utf8');
    } finally {
      await handle.close();
    }
  } catch (cause) {
    if (cause instanceof PowerError) throw cause;
    throw new PowerError(
      'BAD_CREDENTIALS',
      `${file}: cannot be read (${codeOf(cause) ?? 'unknown error'}); power.credentials in rackboot.yaml names it`,
      { cause },
    );
  }
}

/**
 * Who logs in to the BMC of `node`: user and password each from the node's own entry, else from the groups in the file
 * that the node is in, the first first, else the default; the node's attribute comes before the users of groups. Throws
 * PowerError NO_CREDENTIALS.
 */
export function credentialsOf(node: NodeRecord, file: CredentialsFile | undefined): Credentials {
  if (file === undefined) {
    throw new PowerError(
      'NO_CREDENTIALS',
      'no password of its BMC is known; write a file of them and name it in rackboot.yaml as power.credentials (docs/power.md)',
    );
  }
  const groups = Object.entries(file.groups).filter(([name]) => name === 'all' || node.groups.includes(name));
  const own = Object.hasOwn(file.nodes, node.name) ? file.nodes[node.name] : undefined;
  const shared = [...groups.map(([, each]) => each), file.default];
  const password = firstOf([own, ...shared].map((each) => each?.password));
  if (password === undefined) {
    throw new PowerError(
      'NO_CREDENTIALS',
      `the file of passwords has none for it: add nodes.${node.name}, one of its groups, or default`,
    );
  }
  const username = firstOf([
    own?.username,
    node.attributes['bmcusername'],
    ...shared.map((each) => each?.username),
  ]);
  if (username === undefined) {
    throw new PowerError(
      'NO_CREDENTIALS',
      `no user of its BMC is known; write username beside its password, or: rackboot node set ${node.name} --attr bmcusername=USER`,
    );
  }
  return { username, password };
}

function firstOf(texts: readonly (string | undefined)[]): string | undefined {
  return texts.find((text) => text !== undefined);
}
