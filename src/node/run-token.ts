import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf, messageOf } from '../errors.js';
import { makeSecretFile } from '../site/secret-file.js';
import type { Timestamp } from '../store/records.js';
import { NodeError } from './errors.js';

/**
 * One run of an assignment: what a boot script or an ISO was made for. It travels in the report and answer file URLs,
 * signed, so that a node speaks only for itself and a report of an old run never ends a newer assignment.
 */
export interface Run {
  readonly node: string;
  readonly since: Timestamp; // of the assignment the run belongs to
  readonly generation: string; // id, or as much of it as was signed
}

const SIGNED_ID = 16;

/** The text of `run`, of `[A-Za-z0-9_-]` and dots only: `<since>.<generation>.<signature>`. */
export function signRun(key: Buffer, run: Run): string {
  const body = `${run.since.toString(36)}.${run.generation.slice(0, SIGNED_ID)}`;
  return `${body}.${signature(key, run.node, body)}`;
}

/** The run `text` stands for, its generation shortened to 16 digits; undefined unless we signed it for `node`. */
export function readRun(key: Buffer, node: string, text: string): Run | undefined {
  const match = /^([0-9a-z]{1,11})\.([0-9a-f]{1,16})\.([A-Za-z0-9_-]{22})$/.exec(text);
  if (match === null) return undefined;
  const [, since = '', generation = '', given = ''] = match;
  const expected = signature(key, node, `${since}.${generation}`);
  if (!timingSafeEqual(Buffer.from(given), Buffer.from(expected))) return undefined;
  return { node, since: Number.parseInt(since, 36), generation };
}

function signature(key: Buffer, node: string, body: string): string {
  return createHmac('sha256', key)
    .update(`run\0${node}\0${body}`)
    .digest()
    .subarray(0, 16)
    .toString('base64url');
}

/** The secret that `what` stands for at this site: 32 characters of base64url, always the same ones. */
export function deriveSecret(key: Buffer, what: string): string {
  return createHmac('sha256', key).update(`secret\0${what}`).digest().subarray(0, 24).toString('base64url');
}

const KEY_BYTES = 32;

/** The site's signing key, made on first use in `<dir>/run.key` with mode 0600. Throws NodeError BAD_KEY when it cannot be read or made. */
export async function loadRunKey(siteDir: string): Promise<Buffer> {
  const file = join(siteDir, 'run.key');
  try {
    return await readKey(file);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw unusable(file, error);
  }
  try {
    await makeSecretFile(file, randomBytes(KEY_BYTES));
    return await readKey(file);
  } catch (error) {
    throw unusable(file, error);
  }
}

async function readKey(file: string): Promise<Buffer> {
  const key = await readFile(file);
  if (key.length !== KEY_BYTES) throw new RangeError(`holds ${key.length} bytes instead of ${KEY_BYTES}`);
  return key;
}

function unusable(file: string, cause: unknown): NodeError {
  return new NodeError(
    'BAD_KEY',
    `${file}: ${messageOf(cause)}; make it readable and writable, or delete it to get a new one`,
    {
      cause,
    },
  );
}
